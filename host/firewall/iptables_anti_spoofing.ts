/**
 * The rules against spoofing through iptables.
 *
 * Each forwarded packet meets the calls of the chains, so a call has conditions
 * that packets of the overlay do not fulfil: they cost one comparison each, and
 * nothing is looked up for them. The chains decide about the rest.
 *
 * They are in the table mangle, which Docker does not touch: a drop there is
 * final, whatever Docker accepts later, and the order of Docker's own rules does
 * not matter. Each network has chains of its own.
 *
 * @module
 */

import { type Cidr, formatCidr } from "../../net/cidr.ts";
import { fnv1a } from "../../net/fnv1a.ts";
import type { OuterTraffic } from "../../net/underlay.ts";
import {
  planAntiSpoofing,
  SPOOFING_HOOKS,
  type SpoofingDrop,
  type SpoofingHook,
  spoofingLabel,
} from "./anti_spoofing_plan.ts";
import type { FirewallRules } from "./firewall.ts";
import {
  combine,
  listChain,
  removeChain,
  type TableChange,
} from "./iptables_plan.ts";
import { type IptablesTable, jumpsTo } from "./iptables_text.ts";
import { IptablesRules, type IptablesTables } from "./iptables_tool.ts";
import type { FirewallChange, Planner } from "./planned_rules.ts";

const TABLE = "mangle";
const PREFIX = "LODEN-SPOOF-";
/** IPPROTO_UDP. */
const UDP = 17;

/** {@linkcode RuleSet} by iptables-save and iptables-restore. */
export class IptablesAntiSpoofing extends IptablesRules {
  readonly purpose = "anti-spoofing";

  async list(signal: AbortSignal): Promise<string[]> {
    const tables = await this.read(signal);
    return ownChains(tables.get(TABLE)).flatMap((chain) =>
      listChain(tables, TABLE, chain)
    );
  }

  protected planFor(rules: FirewallRules): Planner<IptablesTables> {
    return (tables) => planIptablesAntiSpoofing(tables, rules);
  }

  protected planRemoval(network: Cidr | undefined): Planner<IptablesTables> {
    return (tables) => planIptablesAntiSpoofingRemoval(tables, network);
  }
}

/** The change that puts the rules of one network in place, or takes them away. */
function planIptablesAntiSpoofing(
  tables: IptablesTables,
  rules: FirewallRules,
): FirewallChange {
  const table: IptablesTable = tables.get(TABLE) ?? new Map();
  const { network, formerNetwork } = rules;
  const former = formerNetwork === undefined
    ? []
    : removals(table, formerNetwork);
  if (rules.antiSpoofing === "kept") {
    const chain = chainName("forward", network);
    const isThere = (table.get("FORWARD") ?? [])
      .some((rule) => jumpsTo(rule, chain));
    return isThere ? combine([]) : {
      lines: [`${TABLE}: write chain ${chain}, called from FORWARD`],
      script: "",
    };
  }
  const drops = planAntiSpoofing(rules);
  return combine([
    ...former,
    ...SPOOFING_HOOKS.map((hook) =>
      planChain(
        table,
        hook,
        network,
        drops.filter((each) => each.hook === hook),
      )
    ),
  ]);
}

/** The change that removes one network's rules, or all of them. */
function planIptablesAntiSpoofingRemoval(
  tables: IptablesTables,
  network: Cidr | undefined,
): FirewallChange {
  const table = tables.get(TABLE) ?? new Map();
  return combine(
    network === undefined
      ? ownChains(table).map((chain) =>
        removeChain(table, { table: TABLE, chain })
      )
      : removals(table, network),
  );
}

function removals(table: IptablesTable, network: Cidr): TableChange[] {
  return SPOOFING_HOOKS.map((hook) =>
    removeChain(table, { table: TABLE, chain: chainName(hook, network) })
  );
}

function ownChains(table: IptablesTable | undefined): string[] {
  return [...table?.keys() ?? []].filter((name) => name.startsWith(PREFIX));
}

/** At most 28 letters. */
function chainName(hook: SpoofingHook, network: Cidr): string {
  const place = { prerouting: "PRE", input: "IN", forward: "FWD" }[hook];
  return `${PREFIX}${place}-${fnv1a(formatCidr(network))}`;
}

/** With a comment by which it is found: versions print rules differently. */
function labelled(rule: string, network: Cidr): LabelledRule {
  const comment = `--comment "${spoofingLabel(network)} ${fnv1a(rule)}"`;
  const [match, verdict] = rule.split(/ ?-j /);
  const words = [match, "-m comment", comment, `-j ${verdict}`];
  return { comment, rule: words.filter((word) => word !== "").join(" ") };
}

