/**
 * Network configs for logs, errors and people, without their secrets.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { HIDDEN } from "../secret.ts";
import type { BackendCatalog, BackendConfig } from "./backend_spec.ts";

/**
 * The options, with a hash in place of each secret, so that a change of one is
 * visible.
 */
export function shownOptions(
  { options, type }: BackendConfig,
  { specs }: BackendCatalog,
): Record<string, unknown> {
  const secretOptions = specs.find((each) => each.type === type)
    ?.secretOptions ?? [];
  return Object.fromEntries(
    Object.entries(options).map(([key, value]) => [
      key,
      secretOptions.includes(key) && value
        ? `${HIDDEN}, SHA-256 ${hashOf(value)}`
        : value,
    ]),
  );
}

/** A config's text; with secrets hidden it is written in another form. */
export function shownConfig(text: string, { specs }: BackendCatalog): string {
  const secrets = new Set(
    specs.flatMap(({ secretOptions = [] }) => secretOptions)
      .map((name) => name.toLowerCase()),
  );
  let isHidden = false;
  const hide = (key: string, value: unknown) => {
    if (!secrets.has(key.toLowerCase()) || value === "") return value;
    isHidden = true;
    return HIDDEN;
  };
  try {
    const config = JSON.parse(text, hide);
    return isHidden ? JSON.stringify(config) : text;
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

function hashOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex")
    .slice(0, 8);
}
