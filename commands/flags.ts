/**
 * The flags of the subcommands.
 *
 * @module
 */

import type { BoolFlag, FlagSpec, StringFlag } from "../config/flag_spec.ts";
import { AGENT_FLAGS, type AgentFlagName } from "../config/flags.ts";

const OWN = {
  type: "bool",
  default: false,
  group: "General",
  origin: "loden",
  status: { kind: "active" },
  commandLineOnly: true,
} as const;

/** For programs that read the output. */
export const JSON_FLAG: BoolFlag = {
  ...OWN,
  name: "json",
  help: "print JSON, for programs",
};

/** `config put`: write what the checks refuse. */
export const FORCE_FLAG: BoolFlag = {
  ...OWN,
  name: "force",
  help: "publish also what the checks refuse",
};

/** `cleanup`: look, but do not touch. */
export const DRY_RUN_FLAG: BoolFlag = {
  ...OWN,
  name: "dry-run",
  help: "say what would be removed, and remove nothing",
};

/** `cleanup`: the host forgets who it was. */
export const STATE_FLAG: BoolFlag = {
  ...OWN,
  name: "state",
  help: "remove the saved state too: host id, lease and peers",
};

/** `docker-network`: do it. */
export const RUN_FLAG: BoolFlag = {
  ...OWN,
  name: "run",
  help: "make the network instead of printing the command",
};

/** `cloud-config apply`: look, but do not touch. */
export const APPLY_DRY_RUN_FLAG: BoolFlag = {
  ...DRY_RUN_FLAG,
  help: "say what would be written and run, and do nothing",
};

/** `cloud-config apply`: a host that is not running. */
export const ROOT_FLAG: StringFlag = {
  ...OWN,
  name: "root",
  type: "string",
  default: "",
  placeholder: "DIR",
  help: "write below DIR, the root of a host that is not running",
};

/** What finds the network's keys in etcd. */
export const ETCD_FLAG_NAMES = [
  "etcd-endpoints",
  "etcd-prefix",
  "etcd-cafile",
  "etcd-certfile",
  "etcd-keyfile",
  "etcd-username",
  "etcd-password",
  "etcd-password-file",
  "config",
] as const satisfies readonly AgentFlagName[];

/** The agent's flags of these names, in the table's order. */
export function agentFlags(names: readonly AgentFlagName[]): FlagSpec[] {
  return AGENT_FLAGS.filter(({ name }) =>
    (names as readonly string[]).includes(name)
  );
}

/**
 * What a subcommand accepts: its own flags and all of the agent's, so that one
 * line of options serves both, although only some of them matter to it.
 */
export function acceptedFlags(own: readonly FlagSpec[]): FlagSpec[] {
  const names = ["version", ...own.map(({ name }) => name)];
  return [...own, ...AGENT_FLAGS.filter(({ name }) => !names.includes(name))];
}
