import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  FirewallNotKeptError,
  FirewallRefusedError,
  NoFirewallToolError,
} from "../../../../host/firewall/errors.ts";
import { IptablesFirewall } from "../../../../host/firewall/iptables_firewall.ts";
import { RULES } from "../../../contract/firewall_contract.ts";
import {
  FakeCommandRunner,
  type FakeProgram,
} from "../../../fakes/fake_command_runner.ts";

const signal = new AbortController().signal;

/** An iptables that keeps what it is given; `restore` may intervene. */
function fakeIptables(
  version: string,
  restore: FakeProgram = () => ({}),
): FakeCommandRunner {
  let saved = "";
  return new FakeCommandRunner({
    "iptables": () => ({ stdout: version }),
    "iptables-save": () => ({ stdout: saved }),
    "iptables-restore": (words, stdin) => {
      const result = restore(words, stdin);
      // The jumps come after the chains, which is all the same to a reader.
      if (!result.code) {
        saved = stdin!.replaceAll(
          /^\*.*$/gm,
          "$&\n:POSTROUTING ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]",
        );
      }
      return result;
    },
  });
}

for (
  const [version, isModern] of [
    ["iptables v1.8.11 (nf_tables)", true],
    ["iptables v1.6.2", true],
    ["iptables v1.6.1", false],
    ["iptables v1.4.21", false],
    ["iptables v2.0.0", true],
    ["something else", false],
  ] as const
) {
  Deno.test(`${version} ${isModern ? "waits for the lock and" : "neither waits for the lock nor"} chooses ports at random`, async () => {
    let script = "";
    const runner = fakeIptables(version, (_words, stdin) => {
      script = stdin!;
      return {};
    });
    const firewall = new IptablesFirewall({ runner });
    await firewall.ensure(RULES, signal);
    assertEquals(script.includes("--random-fully"), isModern);
    const restore = runner.runs.find((run) =>
      run.startsWith("iptables-restore")
    );
    assertEquals(
      restore,
      `iptables-restore --noflush${isModern ? " --wait=5" : ""}`,
    );
  });
}

Deno.test("a refusal is tried once more from a fresh look", async () => {
  let tries = 0;
  const runner = fakeIptables("iptables v1.8.11", () => {
    return tries++ === 0 ? { code: 1, stderr: "line 3 failed" } : {};
  });
  await new IptablesFirewall({ runner }).ensure(RULES, signal);
  assertEquals(tries, 2);
});

Deno.test("a refusal that lasts says what the tool said", async () => {
  const runner = fakeIptables("iptables v1.8.11", () => ({
    code: 4,
    stderr: "iptables-restore: Permission denied (you must be root)\nmore",
  }));
  const error = await assertRejects(
    () => new IptablesFirewall({ runner }).ensure(RULES, signal),
    FirewallRefusedError,
    "iptables-restore --noflush --wait=5 ended with 4: " +
      "iptables-restore: Permission denied (you must be root)",
  );
  assert(error.hint?.includes("root"));
});

Deno.test("rules that are gone at once are an error, not a success", async () => {
  const runner = new FakeCommandRunner({
    "iptables": () => ({ stdout: "iptables v1.8.11" }),
    "iptables-save": () => ({}),
    "iptables-restore": () => ({}),
  });
  const error = await assertRejects(
    () => new IptablesFirewall({ runner }).ensure(RULES, signal),
    FirewallNotKeptError,
    "nat: write chain FLANNEL-POSTRTG",
  );
  assertEquals(error.code, "firewall.not-kept");
});

Deno.test("a program that is not there is an error that names packages", async () => {
  const error = await assertRejects(
    () =>
      new IptablesFirewall({ runner: new FakeCommandRunner({}) })
        .ensure(RULES, signal),
    NoFirewallToolError,
    "there is no such program",
  );
  assert(error.hint?.includes("iptables or nftables"));
});
