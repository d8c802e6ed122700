/**
 * The flags of the subcommands.
 *
 * @module
 */

import type {
  BoolFlag,
  EnumFlag,
  FlagSpec,
  IntFlag,
  StringFlag,
} from "../config/flag_spec.ts";
import { AGENT_FLAGS, type AgentFlagName } from "../config/flags.ts";

const OWN = {
  type: "bool",
  default: false,
  group: "General",
  origin: "loden",
  status: { kind: "active" },
  commandLineOnly: true,
} as const;

const OWN_TEXT = { ...OWN, type: "string", default: "" } as const;

/** For programs that parse the output. */
export const JSON_FLAG: BoolFlag = {
  ...OWN,
  name: "json",
  help: "print JSON",
};

/** `status`: again and again. */
export const WATCH_FLAG: BoolFlag = {
  ...OWN,
  name: "watch",
  help: "show the state again every two seconds, until Ctrl-C",
};

/** `status`: until the agent is ready. */
export const WAIT_FLAG: StringFlag = {
  ...OWN_TEXT,
  name: "wait",
  placeholder: "DURATION",
  bareValue: "5m",
  help: "wait until the agent is ready, or until --check succeeds, for at " +
    "most 5m or DURATION (90s, 5m, 1h)",
};

/** `status`: one line and an exit code for a program that asks. */
export const CHECK_FLAG: EnumFlag = {
  ...OWN,
  name: "check",
  type: "enum",
  default: "",
  words: ["live", "ready", "nagios"],
  help: "print one line; the exit code says whether the agent runs, whether " +
    "the network is up, or what Nagios is to show",
};

/** `metrics`: for a collector that reads files. */
export const OUTPUT_FLAG: StringFlag = {
  ...OWN_TEXT,
  name: "output",
  placeholder: "FILE",
  help: "write to FILE in one step in place of printing",
};

/** `explain`: the protocol of the packet. */
export const PROTO_FLAG: EnumFlag = {
  ...OWN,
  name: "proto",
  type: "enum",
  default: "",
  words: ["icmp", "tcp", "udp"],
  help: "the packet's protocol: icmp, or tcp with --port, by default",
};

/** `explain`: the port that the packet is for. */
export const PORT_FLAG: IntFlag = {
  ...OWN,
  name: "port",
  type: "int",
  default: 0,
  min: 0,
  max: 65_535,
  help: "the packet's destination port; 0: any",
};

/** `explain`: the size of the packet. */
export const SIZE_FLAG: IntFlag = {
  ...OWN,
  name: "size",
  type: "int",
  default: 84,
  // An IPv4 and an ICMP header.
  min: 28,
  max: 65_535,
  help: "the packet's size in bytes, IPv4 header included; it must not be " +
    "fragmented",
};

/** `explain`: packets that look how far they get. */
export const SEND_FLAG: BoolFlag = {
  ...OWN,
  name: "send",
  help: "also send pings to the other host, and trace a packet through this " +
    "host's firewall",
};

/** `status`: where a browser finds it. */
export const WEB_FLAG: BoolFlag = {
  ...OWN,
  name: "web",
  help: "print the address of the agent's page",
};

/** `monitor`: events of one host. */
export const PEER_FLAG: StringFlag = {
  ...OWN_TEXT,
  name: "peer",
  placeholder: "HOST",
  help: "show only what concerns HOST: a subnet or an address, also of a " +
    "host that is no peer",
};

/** `monitor`: drops of some kinds. */
export const REASON_FLAG: StringFlag = {
  ...OWN_TEXT,
  name: "reason",
  placeholder: "LIST",
  help: "show only drops for these reasons, separated by commas: " +
    "rx.drop.unknownSender, or unknownSender",
};

/** `monitor`: for Wireshark. */
export const PCAP_FLAG: StringFlag = {
  ...OWN_TEXT,
  name: "pcap",
  placeholder: "FILE",
  help:
    "write the dropped packets to FILE as well, which must not exist, for " +
    "Wireshark and tcpdump",
};

/** `config put`: publish a config that the checks refuse. */
export const FORCE_FLAG: BoolFlag = {
  ...OWN,
  name: "force",
  help: "publish the config even if the checks refuse it",
};

/** `cleanup`: print only. */
export const DRY_RUN_FLAG: BoolFlag = {
  ...OWN,
  name: "dry-run",
  help: "print what would be removed, and remove nothing",
};

/** `cleanup`: remove the host's identity as well. */
export const STATE_FLAG: BoolFlag = {
  ...OWN,
  name: "state",
  help: "remove the saved state too: host id, lease and peers",
};

/** `docker-network`: run the command. */
export const RUN_FLAG: BoolFlag = {
  ...OWN,
  name: "run",
  help: "create the network instead of printing the command",
};

/** `bundle`: where the archive goes. */
export const ARCHIVE_FLAG: StringFlag = {
  ...OWN_TEXT,
  name: "output",
  placeholder: "FILE",
  help: "write the archive to FILE, not to loden-bundle-TIME.tar.gz here",
};

/** `bundle`: for a report that others can read. */
export const ANONYMIZE_FLAG: BoolFlag = {
  ...OWN,
  name: "anonymize",
  help: "replace addresses and host names by pseudonyms",
};

/** `cloud-config apply`: print only. */
export const APPLY_DRY_RUN_FLAG: BoolFlag = {
  ...DRY_RUN_FLAG,
  help: "print what would be written and run, and do nothing",
};

/** `cloud-config apply`: a host that is not running. */
export const ROOT_FLAG: StringFlag = {
  ...OWN_TEXT,
  name: "root",
  placeholder: "DIR",
  help: "write below DIR, the root of a host that is not running",
};

/** The flags that locate the network's keys in etcd. */
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
 * What a subcommand accepts: its own flags and all of the agent's, so that you
 * can give both the same options, although only some matter to it.
 */
export function acceptedFlags(own: readonly FlagSpec[]): FlagSpec[] {
  const names = ["version", ...own.map(({ name }) => name)];
  return [...own, ...AGENT_FLAGS.filter(({ name }) => !names.includes(name))];
}
