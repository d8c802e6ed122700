import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import fc from "fast-check";
import { FUZZ_CASES } from "../support/fuzz_cases.ts";
import { isDocumented, OF_THE_OPERATOR, parsers } from "../support/parsers.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const PARTS = [
  "agent",
  "backend",
  "commands",
  "config",
  "host",
  "lease",
  "linux",
  "net",
];

for (const parser of parsers()) {
  Deno.test(`nothing that others write breaks: ${parser.name}`, async () => {
    await fc.assert(
      fc.asyncProperty(parser.inputs, async (input) => {
        try {
          await parser.read(input as never);
        } catch (error) {
          assert(isDocumented(error, parser), error as Error);
        }
      }),
      { numRuns: FUZZ_CASES },
    );
  });
}

Deno.test("each exported parser is among them, or is for the operator's own words", async () => {
  const named = new Set([
    ...parsers().map(({ name }) => name),
    ...Object.keys(OF_THE_OPERATOR),
  ]);
  const missing: string[] = [];
  for (const part of PARTS) {
    for await (const path of sourcesIn(`${ROOT}${part}`)) {
      const text = await Deno.readTextFile(path);
      const found = text.matchAll(
        /^export (?:async )?function\*? ((?:parse|decode)\w+)/gm,
      );
      for (const [, name] of found) {
        if (!named.has(name!)) missing.push(`${name} in ${path}`);
      }
    }
  }
  assertEquals(missing, []);
});

async function* sourcesIn(directory: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    const path = `${directory}/${name}`;
    if (isDirectory) yield* sourcesIn(path);
    else if (name.endsWith(".ts")) yield path;
  }
}
