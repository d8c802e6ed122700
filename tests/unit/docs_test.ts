import { assert, assertEquals } from "@std/assert";
import { PROGRAM_COUNTERS } from "../../backend/udp/ebpf/counters.ts";
import { SLOW_PATH_COUNTERS } from "../../backend/udp/ebpf/slow_path.ts";
import { COUNTER_NAMES } from "../../backend/udp/tun/counters.ts";
import { UDP_FEATURES } from "../../backend/udp/features.ts";

const ROOT = new URL("../../", import.meta.url);

/** Every file of the project of a kind, by its path from the root. */
function filesOf(ending: string, directory = ""): string[] {
  return [...Deno.readDirSync(new URL(directory, ROOT))].flatMap((entry) => {
    const path = `${directory}${entry.name}`;
    if (entry.isFile) return entry.name.endsWith(ending) ? [path] : [];
    const isOurs = entry.isDirectory && !entry.name.startsWith(".") &&
      entry.name !== "node_modules" && entry.name !== "dist";
    return isOurs ? filesOf(ending, `${path}/`) : [];
  });
}

function documents(directory = ""): string[] {
  return filesOf(".md", directory);
}

function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

/** What stands in code is no link and no heading. */
function withoutCode(text: string): string {
  return text.replaceAll(/^ *```[^]*?^ *```/gm, "").replaceAll(
    /`[^`\n]*`/g,
    "",
  );
}

function linksOf(text: string): string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target!)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** As the usual renderers make them of headings. */
function anchorsOf(text: string): string[] {
  const prose = text.replaceAll(/^ *```[^]*?^ *```/gm, "");
  return [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!.toLowerCase().replaceAll(/[^\p{L}\p{N}\- _]/gu, "")
      .replaceAll(" ", "-")
  );
}

function isBroken(document: string, link: string): boolean {
  const [path, anchor] = link.split("#") as [string, string?];
  const target = path === ""
    ? document
    : new URL(path, `file:///${document}`).pathname.slice(1);
  try {
    Deno.statSync(new URL(target, ROOT));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
  return anchor !== undefined && !anchorsOf(read(target)).includes(anchor);
}

/** The first cells of the table under a heading, without their backquotes. */
function firstCells(text: string, heading: string): string[] {
  const part = text.split(`\n## ${heading}\n`)[1]!.split("\n## ")[0]!;
  return [...part.matchAll(/^\| `([^`]+)`/gm)].map(([, cell]) => cell!);
}

Deno.test("every relative link in the documents leads to a file and a heading", () => {
  const all = documents();
  assert(all.includes("README.md") && all.includes("docs/README.md"));
  const broken = all.flatMap((document) =>
    linksOf(read(document))
      .filter((link) => isBroken(document, link))
      .map((link) => `${document}: ${link}`)
  );
  assertEquals(broken, []);
});

Deno.test("every document that a source names is there", () => {
  const named = filesOf(".ts").filter((path) => !path.startsWith("tests/"))
    .flatMap((source) =>
      [...read(source).matchAll(/(?<![\w./-])\w[\w./-]*\.md\b(?:#[\w-]+)?/g)]
        .map(([document]) => ({ source, document }))
    );
  assert(named.length > 0);
  assertEquals(
    named.filter(({ document }) => isBroken("README.md", document)),
    [],
  );
});

Deno.test("a missing file and a missing heading are broken links", () => {
  assert(isBroken("README.md", "docs/nowhere.md"));
  assert(isBroken("docs/README.md", "lease.md#nowhere"));
  assert(!isBroken("docs/README.md", "lease.md#causes"));
  assertEquals(linksOf("[a](b.md) `[c](d.md)` [e](https://f.example)"), [
    "b.md",
  ]);
});

/** Names of the project's files that a document has in code, as `a/b.ts`. */
function filesNamedIn(text: string): string[] {
  return [...text.matchAll(/`([\w./-]+\.(?:ts|wasm))`/g)]
    .map(([, name]) => name!);
}

Deno.test("every source and test that a document names is there", () => {
  const files = [...filesOf(".ts"), ...filesOf(".wasm")].map((path) =>
    `/${path}`
  );
  const named = documents().flatMap((document) =>
    filesNamedIn(read(document)).map((name) => ({ document, name }))
  );
  assert(named.length > 50);
  assertEquals(
    named.filter(({ name }) =>
      !files.some((path) => path.endsWith(`/${name}`))
    ),
    [],
  );
});

Deno.test("every task that the documents name is in deno.json", () => {
  const { tasks } = JSON.parse(read("deno.json"));
  const named = documents().flatMap((document) =>
    [
      ...read(document).matchAll(
        /\b(?:deno|deno@[\d.]+)\s+task\s+([a-z][\w:]*)/g,
      ),
    ]
      .map(([, task]) => ({ document, task: task! }))
  );
  assert(named.length > 0);
  assertEquals(named.filter(({ task }) => !(task in tasks)), []);
});

Deno.test("every page has its row in the documents' index", () => {
  const index = linksOf(read("docs/README.md"));
  const pages = documents("docs/").map((path) => path.slice("docs/".length))
    .filter((page) => page !== "README.md");
  assertEquals(pages.filter((page) => !index.includes(page)), []);
});

Deno.test("the data path's page has every counter, and no other, and says which path counts it", () => {
  const inKernel = new Set<string>([
    ...PROGRAM_COUNTERS,
    ...SLOW_PATH_COUNTERS,
  ]);
  const inUserSpace = new Set(Object.keys(COUNTER_NAMES));
  const expected = [...inKernel.union(inUserSpace)].map((name) =>
    `${name} ${
      !inKernel.has(name) ? "tun" : inUserSpace.has(name) ? "both" : "ebpf"
    }`
  );
  const text = read("docs/datapath.md").replaceAll(
    /^\| `([\w.]+)` +\| `?(both|ebpf|tun)`? +\|/gm,
    "| `$1 $2` |",
  );
  assertEquals(firstCells(text, "Counters").sort(), expected.sort());
});

Deno.test("the data path's page has every word of --disable-feature, and no other", () => {
  assertEquals(
    firstCells(read("docs/datapath.md"), "Features").sort(),
    Object.keys(UDP_FEATURES).sort(),
  );
});

Deno.test("every section of what flannel does that a source cites is there", () => {
  const page = read("docs/flannel-compat.md");
  const sections = new Set(
    [...page.matchAll(/^##+ (\d+(?:\.\d+)?)\.? /gm)]
      .map(([, number]) => number),
  );
  const cited = filesOf(".ts").flatMap((path) =>
    [...read(path).matchAll(/\bcompat (\d+(?:\.\d+)?)/g)]
      .map(([, number]) => ({ path, number: number! }))
  );
  assert(cited.length > 20);
  assertEquals(cited.filter(({ number }) => !sections.has(number)), []);
});
