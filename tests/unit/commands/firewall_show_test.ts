import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  type Footprint,
  writeFootprint,
} from "../../../agent/instance/footprint.ts";
import { instancePaths } from "../../../agent/instance/instance.ts";
import { run } from "../../../commands/firewall_show.ts";
import { NoFirewallToolError } from "../../../host/firewall/errors.ts";
import { parseCidr } from "../../../net/cidr.ts";
import { FakeCommandIo } from "../../fakes/fake_command_io.ts";
import {
  FakeCommandRunner,
  type FakeProgram,
} from "../../fakes/fake_command_runner.ts";

const FOOTPRINT: Footprint = {
  network: parseCidr("10.1.0.0/16")!,
  subnet: parseCidr("10.1.5.0/24")!,
  files: [],
  firewall: {
    masquerade: false,
    forward: true,
    randomFully: true,
    enableNftables: false,
  },
};

const COMMENT = '-m comment --comment "flanneld forward"';
const RULES = [
  `-A FORWARD ${COMMENT} -j FLANNEL-FWD`,
  `-A FLANNEL-FWD -s 10.1.0.0/16 ${COMMENT} -j ACCEPT`,
  `-A FLANNEL-FWD -d 10.1.0.0/16 ${COMMENT} -j ACCEPT`,
];

/** iptables with these rules in `filter`. */
function iptables(rules: readonly string[]): Record<string, FakeProgram> {
  const chain = rules.length > 0 ? ":FLANNEL-FWD - [0:0]\n" : "";
  return {
    "iptables": () => ({ stdout: "iptables v1.8.11 (nf_tables)" }),
    "iptables-save": () => ({
      stdout: `*filter\n:FORWARD DROP [0:0]\n${chain}${
        rules.join("\n")
      }\nCOMMIT\n`,
    }),
  };
}

/** The command's exit code and output on such a host. */
async function show(
  programs: Record<string, FakeProgram>,
  { footprint, json }: { footprint?: Footprint; json?: boolean } = {},
) {
  const runDir = await Deno.makeTempDir();
  try {
    const io = new FakeCommandIo([
      `--run-dir=${runDir}`,
      ...json ? ["--json"] : [],
    ]);
    if (footprint !== undefined) {
      const paths = instancePaths(runDir, "/coreos.com/network");
      await writeFootprint(paths, footprint);
    }
    const code = await run(
      io.as("firewall show"),
      new FakeCommandRunner(programs),
      () => "flannel0",
    );
    return { code, out: io.out };
  } finally {
    await Deno.remove(runDir, { recursive: true });
  }
}

Deno.test("rules that are in place are listed, and the command ends with 0", async () => {
  const { code, out } = await show(iptables(RULES), { footprint: FOOTPRINT });
  assertEquals(code, 0);
  assertEquals(out.split("\n").slice(0, 5), [
    "network 10.1.0.0/16, subnet 10.1.5.0/24, --ip-masq=false, " +
    "--iptables-forward-rules=true",
    "iptables, masquerade and forward: in place",
    ...RULES.map((rule) => `  filter: ${rule}`),
  ]);
  assertStringIncludes(out, "past Docker's drops: none, none wanted");
});

Deno.test("what is missing or out of order is named, and the command ends with 6", async () => {
  const [jump, first, second] = RULES as [string, string, string];
  for (
    const [rules, toDo] of [
      [[], "append the jump from FORWARD to FLANNEL-FWD"],
      [[first, second], "append the jump from FORWARD to FLANNEL-FWD"],
      [[jump, first], "write chain FLANNEL-FWD"],
      [[jump, second, first], "write chain FLANNEL-FWD"],
      [[jump, jump, first, second], "remove a second jump"],
    ] as const
  ) {
    const { code, out } = await show(iptables(rules), { footprint: FOOTPRINT });
    assertEquals(code, 6, toDo);
    assertStringIncludes(out, "iptables, masquerade and forward: NOT in place");
    assertStringIncludes(out, `  to do: filter: ${toDo}`);
  }
});

Deno.test("rules by the tool that is not used are left over", async () => {
  const firewall = { ...FOOTPRINT.firewall!, enableNftables: true };
  const footprint = { ...FOOTPRINT, firewall };
  const nft: FakeProgram = () => ({
    code: 1,
    stderr: "Error: No such file or directory",
  });
  const { out } = await show({ ...iptables(RULES), nft }, { footprint });
  assertStringIncludes(out, "nftables, masquerade and forward: NOT in place");
  assertStringIncludes(out, "iptables, masquerade and forward: left over");
});

Deno.test("--json has the same as one object", async () => {
  const { out } = await show(iptables(RULES.slice(0, 2)), {
    footprint: FOOTPRINT,
    json: true,
  });
  const { schema, network, subnet, masquerade, forward, sets } = JSON.parse(
    out,
  );
  assertEquals(
    { schema, network, subnet, masquerade, forward },
    {
      schema: 1,
      network: "10.1.0.0/16",
      subnet: "10.1.5.0/24",
      masquerade: false,
      forward: true,
    },
  );
  assertEquals(sets[0], {
    tool: "iptables",
    purpose: "masquerade and forward",
    isChosen: true,
    state: "incomplete",
    rules: RULES.slice(0, 2).map((rule) => `filter: ${rule}`),
    toDo: ["filter: write chain FLANNEL-FWD, 2 rules (0 not of this network)"],
  });
});

Deno.test("without an agent's record the rules of all networks are listed as found", async () => {
  const { code, out } = await show(iptables(RULES));
  assertEquals(code, 0);
  assertStringIncludes(out, "no agent of /coreos.com/network has left");
  assertStringIncludes(out, "iptables, masquerade and forward: as found");
  assertStringIncludes(out, `  filter: ${RULES[0]}`);
  assertStringIncludes(out, "iptables, past Docker's drops: none\n");
});

Deno.test("without any tool the package to install is named", async () => {
  await assertRejects(() => show({}), NoFirewallToolError, "iptables or nft");
});
