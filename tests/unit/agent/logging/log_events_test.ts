import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../../../../", import.meta.url);
const PARTS = [
  "agent",
  "backend",
  "commands",
  "config",
  "host",
  "lease",
  "linux",
];

/** The name in `log.info("…", { event: "part.what" })`, wherever its line breaks. */
const EVENT = /\bevent:\s+"([a-z0-9-]+(?:\.[a-z0-9-]+)+)"/g;

async function* sources(directory: URL): AsyncGenerator<URL> {
  for await (const entry of Deno.readDir(directory)) {
    const url = new URL(
      entry.name + (entry.isDirectory ? "/" : ""),
      directory,
    );
    if (entry.isDirectory) yield* sources(url);
    else if (entry.name.endsWith(".ts")) yield url;
  }
}

/** An event whose name does not stand there; types begin with a capital letter. */
const UNREADABLE_EVENT = /\bevent:\s+(?!\s|"|string\b|[A-Z]).*/g;

async function eventsInCode(): Promise<Set<string>> {
  const events = new Set<string>();
  for (const part of PARTS) {
    for await (const file of sources(new URL(`${part}/`, ROOT))) {
      const text = await Deno.readTextFile(file);
      for (const [, event] of text.matchAll(EVENT)) events.add(event!);
      const code = text.replaceAll(/\/\*[^]*?\*\//g, "");
      assertEquals(code.match(UNREADABLE_EVENT), null, file.pathname);
    }
  }
  return events;
}

Deno.test("docs/logging.md lists every event that the code logs, and no other", async () => {
  const docs = await Deno.readTextFile(new URL("docs/logging.md", ROOT));
  const listed = [...docs.split("## Events")[1]!.matchAll(/^\| `([^`]+)`/gm)]
    .map(([, event]) => event!).sort();
  const logged = [...await eventsInCode()].sort();
  assert(logged.includes("log.lost"));
  assertEquals(listed, logged);
});
