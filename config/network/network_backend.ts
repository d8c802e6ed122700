/**
 * The `Backend` object of a network config.
 *
 * @module
 */

import * as v from "valibot";
import type { NetworkConfigError } from "../errors.ts";
import { HIDDEN } from "../secret.ts";
import type {
  BackendCatalog,
  BackendConfig,
  BackendSpec,
} from "./backend_spec.ts";
import { foldKeys, isJsonObject } from "./network_json.ts";
import type { Refuse } from "./network_refusal.ts";

/** The backend, and what was said in vain. */
export interface ReadBackend {
  readonly backend: BackendConfig;
  /** Keys that are no options of this backend. */
  readonly unknown: readonly string[];
  /** The keys that it could have. */
  readonly keys: readonly string[];
}

/**
 * Reads the object. None means the first backend of the catalog; one without a
 * type is refused, as in flannel.
 *
 * @throws {NetworkConfigError} for a backend that this release does not have, and
 * for an option that is not as it must be.
 */
export function readBackend(
  value: unknown,
  catalog: BackendCatalog,
  refuse: Refuse,
): ReadBackend {
  if (value === undefined) {
    return { backend: backendOf(catalog.specs[0]!, {}), unknown: [], keys: [] };
  }
  if (value !== null && !isJsonObject(value)) {
    throw refuse({
      key: "Backend",
      rule: "an object",
      current: value,
      example: { Type: catalog.specs[0]!.type },
      code: "network.backend-type",
      retryable: false,
    });
  }
  const { known: { Type } } = foldKeys(value ?? {}, ["Type"]);
  const name = typeof Type === "string" ? Type.toLowerCase() : undefined;
  const spec = catalog.specs.find(({ type }) => type === name);
  if (spec === undefined) throw refuseType(Type, name, catalog, refuse);
  const keys = ["Type", ...Object.keys(spec.options)];
  const { known, unknown } = foldKeys(value ?? {}, keys);
  const { Type: _type, ...options } = known;
  for (const [key, option] of Object.entries(options)) {
    checkOption(spec, key, option, refuse);
  }
  return { backend: backendOf(spec, options), unknown, keys };
}

/** With the defaults, so that equal backends are equal configs. */
function backendOf(
  { options: entries, type }: BackendSpec,
  given: Readonly<Record<string, unknown>>,
): BackendConfig {
  return { type, options: v.parse(v.object(entries), given) };
}

function checkOption(
  { examples, options, secretOptions = [] }: BackendSpec,
  key: string,
  value: unknown,
  refuse: Refuse,
): void {
  const result = v.safeParse(options[key]!, value, { abortEarly: true });
  if (result.success) return;
  throw refuse({
    key: `Backend.${key}`,
    rule: result.issues[0].message,
    current: secretOptions.includes(key) ? HIDDEN : value,
    example: examples[key],
    code: "network.backend-option",
    retryable: false,
  });
}

function refuseType(
  type: unknown,
  name: string | undefined,
  { specs, unavailable }: BackendCatalog,
  refuse: Refuse,
): NetworkConfigError {
  const advice = name === undefined || !Object.hasOwn(unavailable, name)
    ? undefined
    : unavailable[name];
  const words = specs.map(({ type }) => type).join(", ");
  return refuse({
    key: "Backend.Type",
    rule: advice === undefined
      ? `one of ${words}`
      : `one of ${words}, because this release does not have ${name}: ${advice}`,
    current: type,
    example: specs[0]!.type,
    code: advice === undefined
      ? "network.backend-unknown"
      : "network.backend-unavailable",
    retryable: false,
  });
}
