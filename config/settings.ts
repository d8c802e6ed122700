/**
 * All settings, resolved, with the source of each value.
 *
 * @module
 */

import {
  type CloudConfig,
  readCloudConfig,
  type ReadTextFile,
} from "./cloud_config.ts";
import { type Environment, readEnvironment } from "./env.ts";
import { badValueError, SettingsError } from "./errors.ts";
import { cleanEtcdPrefix, parseEtcdEndpoints } from "./etcd_endpoints.ts";
import { AGENT_FLAGS, type AgentFlagValues } from "./flags.ts";
import { type CommandLine, parseGoFlags } from "./go_flags.ts";
import { translateGoRegex } from "./go_regex.ts";
import { checkEntries, checkLeaseTimes } from "./setting_checks.ts";
import { nearMatch } from "./near_match.ts";
import {
  chooseValues,
  type ChosenValues,
  type SettingEntry,
} from "./precedence.ts";
import { Secret } from "./secret.ts";
import { collectWarnings, type SettingsWarning } from "./settings_warnings.ts";
import {
  parseSubnetChangeAction,
  type SubnetChangeAction,
} from "./subnet_change.ts";

/**
 * The settings of the agent and the commands. An empty text means "not set".
 */
export interface Settings {
  /** `scheme://host:port`, at least one. */
  readonly etcdEndpoints: readonly string[];
  /** Cleaned as flannel does, so that `${etcdPrefix}/config` is the key. */
  readonly etcdPrefix: string;
  readonly etcdCaFile: string;
  /** Set if and only if `etcdKeyFile` is. */
  readonly etcdCertFile: string;
  readonly etcdKeyFile: string;
  /** Set if and only if one of the next two is. */
  readonly etcdUsername: string;
  readonly etcdPassword: Secret;
  readonly etcdPasswordFile: string;

  /** Names or addresses, in the order in which they are tried. */
  readonly iface: readonly string[];
  /** JavaScript patterns, for the `u` flag. */
  readonly ifaceRegex: readonly string[];
  /** An IPv4 address. */
  readonly ifaceCanReach: string;
  /** An IPv4 address. */
  readonly publicIp: string;

  /** At most one `%d`, which stands for the first free number. */
  readonly deviceName: string;
  readonly dataPath: AgentFlagValues["datapath"];
  /** How the kernel data path receives packets from the underlay. */
  readonly ebpfReceive: AgentFlagValues["ebpf-receive"];
  /** From which port the kernel data path sends. */
  readonly sourcePort: AgentFlagValues["source-port"];
  readonly senderCheck: AgentFlagValues["sender-check"];
  readonly senderInterfaceCheck: boolean;
  readonly peerGraceMinutes: number;
  /** The greatest age of a saved peer that a start without etcd uses. */
  readonly trustSavedPeersMinutes: number;
  /** The same for a running agent; 0 for no limit. */
  readonly trustKnownPeersMinutes: number;
  readonly disabledFeatures: readonly string[];
  /** Whether the network card computes the checksums of inner packets. */
  readonly vxlanTxChecksum: AgentFlagValues["vxlan-tx-checksum"];
  /** Whether commands of the network config may run on this host. */
  readonly allowExtensionCommands: boolean;

  readonly subnetLeaseRenewMarginMinutes: number;
  readonly subnetLeaseTtlSeconds: number;
  readonly onSubnetChange: SubnetChangeAction;
  /** Whether to take the PublicIP from a host that is alive. */
  readonly takeOver: boolean;
  /** Whether flannel's leftovers inside the overlay are removed. */
  readonly takeOverDevices: boolean;

  readonly ipMasq: boolean;
  /** Whether to masquerade with `--random-fully` where the host can. */
  readonly ipMasqFullyRandom: boolean;
  readonly iptablesForwardRules: boolean;
  readonly antiSpoofing: boolean;
  /**
   * Whether to set kernel settings that block packets, not only report them.
   */
  readonly setSysctls: boolean;
  readonly iptablesResyncSeconds: number;
  readonly ipBlackholeRoute: boolean;

  readonly subnetFile: string;
  /** `undefined`: not written. */
  readonly dockerOptsFile: string | undefined;
  readonly stateDir: string;
  readonly runDir: string;

