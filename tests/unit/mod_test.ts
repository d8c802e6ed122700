import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);
const PAGE = await Deno.readTextFile(new URL("docs/library.md", ROOT));

/** The names between the braces of every `export … from`. */
async function exportedNames(): Promise<string[]> {
  const text = await Deno.readTextFile(new URL("mod.ts", ROOT));
  return [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)]
    .flatMap(([, names]) => names!.split(","))
    .map((name) => name.trim().replace(/^type /, ""))
    .filter((name) => name !== "");
}

Deno.test("mod.ts exports a few names, each in an example of docs/library.md", async () => {
  const names = await exportedNames();
  assert(names.length <= 36, `${names.length} names`);
  const examples = [...PAGE.matchAll(/^```ts\n(.*?)^```/gms)]
    .map(([, code]) => code).join("");
  const [imports, uses] = [
    [...examples.matchAll(/^import \{[^}]*\} from "@loden\/loden";/gm)]
      .join("\n"),
    examples.replaceAll(/^import \{[^}]*\}.*$/gm, ""),
  ];
  const missing = names.filter((name) => {
    const word = new RegExp(`\\b${name}\\b`);
    return !word.test(imports) || !word.test(uses);
  });
  assertEquals(missing, []);
});

Deno.test("the examples of docs/library.md run", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--doc", "-A", "docs/library.md"],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout) +
    new TextDecoder().decode(stderr);
  assert(success, text);
  const examples = PAGE.match(/^```ts$/gm)!.length;
  assert(text.includes(`ok | ${examples} passed`), text);
});
