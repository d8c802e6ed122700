/**
 * The rules against spoofing, by each tool, on the kernel's own firewall.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import type { FirewallRules, RuleSet } from "../../host/firewall/firewall.ts";
import { IptablesAntiSpoofing } from "../../host/firewall/iptables_anti_spoofing.ts";
import { NftablesAntiSpoofing } from "../../host/firewall/nftables_anti_spoofing.ts";
import { HostCommandRunner } from "../../linux/command.ts";
import { parseCidr } from "../../net/cidr.ts";
import { RULES as PLAIN, SECOND as OTHER } from "./firewall_contract.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";

const runner = new HostCommandRunner();
const signal = new AbortController().signal;
const sh = (script: string) => runSync("sh", ["-euc", script]);

const ANTI_SPOOFING = {
  underlay: {
    traffic: [{ protocol: 17, port: 8285 }, { protocol: 4 }],
    devices: ["eth1", "eth0"],
  },
  bridges: ["docker0"],
};
const RULES: FirewallRules = {
  ...PLAIN,
  overlayDevice: "flannel0",
  antiSpoofing: ANTI_SPOOFING,
};
const SECOND: FirewallRules = {
  ...OTHER,
  overlayDevice: "flannel1",
  antiSpoofing: {
    underlay: {
      traffic: [{ protocol: 17, port: 8286 }],
      devices: ["eth0"],
    },
    bridges: [],
  },
};

const TOOLS: readonly [string, () => RuleSet, flush: string][] = [
  [
    "iptables-nft",
    () => new IptablesAntiSpoofing({ runner }, { command: "iptables-nft" }),
    "iptables-nft -t mangle -F",
  ],
  [
    "iptables-legacy",
    () => new IptablesAntiSpoofing({ runner }, { command: "iptables-legacy" }),
    "iptables-legacy -t mangle -F",
  ],
  [
    "nft",
    () => new NftablesAntiSpoofing({ runner }),
    "nft flush ruleset",
  ],
];

testInNamespace("rules against spoofing", import.meta.url, () => {
  for (const [name, make, flush] of TOOLS) {
    const test = (sentence: string, body: (set: RuleSet) => Promise<void>) =>
      Deno.test(`${name}: ${sentence}`, () => {
        sh(`nft flush ruleset
          printf '*mangle\\nCOMMIT\\n' | iptables-legacy-restore`);
        return body(make());
      });
    const check = (set: RuleSet, rules = RULES) => set.check(rules, signal);

    test("rules are set once, found in place, listed, and set again after a flush", async (set) => {
      for (let round = 0; round < 2; round++) {
        assert((await check(set)).length > 0);
        assert((await set.ensure(RULES, signal)).length > 0);
        assertEquals(await check(set), []);
        assertEquals(await set.ensure(RULES, signal), []);
        const listed = (await set.list(signal)).join("\n");
        for (const word of ["8285", "eth0", "eth1", "docker0", "flannel0"]) {
          assertStringIncludes(listed, word);
        }
        sh(flush);
      }
    });

    test("no chain of a busy hook is entered, no device's name compared, and nothing looked up for packets of the overlay", async (set) => {
      await set.ensure(RULES, signal);
      const listed = await set.list(signal);
      const calls = listed.filter((rule) => /-j LODEN/.test(rule));
      for (const call of calls) assertMatch(call, / -[psd] /);
      for (const rule of name === "nft" ? listed : []) {
        assert(rule.search(/saddr|dport/) < rule.search(/[io]ifname/), rule);
      }
      for (const rule of listed) {
        if (!/rpfilter|fib/.test(rule)) continue;
        assertMatch(rule, /(! -s|saddr !=) 10\.1\.27\.0\/24/);
        assert(rule.search(/saddr|-s/) < rule.search(/rpfilter|fib/), rule);
      }
    });

    test("rules of the form before are replaced, calls without a condition too", async (set) => {
      await set.ensure(RULES, signal);
      if (name === "nft") return;
      const [, chain] = /-j (LODEN-SPOOF-FWD-\S+)/.exec(
        (await set.list(signal)).join("\n"),
      )!;
      const call = `-t mangle -A FORWARD -m comment ` +
        `--comment "loden anti-spoofing 10.1.0.0/16" -j ${chain}`;
      sh(`${name} ${call}`);
      assert((await check(set)).length > 0);
      await set.ensure(RULES, signal);
      assertEquals(await check(set), []);
      assert(!(await set.list(signal)).join("\n").includes(`16" -j`));
    });

    test("other devices take the former ones' places", async (set) => {
      await set.ensure(RULES, signal);
      const moved: FirewallRules = {
        ...RULES,
        antiSpoofing: {
          underlay: { ...ANTI_SPOOFING.underlay, devices: ["eth2"] },
          bridges: [],
        },
      };
      assert((await set.ensure(moved, signal)).length > 0);
      assertEquals(await check(set, moved), []);
      const listed = (await set.list(signal)).join("\n");
      assert(!/eth0|docker0/.test(listed), listed);
    });

    test("two networks live side by side, and each goes alone", async (set) => {
      await set.ensure(RULES, signal);
      await set.ensure(SECOND, signal);
      assertEquals([await check(set), await check(set, SECOND)], [[], []]);
      assert((await set.remove({ network: RULES.network }, signal)).length > 0);
      assertEquals(await check(set, SECOND), []);
      assert((await check(set)).length > 0);
      assert((await set.remove({}, signal)).length > 0);
      assertEquals(await set.list(signal), []);
    });

    test("where the rules are not wanted they go; a former network's go too", async (set) => {
      await set.ensure(SECOND, signal);
      await set.ensure({ ...RULES, formerNetwork: SECOND.network }, signal);
      assert((await check(set, SECOND)).length > 0);
      await set.ensure({ ...RULES, antiSpoofing: undefined }, signal);
      assertEquals(await set.list(signal), []);
      assertEquals(await set.remove({ dryRun: true }, signal), []);
    });

    test("without the devices, the report says whether there are rules", async (set) => {
      const kept: FirewallRules = { ...RULES, antiSpoofing: "kept" };
      assert((await check(set, kept)).length > 0);
      await set.ensure(RULES, signal);
      assertEquals(await check(set, kept), []);
    });
  }

  Deno.test("iptables: a deleted rule is reported as missing, and others' rules stay", async () => {
    sh("nft flush ruleset");
    const set = new IptablesAntiSpoofing({ runner }, {
      command: "iptables-nft",
    });
    sh("iptables-nft -t mangle -A FORWARD -i eth9 -j ACCEPT");
    await set.ensure(RULES, signal);
    const chain = /-A (LODEN-SPOOF-FWD-\S+) /.exec(
      (await set.list(signal)).join("\n"),
    )![1]!;
    sh(`iptables-nft -t mangle -D ${chain} 1`);
    assert((await set.check(RULES, signal)).length > 0);
    await set.ensure(RULES, signal);
    await set.remove({ network: parseCidr("10.1.0.0/16")! }, signal);
    assertEquals(
      sh("iptables-nft -t mangle -S FORWARD").trim().split("\n").slice(1),
      ["-A FORWARD -i eth9 -j ACCEPT"],
    );
  });
});
