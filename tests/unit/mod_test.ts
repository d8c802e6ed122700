import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";

/** Marks that make a number a type of its own; nobody names them. */
const BRANDS = new Set(["ipv4Brand", "mtuBrand"]);

Deno.test("mod.ts exports every type that its exports refer to", async () => {
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "doc",
      "--lint",
      fromFileUrl(new URL("../../mod.ts", import.meta.url)),
    ],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stderr);
  const private_ = [
    ...text.matchAll(/public type '(.+)' references private type '(.+)'/g),
  ].filter(([, , name]) => !BRANDS.has(name!));
  assertEquals(private_.map(([line]) => line), []);
  // The tool has looked: it also says what has no description.
  assertEquals(/documentation lint errors|Checked \d+/.test(text), true, text);
});
