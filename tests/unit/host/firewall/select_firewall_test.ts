import { assertEquals, assertRejects } from "@std/assert";
import { NoFirewallToolError } from "../../../../host/firewall/errors.ts";
import {
  selectFirewall,
  workingRuleSets,
} from "../../../../host/firewall/select_firewall.ts";
import {
  FakeCommandRunner,
  type FakeProgram,
} from "../../../fakes/fake_command_runner.ts";

const signal = new AbortController().signal;

const IPTABLES: Record<string, FakeProgram> = { "iptables-save": () => ({}) };
const BROKEN_IPTABLES: Record<string, FakeProgram> = {
  "iptables-save": () => ({ code: 3, stderr: "Protocol not supported" }),
};
const NFT: Record<string, FakeProgram> = {
  nft: () => ({ code: 1, stderr: "Error: No such file or directory" }),
};
const FORBIDDEN_NFT: Record<string, FakeProgram> = {
  nft: () => ({ code: 1, stderr: "Operation not permitted" }),
};

async function chosen(
  programs: Record<string, FakeProgram>,
  enableNftables: boolean,
): Promise<string> {
  const runner = new FakeCommandRunner(programs);
  const { firewall, others, reason } = await selectFirewall(
    runner,
    { enableNftables },
    signal,
  );
  const tools = new Set([firewall, ...others].map(({ tool }) => tool));
  return `${[...tools].join(" before ")}: ${reason}`;
}

Deno.test("iptables is taken where it works", async () => {
  assertEquals(
    await chosen({ ...IPTABLES, ...NFT }, false),
    "iptables before nftables: iptables works",
  );
});

Deno.test("EnableNFTables asks for nft", async () => {
  assertEquals(
    await chosen({ ...IPTABLES, ...NFT }, true),
    "nftables before iptables: EnableNFTables is set",
  );
});

Deno.test("the other tool is taken where the one asked for does not work", async () => {
  assertEquals(
    await chosen(NFT, false),
    "nftables: iptables does not work here",
  );
  assertEquals(
    await chosen({ ...BROKEN_IPTABLES, ...NFT }, false),
    "nftables: iptables does not work here",
  );
  assertEquals(
    await chosen({ ...IPTABLES, ...FORBIDDEN_NFT }, true),
    "iptables: nftables does not work here",
  );
});

Deno.test("without a working tool, both reasons are given", async () => {
  const error = await assertRejects(
    () => chosen({ ...BROKEN_IPTABLES }, false),
    NoFirewallToolError,
    "Protocol not supported",
  );
  assertEquals(error.message.includes("Cannot run nft"), true);
  assertEquals(error.code, "firewall.no-tool");
});

Deno.test("a cleanup looks through every tool that works", async () => {
  const runner = new FakeCommandRunner({ ...IPTABLES, ...NFT });
  const firewalls = await workingRuleSets(runner, signal);
  assertEquals(firewalls.map(({ tool, purpose }) => `${tool}: ${purpose}`), [
    "iptables: masquerade and forward",
    "nftables: masquerade and forward",
    "iptables: anti-spoofing",
    "nftables: anti-spoofing",
    "iptables: past Docker's drops",
    "nftables: mark for Docker",
    "nftables: flannel's empty table",
  ]);
});

Deno.test("Docker's drops are passed by the tools that work, whichever sets our rules", async () => {
  for (const enableNftables of [false, true]) {
    const { forDocker } = await selectFirewall(
      new FakeCommandRunner({ ...IPTABLES, ...NFT }),
      { enableNftables },
      signal,
    );
    assertEquals(forDocker.map(({ tool }) => tool), ["iptables", "nftables"]);
  }
  const { forDocker } = await selectFirewall(
    new FakeCommandRunner(NFT),
    { enableNftables: false },
    signal,
  );
  assertEquals(forDocker.map(({ tool }) => tool), ["nftables"]);
});