  readonly healthzIp: string;
  /** `undefined`: no health server. */
  readonly healthzPort: number | undefined;
  readonly metricsIp: string;
  /** `undefined`: the port of the health server. */
  readonly metricsPort: number | undefined;
  /** Whether each peer has metrics of its own. */
  readonly metricsPeers: boolean;
  /** `undefined`: no probes between hosts. */
  readonly probePort: number | undefined;
  readonly logFormat: AgentFlagValues["log-format"];
  readonly verbosity: number;

  /** Every flag in the table's order, safe to show. */
  readonly entries: readonly SettingEntry[];
  /** Settings that have no effect, for the log. */
  readonly warnings: readonly SettingsWarning[];
}

/** The input of {@linkcode resolveSettings}. */
export interface SettingsInput {
  /** The agent's command line, or one that a subcommand has parsed. */
  readonly argv: readonly string[] | CommandLine;
  readonly env: Environment;
  readonly readFile: ReadTextFile;
  /** The words that `--disable-feature` accepts; any word if absent. */
  readonly features?: readonly string[];
}

/** What a command line asks for before anything else is checked. */
export function requestOf(
  line: CommandLine,
): "help" | "version" | "dry-run" | "run" {
  if (line.help || line.given.get("help")?.value === true) return "help";
  if (line.given.get("version")?.value === true) return "version";
  return line.given.get("dry-run")?.value === true ? "dry-run" : "run";
}

/**
 * Resolves every setting; {@linkcode chooseValues} defines the order of the
 * sources.
 *
 * @throws {SettingsError} for the first value that cannot be used; it names the
 * source, the value, the rule and a valid value.
 */
export async function resolveSettings(input: SettingsInput): Promise<Settings> {
  const { argv, env } = input;
  const line = "given" in argv
    ? argv
    : parseGoFlags(AGENT_FLAGS, argv, { words: "refuse" });
  const path = configPath(line, env);
  const file = path === "" ? NO_FILE : await readCloudConfig({
    path,
    flags: AGENT_FLAGS,
    env,
    readFile: input.readFile,
  });
  const chosen = chooseValues({ line, env, file });
  checkEntries(chosen);
  checkLeaseTimes(chosen);
  const settings = {
    ...etcdSettings(chosen),
    ...hostSettings(chosen.values),
    disabledFeatures: disabledFeatures(chosen, input.features),
    entries: chosen.entries,
  };
  const warnings = collectWarnings({ chosen, env, file, path });
  return { ...settings, warnings };
}

const NO_FILE: CloudConfig = { settings: [], hasSection: true };

function configPath(line: CommandLine, env: Environment): string {
  const flag = AGENT_FLAGS.find(({ name }) => name === "config")!;
  return String(
    line.given.get(flag.name)?.value ?? readEnvironment(flag, env) ?? "",
  );
}

function etcdSettings(chosen: ChosenValues) {
  const { values } = chosen;
  requireBoth(chosen, "etcd-certfile", "etcd-keyfile");
  checkAccount(chosen);
  const parsed = parseEtcdEndpoints(values["etcd-endpoints"]);
  if ("refusal" in parsed) {
    const where = chosen.where("etcd-endpoints");
    throw badValueError({ where, ...parsed.refusal });
  }
  return {
    etcdEndpoints: parsed.endpoints,
    // The checks have refused a prefix that is empty.
    etcdPrefix: cleanEtcdPrefix(values["etcd-prefix"])!,
    etcdCaFile: values["etcd-cafile"],
    etcdCertFile: values["etcd-certfile"],
    etcdKeyFile: values["etcd-keyfile"],
    etcdUsername: values["etcd-username"],
    etcdPassword: new Secret(values["etcd-password"]),
    etcdPasswordFile: values["etcd-password-file"],
  };
}

/** A user needs a password from exactly one place. */
function checkAccount(chosen: ChosenValues): void {
  const { values } = chosen;
  const isInFile = values["etcd-password-file"] !== "";
  if (isInFile && values["etcd-password"] !== "") {
    throw new SettingsError(
      "settings.two-passwords",
      `Cannot use the settings: the etcd password must come from one place: ` +
        `it is in ${chosen.where("etcd-password")} and in ` +
        chosen.where("etcd-password-file"),
      { hint: "set either --etcd-password-file or --etcd-password" },
    );
  }
  requireBoth(
    chosen,
    "etcd-username",
    isInFile ? "etcd-password-file" : "etcd-password",
  );
}

