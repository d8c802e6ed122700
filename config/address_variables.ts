/**
 * `$public_ipv4` and `$private_ipv4` in a cloud-config, as in CoreOS.
 *
 * @module
 */

import { parseDotenv } from "../linux/dotenv.ts";
import { formatIpv4, parseIpv4 } from "../net/ipv4.ts";
import type { Environment } from "./env.ts";

/** Where CoreOS kept the machine's addresses. */
export const ENVIRONMENT_FILE = "/etc/environment";

/** The variables that a text may name. A backslash before one keeps it as it is. */
const VARIABLE = /(\\?)\$(public_ipv4|private_ipv4)/g;

/** Whether a text names one of the variables. */
export function namesAddress(text: string): boolean {
  return text.search(VARIABLE) >= 0;
}

/** A variable that cannot be replaced, and why; the caller adds its place. */
export interface AddressRefusal {
  readonly variable: string;
  /** Ends the sentence "… must be". */
  readonly rule: string;
  readonly current: string;
  readonly hint: string;
}

/**
 * Replaces the variables. An address is taken from `COREOS_PUBLIC_IPV4` or
 * `public_ipv4` in the environment, then in the content of
 * {@linkcode ENVIRONMENT_FILE}.
 */
export function fillAddresses(
  text: string,
  env: Environment,
  environmentFile: string,
): { text: string } | { refusal: AddressRefusal } {
  let refusal: AddressRefusal | undefined;
  const filled = text.replaceAll(
    VARIABLE,
    (whole: string, backslash: string, variable: string) => {
      if (backslash !== "") return whole.slice(1);
      const found = lookUp(variable, env, environmentFile);
      const address = found === undefined ? undefined : parseIpv4(found.text);
      if (address !== undefined) return formatIpv4(address);
      refusal ??= explain(variable, found);
      return whole;
    },
  );
  return refusal === undefined ? { text: filled } : { refusal };
}

interface Found {
  readonly text: string;
  readonly where: string;
}

function lookUp(
  variable: string,
  env: Environment,
  environmentFile: string,
): Found | undefined {
  const names = [`COREOS_${variable.toUpperCase()}`, variable];
  const file = Object.fromEntries(parseDotenv(environmentFile));
  for (
    const [values, place] of [
      [env, "the environment"],
      [file, ENVIRONMENT_FILE],
    ] as const
  ) {
    for (const name of names) {
      const text = values[name];
      if (text !== undefined && text !== "") {
        return { text, where: `${name} in ${place}` };
      }
    }
  }
  return undefined;
}

function explain(variable: string, found: Found | undefined): AddressRefusal {
  const name = `COREOS_${variable.toUpperCase()}`;
  return {
    variable: `$${variable}`,
    rule: "a known IPv4 address",
    current: found === undefined
      ? "not set"
      : `${JSON.stringify(found.text)} (${found.where})`,
    hint: `put ${name}=<address of this host> into the environment or ` +
      `${ENVIRONMENT_FILE}`,
  };
}
