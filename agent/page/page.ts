/**
 * The page: one document with its style and its script in it, and the policy that
 * lets a browser run these two and nothing else.
 *
 * @module
 */

import chart from "./browser/chart.js" with { type: "text" };
import dom from "./browser/dom.js" with { type: "text" };
import health from "./browser/health.js" with { type: "text" };
import host from "./browser/host.js" with { type: "text" };
import main from "./browser/page.js" with { type: "text" };
import markup from "./browser/page.html" with { type: "text" };
import peerList from "./browser/peer_list.js" with { type: "text" };
import peers from "./browser/peers.js" with { type: "text" };
import picture from "./browser/picture.js" with { type: "text" };
import rates from "./browser/rates.js" with { type: "text" };
import source from "./browser/source.js" with { type: "text" };
import style from "./browser/page.css" with { type: "text" };
import text from "./browser/text.js" with { type: "text" };

/** Each after those that it imports. */
const MODULES = [
  text,
  rates,
  peers,
  dom,
  chart,
  picture,
  peerList,
  health,
  host,
  source,
  main,
];

/** What a browser gets. */
export interface Page {
  readonly html: string;
  /** The value of `Content-Security-Policy`. */
  readonly policy: string;
}

/** Puts the document together. */
export async function composePage(): Promise<Page> {
  const script = joinModules(MODULES);
  return {
    html: markup
      .replace("<style></style>", () => `<style>${style}</style>`)
      .replace(
        '<script type="module"></script>',
        () => `<script type="module">${script}</script>`,
      ),
    policy: [
      "default-src 'none'",
      `script-src '${await digest(script)}'`,
      `style-src '${await digest(style)}'`,
      // The icon.
      "img-src data:",
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      // No text becomes HTML or a script, whatever the script does.
      "require-trusted-types-for 'script'",
      "trusted-types 'none'",
    ].join("; "),
  };
}

/**
 * One module of several: they share a scope, so their names differ and imports are
 * not needed. A name that is there twice is a syntax error.
 */
export function joinModules(modules: readonly string[]): string {
  return modules.map((module) =>
    module.replaceAll(/^import [^;]*;\n/gm, "").replaceAll(/^export /gm, "")
  ).join("\n");
}

/** As `Content-Security-Policy` has it (CSP 3, section 2.3.1). */
async function digest(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `sha256-${btoa(String.fromCharCode(...hash))}`;
}
