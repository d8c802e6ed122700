/**
 * A bypass of the drops in Docker's iptables rules.
 *
 * Docker 28 and later drop packets from other hosts to a container's own
 * address (moby/moby#49792, which broke flannel). In the table filter, chain
 * DOCKER drops packets to a bridge that are not for a published port. In raw,
 * PREROUTING drops packets to a container that arrive on another device than
 * its bridge: to its published ports (28.0) or to any port (28.2). Both come
 * before flannel's accept at the end of FORWARD.
 *
 * Therefore a chain of Loden accepts packets from the overlay, on the overlay
 * device, for this host's subnet, and nothing else. It is called in
 * DOCKER-USER, which Docker reserves for such rules and calls first, after an
 * administrator's own rules there; and in raw, before the first of Docker's
 * drops.
 *
 * Packets that arrive without encapsulation come by a device that everyone on
 * the link can send to. There the source must be in a subnet that is routed by
 * that device, to a peer: the reverse path filter of the table raw marks such
 * packets, and the mark is what both tables accept. (The table filter has no
 * such filter, and Docker 28.0 leaves most ports to it.) The backend's
 * unreachable route for the whole Network keeps the default route from leading
 * back to addresses that no peer has.
 *
 * @module
 */

import {
  type Cidr,
  contains,
  formatCidr,
  parseAddressWithPrefix,
} from "../../net/cidr.ts";
import { DOCKER_MARK } from "./docker_mark_plan.ts";
import { type FirewallRules, overlayDevices } from "./firewall.ts";
import { combine, removeChain, type TableChange } from "./iptables_plan.ts";
import { type IptablesTable, isRuleOfNetwork } from "./iptables_text.ts";
import { type FirewallChange, replacedNetworks } from "./planned_rules.ts";

/** The chain's name, the same in both tables. */
export const DOCKER_PASS_CHAIN = "LODEN-DOCKER";
const COMMENT = "loden docker";
const WITH_COMMENT = `-m comment --comment "${COMMENT}"`;
const JUMP = `${WITH_COMMENT} -j ${DOCKER_PASS_CHAIN}`;
const MARK = `0x${DOCKER_MARK.toString(16)}/0x${DOCKER_MARK.toString(16)}`;
/** The table in which the source's route can be looked up. */
const ROUTE_TABLE = "raw";

/** Where the chain is called. */
interface Place {
  readonly table: string;
  readonly parent: string;
  /** Whether the call must come before a rule of the parent chain. */
  readonly isBarrier: (rule: string, subnet: Cidr) => boolean;
}

const PLACES: readonly Place[] = [
  {
    table: ROUTE_TABLE,
    parent: "PREROUTING",
    isBarrier: isDirectAccessDrop,
  },
  {
    table: "filter",
    parent: "DOCKER-USER",
    // Docker before 28 ends the chain with this rule.
    isBarrier: (rule) => rule === "-j RETURN",
  },
];

/** The tables where the chain can be. */
export const DOCKER_PASS_TABLES: readonly string[] = PLACES.map(({ table }) =>
  table
);

type Tables = ReadonlyMap<string, IptablesTable>;

/** Whether Docker's rules are those of version 28 or later. */
export function dropsDirectAccess(tables: Tables): boolean {
  const docker = tables.get("filter")?.get("DOCKER") ?? [];
  return docker.some((rule) => /^! -i (\S+) -o \1 -j DROP$/.test(rule));
}

/**
 * The change that makes overlay packets bypass Docker's drops; if Docker has
 * none, the change that removes the bypass.
 */
export function planDockerPass(
  tables: Tables,
  rules: FirewallRules,
): FirewallChange {
  const { network, subnet, forward } = rules;
  const directDevices = rules.directDevices === "kept"
    ? presentDirectDevices(tables, network)
    : rules.directDevices ?? [];
  const isWanted = forward && dropsDirectAccess(tables);
  const networks = replacedNetworks(rules);
  return combine(
    PLACES.map((place) =>
      planPlace(tables, place, {
        networks,
        subnet,
        wanted: isWanted && isThere(tables, place)
          ? acceptingRules(place, rules, directDevices)
          : [],
      })
    ),
  );
}

/** Those of the rules that the agent has set. */
function presentDirectDevices(tables: Tables, network: Cidr): string[] {
  const rules = tables.get(ROUTE_TABLE)?.get(DOCKER_PASS_CHAIN) ?? [];
  return rules.filter((rule) => isRuleOfNetwork(rule, COMMENT, network))
    .map((rule) => / -i (\S+) -m rpfilter /.exec(rule)?.[1])
    .filter((name) => name !== undefined);
}

