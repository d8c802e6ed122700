import { assert, assertEquals, assertMatch } from "@std/assert";
import { composePage, joinModules } from "../../../../agent/page/page.ts";

const MOST_BYTES = 60_000;

/** What stands in the first element of this name. */
function contentOf(html: string, name: string): string {
  const match = new RegExp(`<${name}[^>]*>(.*?)</${name}>`, "s").exec(html);
  return match![1]!;
}

async function sha256(text: string): Promise<string> {
  const hash = await crypto.subtle.digest(
    "SHA-256",
    new TextEncoder().encode(text),
  );
  return btoa(String.fromCharCode(...new Uint8Array(hash)));
}

Deno.test("the page is at most 60 kB", async () => {
  const { html } = await composePage();
  const { length } = new TextEncoder().encode(html);
  assert(length <= MOST_BYTES, `${length} bytes`);
});

Deno.test("the policy of the page allows its own script and style, and no other", async () => {
  const { html, policy } = await composePage();
  const sources = Object.fromEntries(
    policy.split("; ").map((directive) => {
      const [name, ...values] = directive.split(" ");
      return [name, values.join(" ")];
    }),
  );
  assertEquals(sources, {
    "default-src": "'none'",
    "script-src": `'sha256-${await sha256(contentOf(html, "script"))}'`,
    "style-src": `'sha256-${await sha256(contentOf(html, "style"))}'`,
    "img-src": "data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
  });
});

Deno.test("the page loads nothing and has no style or script in its elements", async () => {
  const { html } = await composePage();
  assertEquals(html.match(/<(script|style)\b/g), ["<style", "<script"]);
  const elements = html.replace(/<(style|script)[^>]*>.*?<\/\1>/gs, "");
  assertEquals(elements.match(/ (on\w+|style|src|action)=/g), null);
  assertMatch(elements, /^<!doctype html>/);
  const links = [...elements.matchAll(/href="([^"]{1,5})/g)];
  assertEquals(links.map(([, link]) => link), ["data:", "#main"]);
});

Deno.test("the script writes no HTML", async () => {
  const script = contentOf((await composePage()).html, "script");
  assertEquals(
    script.match(
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function/,
    ),
    null,
  );
});

Deno.test("modules are joined without their imports and exports", () => {
  assertEquals(
    joinModules([
      "export const one = 1;\n",
      'import {\n  one,\n} from "./one.js";\n\nexport function two() {\n  return one + one;\n}\n',
    ]),
    "const one = 1;\n\n\nfunction two() {\n  return one + one;\n}\n",
  );
});
