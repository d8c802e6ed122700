/**
 * Settings from `FLANNELD_*` (compat 1.2).
 *
 * @module
 */

import { badValueError } from "./errors.ts";
import { environmentName, type FlagSpec, type FlagValue } from "./flag_spec.ts";
import { parseFlagValue } from "./flag_value.ts";
import { nearMatch } from "./near_match.ts";

const PREFIX = "FLANNELD_";

/** An environment: names and texts. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The value of a flag in the environment; `undefined` if it is not set or
 * empty. A repeatable flag gets one element.
 *
 * @throws {SettingsError} for a bad value. flannel logs it and uses the
 * default; but a host with `FLANNELD_IP_MASQ=yes` that silently does not
 * masquerade is worse than one that stops with an error.
 */
export function readEnvironment(
  flag: FlagSpec,
  env: Environment,
): FlagValue | undefined {
  if (flag.commandLineOnly) return undefined;
  const name = environmentName(flag);
  const text = env[name];
  if (text === undefined || text === "") return undefined;
  const parsed = parseFlagValue(flag, text);
  if ("value" in parsed) return parsed.value;
  throw badValueError({
    where: `${name} in the environment`,
    rule: parsed.rule,
    current: flag.secret ? undefined : text,
    hint: `for example ${name}=${parsed.example}`,
  });
}

/** A `FLANNELD_*` name that no flag has. */
export interface UnknownVariable {
  readonly name: string;
  /** What it may have been meant to be. */
  readonly near: string | undefined;
}

/**
 * Variables that look like settings but are not. They are not refused: flannel
 * ignores them, and unit files use such names for themselves.
 */
export function unknownVariables(
  flags: readonly FlagSpec[],
  env: Environment,
): UnknownVariable[] {
  const known = new Set(flags.map(environmentName));
  const endings = [...known].map((name) => name.slice(PREFIX.length));
  return Object.keys(env)
    .filter((name) => name.startsWith(PREFIX) && !known.has(name))
    .sort()
    .map((name) => {
      const near = nearMatch(name.slice(PREFIX.length), endings);
      return { name, near: near === undefined ? undefined : PREFIX + near };
    });
}
