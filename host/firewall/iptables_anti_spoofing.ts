/**
 * The rules against spoofing through iptables.
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
import type { IptablesTable } from "./iptables_text.ts";
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
  const table = tables.get(TABLE) ?? new Map();
  const { network, formerNetwork } = rules;
  const former = formerNetwork === undefined
    ? []
    : removals(table, formerNetwork);
  if (rules.antiSpoofing === "kept") {
    const chain = chainName("forward", network);
    const isThere = table.get("FORWARD")?.includes(jump(chain, network));
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

function jump(chain: string, network: Cidr): string {
  return `-m comment --comment "${spoofingLabel(network)}" -j ${chain}`;
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
  const call = jump(chain, network);
  const wanted = chainRules(drops).map((rule) => {
    // Versions print rules differently; comments stay unchanged.
    const comment = `${spoofingLabel(network)} ${fnv1a(rule)}`;
    return { rule, comment: `--comment "${comment}"` };
  });
  const present = table.get(chain);
  const isInPlace = present?.length === wanted.length &&
    wanted.every(({ comment }, at) => present[at]!.includes(comment));
  const lines: string[] = [];
  const commands: string[] = [];
  if (!isInPlace) {
    lines.push(`write chain ${chain}, ${wanted.length} rules`);
    // Declaring a chain empties it, in the same step that fills it again.
    commands.push(`:${chain} - [0:0]`);
    for (const { rule, comment } of wanted) {
      const [match, verdict] = rule.split(" -j ");
      commands.push(`-A ${chain} ${match} -m comment ${comment} -j ${verdict}`);
    }
  }
  const jumps = (table.get(parent) ?? []).filter((rule) => rule === call);
  if (jumps.length !== 1) {
    lines.push(`call ${chain} from ${parent}`);
    for (const _ of jumps) commands.push(`-D ${parent} ${call}`);
    commands.push(`-I ${parent} 1 ${call}`);
  }
  return { table: TABLE, lines, commands };
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
  const { from = [undefined], to = [undefined] } = drop;
  return from.flatMap((inDevice) =>
    to.map((outDevice) => {
      const words: string[] = [];
      if (inDevice !== undefined) words.push(`-i ${inDevice}`);
      if (outDevice !== undefined) words.push(`-o ${outDevice}`);
      if (drop.source) words.push(`-s ${formatCidr(drop.source)}`);
      if (drop.notSource) words.push(`! -s ${formatCidr(drop.notSource)}`);
      if (drop.destination) words.push(`-d ${formatCidr(drop.destination)}`);
      if (drop.traffic) words.push(trafficMatch(drop.traffic));
      if (drop.isUnrouted) words.push("-m rpfilter --invert");
      return `${words.join(" ")} -j DROP`;
    })
  );
}

function trafficMatch({ protocol, port }: OuterTraffic): string {
  if (port === undefined) return `-p ${protocol}`;
  const name = protocol === UDP ? "udp" : String(protocol);
  return `-p ${name} -m ${name} --dport ${port}`;
}
