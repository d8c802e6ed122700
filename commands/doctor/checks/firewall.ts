/**
 * The firewall's tools, and who sets rules beside Loden.
 *
 * @module
 */

import { parseIptablesSave } from "../../../host/firewall/iptables_text.ts";
import { CommandMissingError } from "../../../linux/command.ts";
import { formatCidr } from "../../../net/cidr.ts";
import type { Check, DoctorHost, KnownNetwork } from "../check.ts";
import { type Finding, findingOn } from "../finding.ts";

/** What was read of the rules; texts are `undefined` where that is not possible. */
interface Rules {
  /** First line of `--version`; `undefined`: not installed. */
  readonly iptables: string | undefined;
  readonly nft: string | undefined;
  readonly save: Read;
  readonly tables: Read;
}

/** The output of a program that lists rules. */
type Read =
  | { readonly kind: "text"; readonly text: string; readonly warning: string }
  | { readonly kind: "unread" }
  | { readonly kind: "failed"; readonly reason: string };

/** See the module. */
export const firewallCheck: Check = {
  name: "firewall",
  run: async (host, signal) => {
    const [rules, network] = await Promise.all([
      readRules(host, signal),
      host.network(signal),
    ]);
    return [
      tool(host, rules, network),
      ...writers(rules, network),
      ...forwardPolicy(host, rules),
      ...twoKinds(rules),
    ];
  },
};

async function readRules(
  host: DoctorHost,
  signal: AbortSignal,
): Promise<Rules> {
  const [iptables, nft] = await Promise.all([
    versionOf(host, "iptables", signal),
    versionOf(host, "nft", signal),
  ]);
  const hasTables = mayUseNfTables(host);
  const isLegacy = iptables !== undefined && !iptables.includes("nf_tables");
  const [save, tables] = await Promise.all([
    iptables !== undefined && (hasTables || isLegacy)
      ? read(host, "iptables-save", [], signal)
      : UNREAD,
    nft !== undefined && hasTables
      ? read(host, "nft", ["list", "tables"], signal)
      : UNREAD,
  ]);
  return { iptables, nft, save, tables };
}

/** Its tools would load the module; without it there are no rules. */
export function mayUseNfTables(
  { canLoadModules, moduleState }: DoctorHost,
): boolean {
  return !canLoadModules || moduleState("nf_tables") === "present";
}

const UNREAD: Read = { kind: "unread" };

async function versionOf(
  { runner }: DoctorHost,
  command: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const { stdout } = await runner.run(command, ["--version"], { signal });
    return stdout.trim().split("\n")[0]!;
  } catch (error) {
    if (error instanceof CommandMissingError) return undefined;
    throw error;
  }
}

async function read(
  { isRoot, runner }: DoctorHost,
  command: string,
  words: readonly string[],
  signal: AbortSignal,
): Promise<Read> {
  if (!isRoot) return UNREAD;
  try {
    const result = await runner.run(command, words, { signal });
    const { code, stderr, stdout } = result;
    if (code === 0) return { kind: "text", text: stdout, warning: stderr };
    const reason = stderr.trim().split("\n")[0] || `it ended with ${code}`;
    return { kind: "failed", reason: `${command}: ${reason}` };
  } catch (error) {
    if (!(error instanceof CommandMissingError)) throw error;
    return { kind: "failed", reason: error.message };
  }
}

/** As `select_firewall.ts` chooses: iptables first, unless the config says nft. */
function tool(
  { settings }: DoctorHost,
  { iptables, nft, save, tables }: Rules,
  { config }: KnownNetwork,
): Finding {
  const fact = findingOn("firewall.tool", "firewall");
  const candidates = [
    { version: iptables, state: save },
    { version: nft, state: tables },
  ];
  if (config?.enableNfTables) candidates.reverse();
  const chosen = candidates.find(({ state, version }) =>
    version !== undefined && state.kind !== "failed"
  );
  if (chosen !== undefined) {
    const other = candidates.find((each) => each !== chosen)!;
    const failed = other.state.kind === "failed"
      ? `; not ${other.state.reason}`
      : other.version === undefined
      ? ""
      : `, and ${other.version}`;
    const isEmpty = chosen.state.kind === "unread"
      ? "; rules are not read"
      : "";
    return fact.ok(`${chosen.version}${failed}${isEmpty}`);
  }
  const reasons = candidates.map(({ state }) => state)
    .filter((state) => state.kind === "failed").map(({ reason }) => reason);
  const isNeeded = settings.ipMasq || settings.iptablesForwardRules;
  return fact[isNeeded ? "problem" : "note"](
    reasons.length > 0
      ? reasons.join("; ")
      : "neither iptables nor nft is on the PATH",
    (reasons.length > 0
      ? "modprobe --all nf_tables ip_tables"
      : "apt-get install iptables") +
      (isNeeded
        ? ", or start the agent with --ip-masq=false " +
          "--iptables-forward-rules=false"
        : ""),
  );
}

