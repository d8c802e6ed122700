/**
 * Host ids: which installation of Loden a lease or a saved state belongs to.
 *
 * @module
 */

import type { RandomSource } from "../linux/random.ts";

const HOST_ID = /^[0-9a-f]{32}$/;

/** Whether it is one. Anything else in a lease is ignored. */
export function isHostId(value: unknown): value is string {
  return typeof value === "string" && HOST_ID.test(value);
}

/** 128 random bits as hexadecimal digits. */
export function makeHostId(random: RandomSource): string {
  return [...random.bytes(16)]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
