/**
 * Calls of the etcd registry that fail, and fail in time.
 *
 * @module
 */

import { RegistryError } from "../../lease/errors.ts";
import {
  EtcdLeaseRegistry,
  type EtcdRegistryOptions,
} from "../../lease/etcd_registry.ts";
import { systemClock } from "../../linux/clock.ts";

/** What a call may take. */
export const DEADLINE_MS = 1_500;
/** So much longer anything may take on a busy machine. */
export const BUSY_MS = 10_000;

/** A registry with a deadline that a test can wait for. */
export function openRegistry(
  options: Partial<EtcdRegistryOptions>,
): EtcdLeaseRegistry {
  return new EtcdLeaseRegistry({
    endpoints: [],
    prefix: "/coreos.com/network",
    deadlineMs: DEADLINE_MS,
    ...options,
  });
}

/** What a call fails with. Throws when it does not. */
export async function errorOf(call: Promise<unknown>): Promise<RegistryError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof RegistryError) return error;
    throw error;
  }
  throw new Error("the call did not fail");
}

/** Repeats a call that may still fail, for at most ten seconds. */
export async function eventually<T>(call: () => Promise<T>): Promise<T> {
  const until = performance.now() + 10_000;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (performance.now() > until) throw error;
      await systemClock.sleep(100);
    }
  }
}
