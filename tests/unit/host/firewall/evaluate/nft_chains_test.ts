import { assertEquals, assertThrows } from "@std/assert";
import {
  BadRulesetError,
  nftBaseChains,
} from "../../../../../host/firewall/evaluate/nft_chains.ts";
import { NFTABLES } from "../../../../support/rule_sets/rule_sets.ts";
import {
  arriving,
  type PacketChange,
  verdictAt,
  verdictOf,
} from "./packets.ts";

/** Only the chains of these tables. */
function chainsOf(...tables: readonly string[]) {
  return nftBaseChains(NFTABLES, ({ name }) => !tables.includes(name));
}

Deno.test("Docker's nftables rules drop what a peer sends to a container", () => {
  const verdict = verdictAt(chainsOf("docker-bridges"), arriving("prerouting"));
  assertEquals(
    verdict.verdict === "drop" && [
      verdict.by.table,
      verdict.by.chain,
    ],
    ["nft ip docker-bridges", "raw-PREROUTING"],
  );
});

Deno.test("a map of verdicts leads into the chain of the bridge", () => {
  const chains = chainsOf("docker-bridges");
  const port = (port: number) =>
    verdictAt(chains, arriving("forward", { protocol: 6, port }));
  assertEquals(port(80), { verdict: "accept" });
  const dropped = port(81);
  assertEquals(
    dropped.verdict === "drop" &&
      /^rule handle \d+ "UNPUBLISHED PORT DROP"$/.test(dropped.by.rule),
    true,
  );
  assertEquals(
    verdictOf(chains, arriving("forward", { leavesBy: "eth0" })),
    "accept",
  );
});

Deno.test("Loden's rules against spoofing drop what is not routed to the bridge", () => {
  const chains = chainsOf("loden-anti-spoofing");
  const forged: PacketChange = {
    arrivesOn: "docker0",
    source: "10.1.66.2",
    destination: "10.1.9.2",
  };
  const at = (isSourceRouted: boolean | undefined) =>
    verdictOf(chains, arriving("prerouting", { ...forged, isSourceRouted }));
  assertEquals([at(false), at(true), at(undefined)], [
    "drop",
    "accept",
    "unknown",
  ]);
});

Deno.test("Loden's rules against spoofing drop forwarded outer packets", () => {
  const chains = chainsOf("loden-anti-spoofing");
  const outer: PacketChange = {
    leavesBy: "eth0",
    protocol: 17,
    port: 8285,
  };
  const from = (arrivesOn: string) =>
    verdictOf(chains, arriving("forward", { ...outer, arrivesOn }));
  assertEquals([from("docker0"), from("eth1")], ["drop", "accept"]);
});

const CASES: readonly {
  readonly name: string;
  readonly packet: PacketChange;
  readonly verdict: "accept" | "drop" | "unknown";
}[] = [
  {
    name: "a source in a set",
    packet: { source: "10.1.5.9", protocol: 6, port: 443 },
    verdict: "drop",
  },
  {
    name: "an address and port in a set",
    packet: { protocol: 6, port: 443 },
    verdict: "accept",
  },
  {
    name: "another port",
    packet: { protocol: 6, port: 444 },
    verdict: "drop",
  },
  {
    name: "a port in a range, and a device by the beginning of its name",
    packet: { arrivesOn: "veth12", protocol: 17, port: 55 },
    verdict: "accept",
  },
  {
    name: "a port beyond the range",
    packet: { arrivesOn: "veth12", protocol: 17, port: 61 },
    verdict: "drop",
  },
  { name: "an echo request", packet: {}, verdict: "accept" },
  {
    name: "an address of this host",
    packet: { destination: "10.1.27.1", protocol: 17, port: 9 },
    verdict: "accept",
  },
];

for (const { name, packet, verdict } of CASES) {
  Deno.test(`nftables, ${name}: ${verdict}`, () => {
    assertEquals(
      verdictOf(chainsOf("fw"), arriving("forward", packet)),
      verdict,
    );
  });
}

/** A chain of forward with one rule, and the policy accept. */
function oneRule(expr: readonly unknown[]): string {
  const table = { family: "inet", table: "t" };
  return JSON.stringify({
    nftables: [
      { table: { family: "inet", name: "t" } },
      {
        chain: {
          ...table,
          name: "c",
          type: "filter",
          hook: "forward",
          prio: 0,
          policy: "accept",
        },
      },
      { rule: { ...table, chain: "c", handle: 7, expr } },
    ],
  });
}

Deno.test("what nftables does with an unknown expression cannot be told", () => {
  for (
    const expr of [
      [{ match: { op: "==", left: { rt: { key: "mtu" } }, right: 1 } }, {
        drop: null,
      }],
      [{ xt: { type: "match", name: "set" } }, { drop: null }],
      [{ queue: null }],
      [{ dnat: { addr: "10.1.27.3" } }],
      [{ limit: { rate: 5, per: "second" } }, { drop: null }],
      [{ vmap: { key: { meta: { key: "mark" } }, data: "@gone" } }],
      [{ jump: { target: "gone" } }],
      [{
        match: {
          op: ">",
          left: { meta: { key: "length" } },
          right: 1,
        },
      }, { drop: null }],
    ]
  ) {
    assertEquals(
      verdictOf(nftBaseChains(oneRule(expr)), arriving("forward")),
      "unknown",
      JSON.stringify(expr),
    );
  }
});

Deno.test("an unknown expression decides nothing where another condition fails", () => {
  const text = oneRule([
    { match: { op: "==", left: { meta: { key: "oifname" } }, right: "eth9" } },
    { match: { op: "==", left: { rt: { key: "mtu" } }, right: 1 } },
    { drop: null },
  ]);
  assertEquals(verdictOf(nftBaseChains(text), arriving("forward")), "accept");
});

Deno.test("a rule about a field of another protocol does not match, whatever it compares", () => {
  const payload = (protocol: string, field: string) => ({
    payload: { protocol, field },
  });
  for (
    const left of [
      payload("tcp", "dport"),
      payload("udp", "length"),
      payload("ip6", "saddr"),
      payload("icmpv6", "type"),
      { "tcp option": { name: "maxseg", field: "size" } },
      { exthdr: { name: "frag" } },
      { "&": [payload("tcp", "flags"), 2] },
      { concat: [payload("ip", "daddr"), payload("tcp", "dport")] },
    ]
  ) {
    for (const op of ["==", "!=", ">"]) {
      const text = oneRule([{ match: { op, left, right: 22 } }, {
        drop: null,
      }]);
      assertEquals(
        verdictOf(nftBaseChains(text), arriving("forward")),
        "accept",
        `${op} ${JSON.stringify(left)}`,
      );
    }
  }
  const others = oneRule([
    { match: { op: "!=", left: payload("tcp", "dport"), right: 22 } },
    { drop: null },
  ]);
  const tcp = (port: number) =>
    verdictOf(
      nftBaseChains(others),
      arriving("forward", { protocol: 6, port }),
    );
  assertEquals([tcp(22), tcp(80)], ["accept", "drop"]);
});

Deno.test("rules of IPv6 and of bridges say nothing about an IPv4 packet", () => {
  const text = oneRule([{ drop: null }]).replaceAll('"inet"', '"ip6"');
  assertEquals(verdictOf(nftBaseChains(text), arriving("forward")), "accept");
});

Deno.test("a text that is no list of rules is refused", () => {
  for (const text of ["", "{}", "[]", '{"nftables":1}']) {
    assertThrows(() => nftBaseChains(text), BadRulesetError);
  }
});
