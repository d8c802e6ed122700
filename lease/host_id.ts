/**
 * Host ids: which installation of Loden a lease or a saved state belongs to.
 *
 * @module
 */

import * as v from "valibot";
import type { RandomSource } from "../linux/random.ts";

const HOST_ID = /^[0-9a-f]{32}$/;

/** One in JSON. */
export const hostIdText = v.pipe(
  v.string("a string"),
  v.regex(HOST_ID, "32 hexadecimal digits"),
);

/** 128 random bits as hexadecimal digits. */
export function makeHostId(random: RandomSource): string {
  return random.bytes(16).toHex();
}