function requireBoth(
  chosen: ChosenValues,
  first: "etcd-certfile" | "etcd-username",
  second: "etcd-keyfile" | "etcd-password" | "etcd-password-file",
): void {
  const { values } = chosen;
  if ((values[first] === "") === (values[second] === "")) return;
  const [given, missing] = values[second] === ""
    ? [first, second]
    : [second, first];
  throw new SettingsError(
    "settings.pair",
    `Cannot use the settings: --${missing} must be set as well: ` +
      `${chosen.where(given)} is useless without it`,
    { hint: `set both --${first} and --${second}, or neither` },
  );
}

function hostSettings(values: AgentFlagValues) {
  const dockerOptsFile = values["docker-opts-file"];
  const healthzPort = values["healthz-port"];
  const metricsPort = values["metrics-port"];
  const probePort = values["probe-port"];
  return {
    iface: values["iface"].filter((name) => name !== ""),
    ifaceRegex: values["iface-regex"].map(translateGoRegex),
    ifaceCanReach: values["iface-can-reach"],
    publicIp: values["public-ip"],
    deviceName: values["device"],
    dataPath: values["datapath"],
    ebpfReceive: values["ebpf-receive"],
    sourcePort: values["source-port"],
    senderCheck: values["sender-check"],
    senderInterfaceCheck: values["sender-interface-check"],
    peerGraceMinutes: values["peer-grace"],
    trustSavedPeersMinutes: values["trust-saved-peers"],
    trustKnownPeersMinutes: values["trust-known-peers"],
    subnetLeaseRenewMarginMinutes: values["subnet-lease-renew-margin"],
    subnetLeaseTtlSeconds: values["subnet-lease-ttl"],
    // The checks have refused other texts.
    onSubnetChange: parseSubnetChangeAction(values["on-subnet-change"])!,
    takeOver: values["take-over"],
    takeOverDevices: values["take-over-devices"],
    ipMasq: values["ip-masq"],
    ipMasqFullyRandom: !values["ip-masq-fully-random-disable"],
    iptablesForwardRules: values["iptables-forward-rules"],
    antiSpoofing: values["anti-spoofing"],
    vxlanTxChecksum: values["vxlan-tx-checksum"],
    allowExtensionCommands: values["allow-extension-commands"],
    setSysctls: values["set-sysctls"],
    iptablesResyncSeconds: values["iptables-resync"],
    ipBlackholeRoute: values["ip-blackhole-route"],
    subnetFile: values["subnet-file"],
    // Means "nowhere", because an empty variable means "not set".
    dockerOptsFile: ["", "/dev/null"].includes(dockerOptsFile)
      ? undefined
      : dockerOptsFile,
    stateDir: values["state-dir"],
    runDir: values["run-dir"],
    healthzIp: values["healthz-ip"],
    healthzPort: healthzPort > 0 ? healthzPort : undefined,
    metricsIp: values["metrics-ip"],
    metricsPort: metricsPort > 0 ? metricsPort : undefined,
    metricsPeers: values["metrics-peers"],
    probePort: probePort > 0 ? probePort : undefined,
    logFormat: values["log-format"],
    verbosity: values["v"],
  };
}

function disabledFeatures(
  chosen: ChosenValues,
  known: readonly string[] | undefined,
): string[] {
  // The environment gives only one element, so commas separate features as
  // well.
  const features = chosen.values["disable-feature"]
    .flatMap((text) => text.split(","))
    .map((word) => word.trim())
    .filter((word) => word !== "");
  for (const feature of features) {
    if (known === undefined || known.includes(feature)) continue;
    const near = nearMatch(feature, known);
    throw badValueError({
      where: chosen.where("disable-feature"),
      rule: `one of ${known.join(", ")}`,
      current: feature,
      hint: near === undefined
        ? `for example ${known[0]}`
        : `did you mean ${near}?`,
    });
  }
  return features;
}
