import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import type { CommandEntry } from "../../../commands/command.ts";
import { dispatch } from "../../../commands/dispatch.ts";
import { commandTable } from "../../../commands/table.ts";
import { LodenError } from "../../../errors.ts";
import { FakeCommandIo } from "../../fakes/fake_command_io.ts";

function table(run: CommandEntry["load"]): CommandEntry[] {
  return commandTable.map((entry) => ({ ...entry, load: run }));
}

/** Which command a command line leads to, and what it is given. */
async function runs(...argv: string[]): Promise<[string, ...string[]]> {
  let ran: [string, ...string[]] = ["nothing"];
  const entries = commandTable.map((entry) => ({
    ...entry,
    load: () =>
      Promise.resolve({
        run: (io: { argv: readonly string[] }) => {
          ran = [entry.name, ...io.argv];
          return 0;
        },
      }),
  }));
  await dispatch(new FakeCommandIo(argv), entries);
  return ran;
}

Deno.test("without a command the agent runs, with every flag", async () => {
  assertEquals(await runs(), ["agent"]);
  assertEquals(await runs("-iface", "eth1", "status"), [
    "agent",
    "-iface",
    "eth1",
    "status",
  ]);
  assertEquals(await runs("--version"), ["agent", "--version"]);
  assertEquals(await runs("agent", "-v=1"), ["agent", "-v=1"]);
});

Deno.test("a command of two words takes both", async () => {
  assertEquals(await runs("config", "put", "{}"), ["config put", "{}"]);
  assertEquals(await runs("status", "--json"), ["status", "--json"]);
});

Deno.test("an unknown command: one line, the usage, exit code 2", async () => {
  const io = new FakeCommandIo(["statsu"]);
  assertEquals(await dispatch(io, commandTable), 2);
  assertEquals(io.out, "");
  const [first] = io.err.split("\n");
  assertEquals(
    first,
    'loden: Cannot run "statsu": there is no such command (did you mean status?)',
  );
  assertStringIncludes(io.err, "Usage: loden [COMMAND]");
});

Deno.test("half a command names its other half", async () => {
  const io = new FakeCommandIo(["config", "list"]);
  assertEquals(await dispatch(io, commandTable), 2);
  assertStringIncludes(
    io.err,
    "config: it must be followed by one of show, get, put",
  );
});

Deno.test("an empty word does not start the agent", async () => {
  const io = new FakeCommandIo([""]);
  assertEquals(await dispatch(io, commandTable), 2);
});

Deno.test("an unknown flag of a command ends with 2, and is named", async () => {
  for (
    const argv of [["--ifcae=eth0"], ["status", "--jsno"], [
      "config",
      "show",
      "--x",
    ]]
  ) {
    const io = new FakeCommandIo(argv);
    assertEquals(await dispatch(io, commandTable), 2);
    assertStringIncludes(
      io.err,
      `there is no flag ${argv.at(-1)!.split("=")[0]}`,
    );
  }
});

Deno.test("a foreseen error is one line without a stack", async () => {
  const io = new FakeCommandIo(["status"]);
  const code = await dispatch(
    io,
    table(() =>
      Promise.resolve({
        run: () => {
          throw new LodenError("x", "Cannot do\nit \x1b[1m", {
            hint: "try again",
          });
        },
      })
    ),
  );
  assertEquals(code, 1);
  assertEquals(io.err, "loden: Cannot do it ?[1m (try again)\n");
});

Deno.test("a defect shows its stack and has a code of its own", async () => {
  const io = new FakeCommandIo(["status"]);
  const code = await dispatch(
    io,
    table(() =>
      Promise.resolve({
        run: () => {
          throw new TypeError("undefined is not a function");
        },
      })
    ),
  );
  assertEquals(code, 70);
  assertStringIncludes(io.err, "dispatch_test.ts");
});

Deno.test("every command has its help, on stdout", async () => {
  for (const { name, synopsis } of commandTable) {
    if (name === "docker-opts") continue;
    const io = new FakeCommandIo([...name.split(" "), "--help"]);
    assertEquals(await dispatch(io, commandTable), 0);
    assert(io.out.startsWith("Usage: loden"), name);
    if (name !== "agent") assertStringIncludes(io.out, `${name} ${synopsis}`);
    assertEquals(io.err, "");
  }
});

Deno.test("help lists every command, and shows the help of one", async () => {
  const io = new FakeCommandIo(["help"]);
  assertEquals(await dispatch(io, commandTable), 0);
  for (const { name } of commandTable) {
    assertStringIncludes(io.out, `  ${name}`);
  }
  const one = new FakeCommandIo(["help", "config", "put"]);
  assertEquals(await dispatch(one, commandTable), 0);
  assertStringIncludes(one.out, "Usage: loden config put [--force]");
  assertStringIncludes(one.out, "--etcd-endpoints");
});

Deno.test("docker-opts keeps the script's usage and its exit code", async () => {
  const io = new FakeCommandIo(["docker-opts", "-x"]);
  assertEquals(await dispatch(io, commandTable), 1);
  assertStringIncludes(io.err, "docker-opts [-f FLANNEL-ENV-FILE]");
});

Deno.test("a command after a flag gets a hint; another word does not", async () => {
  const late = new FakeCommandIo(["--etcd-prefix=/a", "config", "get"]);
  assertEquals(await dispatch(late, commandTable), 2);
  assertStringIncludes(
    late.err,
    'current word is "config" (put the command first: loden config ...)',
  );
  const other = new FakeCommandIo(["--iface", "status", "statues"]);
  assertEquals(await dispatch(other, commandTable), 2);
  assertStringIncludes(other.err, 'current word is "statues" (see --help)');
});

Deno.test("a config that cannot be right is a word that cannot be right: code 2, without the usage", async () => {
  const io = new FakeCommandIo(["config", "put", "{}"]);
  assertEquals(await dispatch(io, commandTable), 2);
  assertMatch(io.err, /^loden: Cannot use .*Network must be .*\n$/);
});

Deno.test("config show refuses a word of --disable-feature that the agent refuses", async () => {
  const io = new FakeCommandIo(["config", "show", "--disable-feature=tcy"]);
  assertEquals(await dispatch(io, commandTable), 2);
  assertStringIncludes(io.err, "tcx");
});

Deno.test("completion is made for the shells that are known", async () => {
  const io = new FakeCommandIo(["completion", "bash"]);
  assertEquals(await dispatch(io, commandTable), 0);
  assertStringIncludes(io.out, "docker-opts");
  const bad = new FakeCommandIo(["completion", "tcsh"]);
  assertEquals(await dispatch(bad, commandTable), 2);
});

Deno.test("version names what a report of a defect needs", async () => {
  const io = new FakeCommandIo(["version", "--json"]);
  assertEquals(await dispatch(io, commandTable), 0);
  const { loden, kernel } = JSON.parse(io.out);
  assert(/^\d+\.\d+\.\d+/.test(loden));
  assertEquals(kernel, Deno.osRelease());
});
