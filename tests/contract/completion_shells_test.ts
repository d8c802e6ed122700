/**
 * The completion scripts in the shells that they are for. bash's is with the unit
 * tests: every Linux has that.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { commandTable } from "../../commands/table.ts";
import { renderCompletion } from "../../commands/completion/completion.ts";
import { AGENT_FLAGS } from "../../config/flags.ts";
import { HostCommandRunner } from "../../linux/command.ts";

const input = { program: "loden", flags: AGENT_FLAGS, commands: commandTable };
const runner = new HostCommandRunner();
const TIME_MS = 30_000;

/** What fish offers at the end of a line. */
async function fishOffers(line: string): Promise<string[]> {
  const { code, stdout, stderr } = await runner.run("fish", [
    ...["--no-config", "--command"],
    'source -; complete --do-complete "$argv[1]"',
    line,
  ], {
    stdin: renderCompletion("fish", input),
    signal: AbortSignal.timeout(TIME_MS),
  });
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  return stdout.split("\n").filter((offer) => offer !== "")
    .map((offer) => offer.split("\t")[0]!);
}

/**
 * A zsh at a terminal of its own. What it has typed is printed between two words
 * that no command has.
 */
const ZSH_AT_A_TERMINAL = `
  zmodload zsh/zpty
  zpty shell zsh -f -i
  zpty -w shell "PROMPT=; unsetopt zle_bracketed_paste
    fpath=($1 \\$fpath); autoload -U compinit; compinit -u -D
    show() { print -r -- \\"<<\\$BUFFER>>\\" }
    zle -N show; bindkey '^X' show; print RE''ADY"
  zpty -r shell said '*READY*'
  zpty -w -n shell "$2"$'\\t\\x18'
  zpty -r shell said '*<<*>>*'
  print -r -- "$said"
  zpty -d shell`;

/** The line that zsh makes of this one and the Tab key. */
async function zshCompletes(line: string): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "loden-zsh-" });
  try {
    await Deno.writeTextFile(
      `${directory}/_loden`,
      renderCompletion("zsh", input),
    );
    const { code, stdout, stderr } = await runner.run(
      "zsh",
      ["-f", "-c", ZSH_AT_A_TERMINAL, "zsh", directory, line],
      { signal: AbortSignal.timeout(TIME_MS) },
    );
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    return /<<(.*)>>/.exec(stdout)?.[1] ?? stdout;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("fish offers commands, flags of the command, and values", async () => {
  const first = await fishOffers("loden ");
  for (const word of ["agent", "config", "status"]) {
    assert(first.includes(word));
  }
  assertEquals(await fishOffers("loden config "), ["get", "put", "show"]);
  assertEquals(await fishOffers("loden --datapath "), ["auto", "ebpf", "tun"]);
  assert((await fishOffers("loden --ip-")).includes("--ip-masq"));
  assert(!(await fishOffers("loden status -")).includes("--ip-masq"));
});

Deno.test("zsh completes commands, flags of the command, and values", async () => {
  assertEquals(await zshCompletes("loden conf"), "loden config ");
  assertEquals(await zshCompletes("loden config s"), "loden config show ");
  assertEquals(
    await zshCompletes("loden --datapath=t"),
    "loden --datapath=tun ",
  );
  assertEquals(
    await zshCompletes("loden config show --etcd-end"),
    "loden config show --etcd-endpoints=",
  );
  assertEquals(
    await zshCompletes("loden status --ip-m"),
    "loden status --ip-m",
  );
});
