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
 * The value of a flag in the environment; `undefined` when it is not set. An
 * empty text counts as not set, and a repeatable flag gets one element.
 *
 * @throws {SettingsError} for a bad value. flannel logs it and runs with the
 * default; a host that was told `FLANNELD_IP_MASQ=yes` and does not masquerade
 * is worse than one that says so and stops.
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
 * Names that look like a setting and are none. Not refused, since flannel takes
 * no notice of them and unit files keep things of their own there.
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
