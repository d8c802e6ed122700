/**
 * Checks that imports go one way through the sources, as `docs/architecture.md`
 * draws it, that no files import each other in a circle, not even by a lazy
 * `import()`, and that the product uses each of its files: one that only its tests
 * use looks as if it did its work.
 *
 *     deno run --allow-read=. tools/check_imports.ts
 *
 * Exit code 1 when something breaks the rule; each finding is a line.
 *
 * @module
 */

/** A source file; the path starts at the root of the project. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/**
 * The parts from the bottom up. A part imports from the rows below its own, never
 * from another part of its row.
 */
const ROWS: readonly (readonly string[])[] = [
  ["errors.ts", "version.ts"],
  ["net", "deno27"],
  ["linux"],
  ["config", "lease", "backend", "host"],
  ["agent"],
  ["commands"],
  ["cli.ts", "mod.ts"],
];

/** Parts outside the product: they may import everything, and nothing imports them. */
const WORKSHOP: ReadonlySet<string> = new Set(["bench", "tests", "tools"]);

/** What builds a release. Nothing of `tests/` and `bench/` goes into one. */
const RELEASE_TOOLS: readonly string[] = ["tools/compile.ts", "tools/dist.ts"];

/** Files of the product that nothing in it imports. */
const ENTRIES: readonly RegExp[] = [
  /^(cli|mod)\.ts$/,
  // For `deno test --preload`.
  /^deno27\/test_sanitizers\.ts$/,
  // AssemblyScript is compiled; the product has the outcome.
  /\.as\.ts$/,
];

/** `import … from "x"` and `export … from "x"`, which stand at a line's start. */
const STATIC =
  /^(?:import|export)\s+(?:(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\}|\w+(?:\s*,\s*\{[^}]*\})?)\s+from\s+)?"([^"]+)"/gm;
/** A worker's file. */
const WORKER = /\bnew URL\(\s*"([^"]+\.ts)"\s*,\s*import\.meta\.url\s*,?\s*\)/g;
const LAZY = /\bimport\(\s*"([^"]+)"\s*,?\s*\)/g;

/** The files of the project that a file imports, now or lazily. */
export function importsOf({ path, text }: SourceFile): string[] {
  return [STATIC, WORKER, LAZY]
    .flatMap((pattern) => [...text.matchAll(pattern)])
    .map(([, specifier]) => specifier!)
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => resolve(path, specifier))
    .filter((target) => target.endsWith(".ts"));
}

/** AssemblyScript names its modules without the extension. */
function resolve(from: string, specifier: string): string {
  const name = /\.(ts|json|wasm|js)$/.test(specifier)
    ? specifier
    : `${specifier}.ts`;
  return new URL(name, `file:///${from}`).pathname.slice(1);
}

/** What breaks the rule, a line each; empty when nothing does. */
export function importViolations(files: readonly SourceFile[]): string[] {
  const graph = new Map(files.map((file) => [file.path, importsOf(file)]));
  const findings: string[] = [];
  for (const [path, imports] of graph) {
    for (const target of imports) {
      const why = whyForbidden(partOf(path), partOf(target));
      if (why !== undefined) {
        findings.push(`${path} imports ${target}: ${why}`);
      }
    }
  }
  return [
    ...findings,
    ...releaseFindings(graph),
    ...cyclesOf(graph),
    ...cyclesOf(roomsOf(graph)),
  ].sort();
}

/** One line for each import by which a release tool reaches a test or a measurement. */
function releaseFindings(
  graph: ReadonlyMap<string, readonly string[]>,
): string[] {
  const findings: string[] = [];
  const reached = new Set(RELEASE_TOOLS);
  for (const path of reached) {
    for (const target of graph.get(path) ?? []) {
      if (/^(tests|bench)\//.test(target)) {
        findings.push(`${path} imports ${target}: it builds a release`);
      } else reached.add(target);
    }
  }
  return findings;
}

/** One line for each file of the product that no other one imports. */
export function unusedFiles(files: readonly SourceFile[]): string[] {
  const graph = new Map(files.map((file) => [file.path, importsOf(file)]));
  const isProduct = (path: string) => rowOf(partOf(path)) >= 0;
  const used = new Set(
    [...graph].filter(([path]) => isProduct(path))
      .flatMap(([path, targets]) => targets.filter((each) => each !== path)),
  );
  return [...graph.keys()].filter((path) =>
    isProduct(path) && !used.has(path) &&
    !ENTRIES.some((entry) => entry.test(path))
  ).map((path) => `${path} is imported by no file of the product`);
}

function partOf(path: string): string {
  return path.split("/")[0]!;
}

function whyForbidden(from: string, to: string): string | undefined {
  if (from === to || WORKSHOP.has(from)) return undefined;
  if (WORKSHOP.has(to)) return `${to} is not part of the product`;
  const fromRow = rowOf(from);
  const toRow = rowOf(to);
  if (fromRow < 0) return `${from} has no place in the order of parts`;
  if (toRow < 0) return `${to} has no place in the order of parts`;
  if (fromRow === toRow) return `${from} and ${to} stand side by side`;
  return fromRow < toRow ? `${from} stands below ${to}` : undefined;
}

function rowOf(part: string): number {
  return ROWS.findIndex((row) => row.includes(part));
}

/** Which rooms of a part, `agent/status`, import which others beside them. */
function roomsOf(
  graph: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, readonly string[]> {
  const roomOf = (path: string) => {
    const [part, room, file] = path.split("/");
    const isRoom = file !== undefined && !WORKSHOP.has(part!);
    return isRoom ? `${part}/${room}` : undefined;
  };
  const rooms = new Map<string, string[]>();
  for (const [path, imports] of graph) {
    const room = roomOf(path);
    if (room === undefined) continue;
    const others = imports.map(roomOf)
      .filter((other) => other !== undefined && other !== room);
    rooms.set(room, [...rooms.get(room) ?? [], ...others as string[]]);
  }
  return rooms;
}

/** One line for each circle that a walk over all files meets. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const way: string[] = [];
  const visit = (path: string) => {
    const start = way.indexOf(path);
    if (start >= 0) {
      cycles.push(`circle: ${[...way.slice(start), path].join(" -> ")}`);
      return;
    }
    if (done.has(path)) return;
    way.push(path);
    for (const target of graph.get(path) ?? []) visit(target);
    way.pop();
    done.add(path);
  };
  for (const path of graph.keys()) visit(path);
  return cycles;
}

/** Every TypeScript file of the project. */
export function readSources(root: URL): SourceFile[] {
  const files: SourceFile[] = [];
  const walk = (directory: string) => {
    for (const entry of Deno.readDirSync(new URL(directory, root))) {
      const path = `${directory}${entry.name}`;
      const isSource = entry.isFile && entry.name.endsWith(".ts");
      if (isSource) {
        files.push({ path, text: Deno.readTextFileSync(new URL(path, root)) });
      } else if (entry.isDirectory && isPart(path)) walk(`${path}/`);
    }
  };
  walk("./");
  return files.map(({ path, text }) => ({ path: path.slice(2), text }));
}

function isPart(path: string): boolean {
  const name = path.split("/")[1]!;
  return !name.startsWith(".") && name !== "node_modules" && name !== "dist";
}

if (import.meta.main) {
  const files = readSources(new URL("../", import.meta.url));
  const findings = [...importViolations(files), ...unusedFiles(files)];
  for (const finding of findings) console.error(finding);
  console.log(
    `imports of ${files.length} files: ${findings.length} break the rule`,
  );
  Deno.exitCode = findings.length === 0 ? 0 : 1;
}
