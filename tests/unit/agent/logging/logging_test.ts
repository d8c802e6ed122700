import { assert, assertEquals } from "@std/assert";
import { getLogger, resetSync } from "@logtape/logtape";
import { fromFileUrl } from "@std/path";
import {
  configureLogging,
  type LoggingOptions,
  type LogOutput,
} from "../../../../agent/logging/logging.ts";

class FakeOutput implements LogOutput {
  text = "";
  terminal = false;
  journal = false;
  /** Called before each write; may throw, or say how many bytes are taken. */
  onWrite: (length: number) => number = (length) => length;

  writeSync(bytes: Uint8Array): number {
    const taken = this.onWrite(bytes.length);
    this.text += new TextDecoder().decode(bytes.subarray(0, taken));
    return taken;
  }
  isTerminal = () => this.terminal;
  isJournal = () => this.journal;

  get lines(): string[] {
    return this.text.split("\n").filter((line) => line !== "");
  }
}

function withLogging(
  options: Partial<LoggingOptions>,
  body: (output: FakeOutput) => void,
  prepare: (output: FakeOutput) => void = () => {},
): void {
  const output = new FakeOutput();
  prepare(output);
  configureLogging({ format: "auto", verbosity: 0, ...options }, output);
  try {
    body(output);
  } finally {
    resetSync();
  }
}

const log = getLogger(["loden", "test"]);

Deno.test("without -v info and above are shown, with -v=1 debug too", () => {
  const emit = () => {
    log.debug("d", { event: "d" });
    log.info("i", { event: "i" });
    log.warn("w", { event: "w" });
    log.error("e", { event: "e" });
  };
  withLogging({ verbosity: 0 }, (output) => {
    emit();
    assertEquals(output.lines.length, 3);
  });
  withLogging({ verbosity: 1 }, (output) => {
    emit();
    assertEquals(output.lines.length, 4);
  });
});

Deno.test("stacks are shown from -v=1 on", () => {
  for (const verbosity of [0, 1]) {
    withLogging({ verbosity, format: "json" }, (output) => {
      log.error("e", { event: "e", error: new Error("x") });
      const { errorStack } = JSON.parse(output.text);
      assertEquals(errorStack !== undefined, verbosity === 1);
    });
  }
});

Deno.test("auto is text, for the journal in its own form", () => {
  const emit = () => log.info("started", { event: "x" });
  withLogging({}, (output) => {
    emit();
    assert(/^20..-.*Z info started event=x\n$/.test(output.text));
  });
  withLogging({}, (output) => {
    emit();
    assertEquals(output.text, "<6>started event=x\n");
  }, (output) => output.journal = true);
  withLogging({ format: "text" }, (output) => {
    emit();
    assert(/^20..-.*Z info started event=x\n$/.test(output.text));
  }, (output) => output.journal = true);
  withLogging({ format: "json" }, (output) => {
    emit();
    assertEquals(JSON.parse(output.text).event, "x");
  }, (output) => output.terminal = true);
});

Deno.test("a short write is gone on with", () => {
  withLogging({}, (output) => {
    output.onWrite = (length) => Math.min(3, length);
    log.info("one", { event: "x" });
    assert(output.text.endsWith(" info one event=x\n"));
  });
});

Deno.test("a reader that went away loses lines, whose number is reported when it is back", () => {
  withLogging({ format: "json" }, (output) => {
    output.onWrite = () => {
      throw new Deno.errors.BrokenPipe("EPIPE");
    };
    log.info("a", { event: "a" });
    log.info("b", { event: "b" });
    output.onWrite = (length) => length;
    log.info("c", { event: "c" });
    const events = output.lines.map((line) => JSON.parse(line));
    assertEquals(events.map((one) => one.event), ["log.lost", "c"]);
    assertEquals(events[0].count, 2);
    assertEquals(events[0].level, "warn");
  });
});

Deno.test("a pipe that is full for a moment loses nothing", () => {
  withLogging({}, (output) => {
    let full = 3;
    output.onWrite = (length) => {
      if (full-- > 0) throw new Deno.errors.WouldBlock("EAGAIN");
      return length;
    };
    log.info("one", { event: "x" });
    assertEquals(output.lines.length, 1);
  });
});

Deno.test("after half a line the next one begins on its own", () => {
  withLogging({ format: "json" }, (output) => {
    let calls = 0;
    output.onWrite = () => {
      if (calls++ === 0) return 5;
      throw new Deno.errors.BrokenPipe("EPIPE");
    };
    log.info("a", { event: "a" });
    output.onWrite = (length) => length;
    log.info("b", { event: "b" });
    assertEquals(output.lines[0], `{"tim`);
    assertEquals(
      output.lines.slice(1).map((line) => JSON.parse(line).event),
      ["log.lost", "b"],
    );
  });
});

/** Logs, then ends at once; says on stdout that it got so far. */
const PROGRAM = `
const { configureLogging } = await import(${
  JSON.stringify(import.meta.resolve("../../../../agent/logging/logging.ts"))
});
const { getLogger } = await import("@logtape/logtape");
configureLogging({ format: "auto", verbosity: 0 });
const log = getLogger(["loden", "test"]);
for (let i = 0; i < 50; i++) log.info("line", { event: "line", i });
console.log("alive");
Deno.exit(0);
`;

const RUN = `"$DENO" run -A --no-lock --config="$CONFIG" --ext=ts -`;

async function runProgram(redirect: string, env: Record<string, string> = {}) {
  const config = fromFileUrl(import.meta.resolve("../../../../deno.json"));
  const output = await new Deno.Command("sh", {
    args: [
      "-c",
      `{ printf %s "$PROGRAM" | ${RUN} ${redirect}; } 3>&1`,
    ],
    env: { DENO: Deno.execPath(), CONFIG: config, PROGRAM, ...env },
  }).output();
  return {
    code: output.code,
    stdout: new TextDecoder().decode(output.stdout),
    stderr: new TextDecoder().decode(output.stderr),
  };
}

Deno.test("the last line before the process ends is on stderr", async () => {
  const { code, stdout, stderr } = await runProgram("");
  assertEquals([code, stdout], [0, "alive\n"]);
  assertEquals(stderr.trimEnd().split("\n").length, 50);
  assert(stderr.endsWith("event=line i=49\n"));
});

Deno.test("a full disk under stderr does not end the process", async () => {
  const { code, stdout } = await runProgram("2>/dev/full");
  assertEquals([code, stdout], [0, "alive\n"]);
});

Deno.test("a closed pipe under stderr does not end the process", async () => {
  // `true` reads nothing and ends, so that every write fails with EPIPE.
  const { stdout } = await runProgram("2>&1 >&3 | true");
  assertEquals(stdout, "alive\n");
});

Deno.test("the journal's own stream is distinguished from a redirected one", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const file = `${directory}/log`;
    await Deno.writeTextFile(file, "");
    const { dev, ino } = await Deno.stat(file);
    const withStream = async (stream: string) => {
      await Deno.truncate(file);
      await runProgram(`2>${file}`, { JOURNAL_STREAM: stream });
      return (await Deno.readTextFile(file)).slice(0, 3);
    };
    assertEquals(await withStream(`${dev}:${ino}`), "<6>");
    assertEquals(await withStream("8:1"), "202");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
