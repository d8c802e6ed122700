/**
 * A backend's options for logs and errors.
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

function hashOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex")
    .slice(0, 8);
}
