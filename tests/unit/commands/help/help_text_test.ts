import { assert, assertEquals } from "@std/assert";
import { AGENT_FLAGS } from "../../../../config/flags.ts";
import {
  renderHelp,
  renderUsage,
} from "../../../../commands/help/help_text.ts";
import { commandTable } from "../../../../commands/table.ts";

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

/** Lines that are wider than the terminal although they could be broken. */
function tooWide(text: string, columns: number): string[] {
  return text.split("\n").filter((line) =>
    line.length > columns && line.trim().includes(" ")
  );
}

Deno.test("help fits a terminal of 40 columns", () => {
  const narrow = renderHelp(AGENT_FLAGS, {
    usage: ["loden [FLAG]...", "loden COMMAND [FLAG]..."],
    commands: commandTable,
    environment: true,
    columns: 40,
  });
  assertEquals(tooWide(narrow, 40), []);
  assert(narrow.includes("\n  config show\n      show every setting"));
  assertEquals(tooWide(renderUsage(commandTable, 40), 40), []);
});

Deno.test("the list of commands is never wider than 80 columns", () => {
  assertEquals(tooWide(renderUsage(commandTable), 80), []);
  assertEquals(tooWide(renderUsage(commandTable, 200), 80), []);
});
