import { assert, assertEquals } from "@std/assert";
import type { LogRecord } from "@logtape/logtape";
import fc from "fast-check";
import {
  journalFormatter,
  jsonFormatter,
  type LineFormatter,
  textFormatter,
} from "../../../../agent/logging/log_line.ts";
import { LodenError } from "../../../../errors.ts";

const text = textFormatter({ stacks: false, colors: false });
const colored = textFormatter({ stacks: true, colors: true });
const json = jsonFormatter({ stacks: false });
const journal = journalFormatter({ stacks: false });

function record(
  message: string,
  properties: Record<string, unknown>,
  level: LogRecord["level"] = "info",
): LogRecord {
  return {
    category: ["loden", "lease"],
    level,
    message: [message],
    rawMessage: message,
    timestamp: Date.UTC(2026, 10, 24, 5, 54, 4, 57),
    properties,
  };
}

const ACQUIRED = record("lease acquired", {
  subnet: "10.1.5.0/24",
  event: "lease.acquired",
});

Deno.test("a text line is time, level, message, event and fields", () => {
  assertEquals(
    text(ACQUIRED),
    "2026-11-24T05:54:04.057Z info lease acquired " +
      "event=lease.acquired subnet=10.1.5.0/24",
  );
});

Deno.test("a JSON line has the same in a fixed order", () => {
  assertEquals(
    json(ACQUIRED),
    `{"time":"2026-11-24T05:54:04.057Z","level":"info",` +
      `"category":"loden.lease","message":"lease acquired",` +
      `"event":"lease.acquired","subnet":"10.1.5.0/24"}`,
  );
});

Deno.test("a line for the journal has its priority and no time", () => {
  assertEquals(
    journal(ACQUIRED),
    "<6>lease acquired event=lease.acquired subnet=10.1.5.0/24",
  );
  const prefixes = (["debug", "info", "warning", "error", "fatal"] as const)
    .map((level) => journal(record("x", { event: "x" }, level)).slice(0, 3));
  assertEquals(prefixes, ["<7>", "<6>", "<4>", "<3>", "<3>"]);
});

Deno.test("levels have four names", () => {
  const names =
    (["trace", "debug", "info", "warning", "error", "fatal"] as const)
      .map((level) => JSON.parse(json(record("x", {}, level))).level);
  assertEquals(names, ["debug", "debug", "info", "warn", "error", "error"]);
});

Deno.test("an event without a name shows who speaks", () => {
  assert(text(record("hello", {})).endsWith("info hello category=loden.lease"));
});

const VALUES: readonly [unknown, string][] = [
  ["plain", "f=plain"],
  ["", `f=""`],
  ["two words", `f="two words"`],
  [`say "hi"`, `f="say \\"hi\\""`],
  ["a=b", `f="a=b"`],
  ["a\nb", `f="a\\nb"`],
  ["a\u2028b\u009bc\u202ed", `f="a\\u2028b\\u009bc\\u202ed"`],
  ["ü→😀", "f=ü→😀"],
  [7, "f=7"],
  [NaN, "f=NaN"],
  [10n, "f=10"],
  [true, "f=true"],
  [null, "f=null"],
  [["a", "b"], "f=a,b"],
  [["a b", "c"], `f="a b,c"`],
  [[], "f=[]"],
  [{ a: 1 }, `f="{\\"a\\":1}"`],
  [new Set([1, 2]), "f=1,2"],
  [Uint8Array.of(2, 0xab), "f=02ab"],
  [new Date(0), "f=1970-01-01T00:00:00.000Z"],
];

for (const [value, expected] of VALUES) {
  Deno.test(`in text, ${expected} stands for its value`, () => {
    assertEquals(
      text(record("m", { event: "e", f: value })).split("event=e ")[1],
      expected,
    );
  });
}

Deno.test("absent fields are left out and names of a line's own are kept apart", () => {
  assertEquals(
    JSON.parse(json(record("m", { a: undefined, level: 9, message: "x" }))),
    {
      time: "2026-11-24T05:54:04.057Z",
      level: "info",
      category: "loden.lease",
      message: "m",
      "field.level": 9,
      "field.message": "x",
    },
  );
});

Deno.test("an error is shown with its code, its hint and the causes it does not name itself", () => {
  const cause = new Error("connection refused", {
    cause: new Error("ECONNREFUSED"),
  });
  const error = new LodenError("lease.unreachable", "Cannot reach etcd", {
    cause,
    hint: "is it running?",
  });
  const { errorCode, errorHint, errorCause, errorStack, ...rest } = JSON.parse(
    json(record("m", { event: "e", error })),
  );
  assertEquals(rest.error, "Cannot reach etcd");
  assertEquals(errorCode, "lease.unreachable");
  assertEquals(errorHint, "is it running?");
  assertEquals(errorCause, "connection refused: ECONNREFUSED");
  assertEquals(errorStack, undefined);
});

Deno.test("a cause that the message names already is not repeated", () => {
  const error = new Error("Cannot write: disk full", {
    cause: new Error("disk full"),
  });
  assertEquals(JSON.parse(json(record("m", { error }))).errorCause, undefined);
});

Deno.test("stacks are shown when asked for, causes included", () => {
  const withStacks = jsonFormatter({ stacks: true });
  const error = new Error("outer", { cause: new TypeError("inner") });
  const { errorStack } = JSON.parse(withStacks(record("m", { error })));
  assert(errorStack.includes("log_line_test.ts"));
  assert(errorStack.includes("caused by: TypeError: inner"));
});

Deno.test("properties that cannot be printed do not cost the event", () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  const bad = {
    get boom() {
      throw new Error("no");
    },
  };
  const loop = new Error("loop");
  loop.cause = loop;
  const line = json(
    record("m", { circular, bad, loop, f: () => 1, s: Symbol("s"), ok: 1 }),
  );
  const parsed = JSON.parse(line);
  assertEquals(parsed.ok, 1);
  assertEquals(parsed.bad, "unprintable: no");
});

Deno.test("whatever an event holds, it is one line, and JSON can be read back", () => {
  const anything = fc.dictionary(
    fc.string({ unit: "binary" }),
    fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withObjectString: true,
    }),
  );
  const formats: [string, LineFormatter][] = [
    ["text", text],
    ["colored", colored],
    ["json", json],
    ["journal", journal],
  ];
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }),
      anything,
      (message, properties) => {
        for (const [name, format] of formats) {
          const line = format(record(message, properties));
          assert(!/[\n\r\u0085\u2028\u2029]/.test(line), name);
        }
        const { message: read } = JSON.parse(json(record(message, properties)));
        assertEquals(read, message.toWellFormed() === message ? message : read);
      },
    ),
  );
});
