import { assert, assertEquals } from "@std/assert";
import { AGENT_FLAGS } from "../../../../config/flags.ts";
import { renderHelp } from "../../../../commands/help/help_text.ts";

const text = renderHelp(AGENT_FLAGS, {
  usage: ["loden [FLAG]...", "loden COMMAND [FLAG]..."],
  commands: [{ name: "config show", help: "print settings", flags: [] }],
  environment: true,
});

Deno.test("help names every flag of the table", () => {
  for (const { name } of AGENT_FLAGS) {
    const dashed = name.length === 1 ? `-${name}` : `--${name}`;
    assert(text.includes(dashed), name);
  }
});

Deno.test("help gives value, unit and default of a flag", () => {
  assert(text.includes(
    "\n  --iptables-resync=SECONDS\n" +
      "      how often the rules of iptables-legacy are checked (default 30)\n",
  ));
  assert(text.includes("\n  --datapath=auto|ebpf|tun\n"));
  assert(text.includes("\n  --ip-masq\n      masquerade traffic that leaves"));
  assert(text.includes("\n  -v=N\n"));
});

Deno.test("help begins with usage and commands and has no line over 80 columns", () => {
  const lines = text.split("\n");
  assertEquals(lines.slice(0, 5), [
    "Usage: loden [FLAG]...",
    "       loden COMMAND [FLAG]...",
    "",
    "Commands:",
    "  config show  print settings",
  ]);
  assertEquals(lines.filter((line) => line.length > 80), []);
  assertEquals(lines.filter((line) => line !== line.trimEnd()), []);
});

Deno.test("a command without flags has its usage line only", () => {
  assertEquals(
    renderHelp([], { usage: ["loden status"] }),
    "Usage: loden status\n",
  );
});