/** By the names of chains and tables. */
const WRITERS: readonly (readonly [RegExp, string])[] = [
  [/^DOCKER|^docker-/, "Docker"],
  [/^ufw6?-/, "ufw"],
  [/^firewalld$/, "firewalld"],
  [/^KUBE-|^kube-proxy$/, "Kubernetes"],
  [/^cali-/, "Calico"],
  [/^CILIUM_/, "Cilium"],
  [/^CNI-/, "CNI"],
  [/^NETAVARK|^netavark$/, "Podman"],
  [/^LIBVIRT_|^libvirt_/, "libvirt"],
  [/^f2b-/, "fail2ban"],
  [/^ts-(input|forward|postrouting)$/, "Tailscale"],
];

function writers(
  { save, tables }: Rules,
  { network }: KnownNetwork,
): Finding[] {
  const names = [
    ...save.kind === "text" ? chainsOf(save.text) : [],
    ...tables.kind === "text" ? tablesOf(tables.text) : [],
  ];
  const found = WRITERS.filter(([pattern]) =>
    names.some((name) => pattern.test(name))
  ).map(([, writer]) => writer);
  const fact = findingOn("firewall.writers", "other rules");
  // A verdict of its own chains is final, whatever others accept.
  const source = network === undefined ? "NETWORK" : formatCidr(network);
  const firewalld: Finding[] = found.includes("firewalld")
    ? [
      fact.warning(
        "firewalld rejects packets of interfaces and sources that are in " +
          "no zone which lets them pass, whatever Loden's rules accept",
        `firewall-cmd --permanent --zone=trusted --add-source=${source} && ` +
          "firewall-cmd --reload",
      ),
    ]
    : [];
  const others = found.filter((writer) => writer !== "firewalld");
  return [
    ...others.length === 0 ? [] : [
      fact[others.every((writer) => writer === "Docker") ? "ok" : "note"](
        `set by ${others.join(", ")}`,
      ),
    ],
    ...firewalld,
  ];
}

function chainsOf(save: string): string[] {
  return [...parseIptablesSave(save).values()]
    .flatMap((table) => [...table.keys()]);
}

/** `table inet firewalld`, a line each. */
function tablesOf(text: string): string[] {
  return text.split("\n").map((line) => line.split(" ")[2] ?? "");
}

function forwardPolicy(
  { settings }: DoctorHost,
  { save }: Rules,
): Finding[] {
  if (save.kind !== "text") return [];
  const policy = /^:FORWARD (\S+)/m.exec(
    /^\*filter$[\s\S]*?^COMMIT$/m.exec(save.text)?.[0] ?? "",
  )?.[1];
  if (policy === undefined) return [];
  const fact = findingOn("firewall.forward-policy", "FORWARD");
  if (policy !== "DROP") {
    return [fact.ok(`policy ${policy}`)];
  }
  return settings.iptablesForwardRules
    ? [fact.ok("policy DROP; the agent's rules let the overlay pass")]
    : [
      fact.warning(
        "policy DROP blocks the containers' traffic",
        "start the agent with --iptables-forward-rules=true",
      ),
    ];
}

function twoKinds({ save }: Rules): Finding[] {
  if (save.kind !== "text") return [];
  const other = /# Warning: (iptables-legacy|iptables) tables present/
    .exec(save.warning + save.text)?.[1];
  return other === undefined ? [] : [
    findingOn("firewall.two-kinds", "firewall").warning(
      "rules of iptables-legacy and of nf_tables apply at the same time; " +
        "each tool sees only its own",
      "iptables-legacy-save, and remove what it shows from the program " +
        "that sets it",
    ),
  ];
}
