/**
 * How far an address or a route is valid: `rt_scope_t` of `linux/rtnetlink.h`.
 *
 * @module
 */

import type { RouteScope } from "./rtnetlink.ts";

const NUMBERS = {
  global: 0,
  site: 200,
  link: 253,
  host: 254,
  nowhere: 255,
} as const;

/** The kernel's number of a scope. */
export function scopeNumber(scope: RouteScope): number {
  return typeof scope === "number" ? scope : NUMBERS[scope];
}

/** The scope of a number: its name where it has one. */
export function scopeOf(number: number): RouteScope {
  for (const [name, value] of Object.entries(NUMBERS)) {
    if (value === number) return name as keyof typeof NUMBERS;
  }
  return number;
}