interface LabelledRule {
  readonly comment: string;
  readonly rule: string;
}

function areInPlace(
  present: readonly string[] | undefined,
  wanted: readonly LabelledRule[],
): boolean {
  return present?.length === wanted.length &&
    wanted.every(({ comment }, at) => present[at]!.includes(comment));
}

function planChain(
  table: IptablesTable,
  hook: SpoofingHook,
  network: Cidr,
  drops: readonly SpoofingDrop[],
): TableChange {
  const chain = chainName(hook, network);
  if (drops.length === 0) return removeChain(table, { table: TABLE, chain });
  const parent = hook.toUpperCase();
  const wanted = chainRules(drops).map((rule) => labelled(rule, network));
  const calls = [...new Set(drops.flatMap(callConditions))]
    .map((match) => labelled(`${match} -j ${chain}`, network));
  const presentCalls = (table.get(parent) ?? [])
    .filter((rule) => jumpsTo(rule, chain));
  const lines: string[] = [];
  const commands: string[] = [];
  if (!areInPlace(table.get(chain), wanted)) {
    lines.push(`write chain ${chain}, ${wanted.length} rules`);
    // Declaring a chain empties it, in the same step that fills it again.
    commands.push(`:${chain} - [0:0]`);
    commands.push(...wanted.map(({ rule }) => `-A ${chain} ${rule}`));
  }
  if (!areInPlace(presentCalls, calls)) {
    lines.push(`call ${chain} from ${parent}`);
    commands.push(...presentCalls.map((rule) => `-D ${parent} ${rule}`));
    commands.push(
      ...calls.map(({ rule }, at) => `-I ${parent} ${at + 1} ${rule}`),
    );
  }
  return { table: TABLE, lines, commands };
}

/**
 * What a packet must fulfil for a chain to be called because of a drop: the
 * outer traffic, or else addresses and devices. To compare a protocol takes less
 * than to compare a device's name.
 */
function callConditions(drop: SpoofingDrop): string[] {
  if (drop.traffic) return [trafficMatch(drop.traffic)];
  return eachPair(drop).map((pair) => addressMatch(drop, pair));
}

/**
 * A rule can name one device that a packet must not have come by. So those that
 * may send come first, and return; what is about all devices stands before them.
 */
function chainRules(drops: readonly SpoofingDrop[]): string[] {
  const returns = new Set(drops.flatMap(({ notFrom }) => notFrom ?? []));
  const isGeneral = ({ notFrom }: SpoofingDrop) => notFrom === undefined;
  return [
    ...drops.filter(isGeneral).flatMap(dropRules),
    ...[...returns].map((device) => `-i ${device} -j RETURN`),
    ...drops.filter((drop) => !isGeneral(drop)).flatMap(dropRules),
  ];
}

/** One rule for each pair of devices. */
function dropRules(drop: SpoofingDrop): string[] {
  return eachPair(drop).map((pair) => {
    const words = [addressMatch(drop, pair)];
    if (drop.traffic) words.push(trafficMatch(drop.traffic));
    if (drop.isUnrouted) words.push("-m rpfilter --invert");
    return [...words.filter((word) => word !== ""), "-j DROP"].join(" ");
  });
}

type DevicePair = readonly [from: string | undefined, to: string | undefined];

function eachPair({ from, to }: SpoofingDrop): DevicePair[] {
  return (from ?? [undefined]).flatMap((inDevice) =>
    (to ?? [undefined]).map((outDevice): DevicePair => [inDevice, outDevice])
  );
}

/** In the order in which iptables compares. */
function addressMatch(
  { source, notSource, destination }: SpoofingDrop,
  [inDevice, outDevice]: DevicePair,
): string {
  const words: string[] = [];
  if (source) words.push(`-s ${formatCidr(source)}`);
  if (notSource) words.push(`! -s ${formatCidr(notSource)}`);
  if (destination) words.push(`-d ${formatCidr(destination)}`);
  if (inDevice !== undefined) words.push(`-i ${inDevice}`);
  if (outDevice !== undefined) words.push(`-o ${outDevice}`);
  return words.join(" ");
}

function trafficMatch({ protocol, port }: OuterTraffic): string {
  if (port === undefined) return `-p ${protocol}`;
  const name = protocol === UDP ? "udp" : String(protocol);
  return `-p ${name} -m ${name} --dport ${port}`;
}
