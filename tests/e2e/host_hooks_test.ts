/**
 * Which hooks of the host the packets cross: the table "What bypasses what" of
 * `docs/ebpf.md`.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { ping } from "../../bench/measure/ping.ts";
import type { NetNamespace } from "../rig/namespace.ts";
import { EACH_PATH } from "./data_paths.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { assertPings, QUICK, untilAnswered } from "./traffic.ts";

const suite = new OverlaySuite("host hooks", {
  // Every packet is counted.
  flags: ["--probe-port=0"],
});

/** Rules that only count, by the names that they are read back by. */
const RULES = `
table ip counted {
  chain prerouting {
    type filter hook prerouting priority -300
    udp dport 8285 counter comment "outer prerouting"
    iifname "flannel0" icmp type echo-request counter comment "inner prerouting"
  }
  chain input {
    type filter hook input priority 0
    udp dport 8285 counter comment "outer input"
  }
  chain forward {
    type filter hook forward priority 0
    iifname "flannel0" icmp type echo-request counter comment "inner forward in"
    oifname "flannel0" icmp type echo-reply counter comment "inner forward out"
  }
  chain output {
    type filter hook output priority 0
    udp dport 8285 counter comment "outer output"
  }
  chain postrouting {
    type filter hook postrouting priority 300
    udp dport 8285 counter comment "outer postrouting"
    oifname "flannel0" icmp type echo-reply counter comment "inner postrouting"
  }
}
table netdev counted {
  chain ingress {
    type filter hook ingress device "eth0" priority 0
    udp dport 8285 counter comment "outer device ingress"
  }
  chain egress {
    type filter hook egress device "eth0" priority 0
    udp dport 8285 counter comment "outer device egress"
  }
}
`;

async function count(
  host: NetNamespace,
  traffic: () => Promise<void>,
): Promise<Map<string, number>> {
  await host.run(["nft", "-f", "-"], { stdin: RULES });
  try {
    await traffic();
    const rules = await host.run(["nft", "list", "ruleset"]);
    return new Map(
      [...rules.matchAll(/counter packets (\d+) .* comment "(.*)"/g)]
        .map(([, packets, name]) => [name!, Number(packets)]),
    );
  } finally {
    await host.run(["nft", "delete table ip counted"]);
    await host.run(["nft", "delete table netdev counted"]);
  }
}

suite.each(EACH_PATH, (test, { traits }) => {
  test("the containers' packets cross every hook of the host; the outer ones do as docs/ebpf.md says", async () => {
    const [from, to] = [suite.node(0).container, suite.node(1).container];
    const host = suite.node(1).host.namespace;
    await untilAnswered(from.namespace, to.address);
    const counted = await count(
      host,
      () => assertPings(from.namespace, to.address),
    );
    assertEquals(counted.size, 10);
    for (const [name, packets] of counted) {
      const crosses = name.startsWith("inner") || !traits.seesBeforeHost;
      assert(
        crosses ? packets >= QUICK.count : packets === 0,
        `${name}: ${packets} packets`,
      );
    }
  });

  test("outer packets have an entry of connection tracking only where they cross the host's IP stack", async () => {
    const [from, to] = [suite.node(0).container, suite.node(1).container];
    const host = suite.node(1).host.namespace;
    await assertPings(from.namespace, to.address);
    const entries = (await host.run(["cat", "/proc/net/nf_conntrack"]))
      .split("\n");
    assert(
      entries.some((entry) => entry.includes(`dst=${to.address} `)),
      "the containers' packets are tracked",
    );
    assertEquals(
      entries.some((entry) => entry.includes("dport=8285")),
      !traits.seesBeforeHost,
    );
  });

  test("a rule that drops UDP 8285 in INPUT acts only where docs/ebpf.md says so", async () => {
    const [from, to] = [suite.node(0).container, suite.node(1).container];
    const host = suite.node(1).host.namespace;
    const rule = ["INPUT", "-p", "udp", "--dport", "8285", "-j", "DROP"];
    await assertPings(from.namespace, to.address);
    await host.run(["iptables", "-I", ...rule]);
    try {
      const { received, sent } = await ping(from.namespace, to.address, {
        ...QUICK,
        deadlineSeconds: 2,
      });
      assertEquals(received, traits.seesBeforeHost ? sent : 0);
    } finally {
      await host.run(["iptables", "-D", ...rule]);
    }
    await untilAnswered(from.namespace, to.address);
  });
});