function acceptingRules(
  { table }: Place,
  rules: FirewallRules,
  directDevices: readonly string[],
): string[] {
  const { network, subnet } = rules;
  const from = (device: string) =>
    `-s ${formatCidr(network)} -d ${formatCidr(subnet)} -i ${device}`;
  const marks = table === ROUTE_TABLE
    ? directDevices.map((device) =>
      `${from(device)} -m rpfilter ${WITH_COMMENT} -j MARK --set-xmark ${MARK}`
    )
    : [];
  return [
    ...overlayDevices(rules).map((device) =>
      `${from(device)} ${WITH_COMMENT} -j ACCEPT`
    ),
    ...marks,
    ...directDevices.map((device) =>
      `${from(device)} -m mark --mark ${MARK} ${WITH_COMMENT} -j ACCEPT`
    ),
  ];
}

/** The change that removes one network's rules, or all of them. */
export function planDockerPassRemoval(
  tables: Tables,
  network: Cidr | undefined,
): FirewallChange {
  return combine(
    PLACES.map((place) =>
      network === undefined ? removeAll(tables, place) : planPlace(
        tables,
        place,
        { networks: [network], subnet: network, wanted: [] },
      )
    ),
  );
}

/**
 * A table that is not loaded has no drops of Docker's. Loading it would fail on
 * a kernel without it, on which Docker works as well.
 */
function isThere(tables: Tables, { table, parent }: Place): boolean {
  return tables.get(table)?.has(parent) ?? false;
}

function removeAll(tables: Tables, { table }: Place): TableChange {
  return removeChain(tables.get(table) ?? new Map(), {
    table,
    chain: DOCKER_PASS_CHAIN,
  });
}

function planPlace(
  tables: Tables,
  place: Place,
  { networks, subnet, wanted }: {
    readonly networks: readonly Cidr[];
    readonly subnet: Cidr;
    readonly wanted: readonly string[];
  },
): TableChange {
  const { table, parent, isBarrier } = place;
  const chains: IptablesTable = tables.get(table) ?? new Map();
  const present = chains.get(DOCKER_PASS_CHAIN) ?? [];
  const isOurs = (rule: string) =>
    networks.some((network) => isRuleOfNetwork(rule, COMMENT, network));
  const ours = present.filter(isOurs);
  const others = present.filter((rule) => !isOurs(rule));
  if (wanted.length + others.length === 0) return removeAll(tables, place);

  const lines: string[] = [];
  const commands: string[] = [];
  if (ours.join("\n") !== wanted.join("\n")) {
    const content = [...others, ...wanted];
    lines.push(
      `write chain ${DOCKER_PASS_CHAIN}, ${content.length} rules ` +
        `(${others.length} not of this network)`,
    );
    commands.push(`:${DOCKER_PASS_CHAIN} - [0:0]`);
    commands.push(
      ...content.map((rule) => `-A ${DOCKER_PASS_CHAIN} ${rule}`),
    );
  }
  const rules = chains.get(parent) ?? [];
  const rest = rules.filter((rule) => rule !== JUMP);
  const jumps = rules.length - rest.length;
  const barrier = rest.findIndex((rule) => isBarrier(rule, subnet));
  const jump = rules.indexOf(JUMP);
  if (wanted.length > 0 && (jumps !== 1 || (barrier >= 0 && jump > barrier))) {
    lines.push(
      `call ${DOCKER_PASS_CHAIN} from ${parent}` +
        (barrier < 0 ? "" : " ahead of Docker's rules"),
    );
    for (let each = 0; each < jumps; each++) {
      commands.push(`-D ${parent} ${JUMP}`);
    }
    commands.push(
      barrier < 0
        ? `-A ${parent} ${JUMP}`
        : `-I ${parent} ${barrier + 1} ${JUMP}`,
    );
  }
  return { table, lines, commands };
}

/**
 * Matches Docker's `-d CONTAINER ! -i BRIDGE … -j DROP` for one of our
 * containers.
 */
function isDirectAccessDrop(rule: string, subnet: Cidr): boolean {
  const text = /^-d (\S+) ! -i \S+ (?:.* )?-j DROP$/.exec(rule)?.[1];
  const destination = text === undefined
    ? undefined
    : parseAddressWithPrefix(text);
  return destination !== undefined && contains(subnet, destination.address);
}
