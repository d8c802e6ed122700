/**
 * The `Backend` object of a network config.
 *
 * @module
 */

import { BACKEND_TYPES, FLANNEL_BACKEND_TYPES } from "./backends.ts";
import type { NetworkConfigError } from "../errors.ts";
import { type FoldedKeys, foldKeys, isJsonObject } from "./network_json.ts";
import type { Refuse } from "./network_refusal.ts";
import { backendSchema } from "./network_schema.ts";

/** The options that a backend has. */
export const BACKEND_KEYS: readonly string[] = Object.keys(
  backendSchema.entries,
);

/**
 * The object in the schema's spelling; `undefined` if there is none, which
 * means `udp`. An object without a type is refused, as in flannel.
 *
 * @throws {NetworkConfigError} for a backend that this release does not have.
 */
export function foldBackend(
  value: unknown,
  refuse: Refuse,
): FoldedKeys | undefined {
  if (value === undefined) return undefined;
  if (value !== null && !isJsonObject(value)) {
    throw refuse({
      key: "Backend",
      rule: "an object",
      current: value,
      example: { Type: "udp" },
      code: "network.backend-type",
      retryable: false,
    });
  }
  const folded = foldKeys(value ?? {}, BACKEND_KEYS);
  const type = folded.known["Type"];
  const name = typeof type === "string" ? type.toLowerCase() : undefined;
  if (!BACKEND_TYPES.some((type) => type === name)) {
    throw refuseBackend(type, name, refuse);
  }
  return { known: { ...folded.known, Type: name }, unknown: folded.unknown };
}

function refuseBackend(
  type: unknown,
  name: string | undefined,
  refuse: Refuse,
): NetworkConfigError {
  const words = BACKEND_TYPES.join(" or ");
  const elsewhere = name !== undefined && FLANNEL_BACKEND_TYPES.includes(name);
  return refuse({
    key: "Backend.Type",
    rule: elsewhere
      ? `${words}, because this release has none of flannel's other backends`
      : `${words}, the only backend of this release`,
    current: type,
    example: BACKEND_TYPES[0],
    code: elsewhere ? "network.backend-unavailable" : "network.backend-unknown",
    retryable: false,
  });
}
