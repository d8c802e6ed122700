/**
 * The clock that counts from boot, including suspend.
 *
 * @module
 */

/** CLOCK_BOOTTIME to ten milliseconds: man 5 proc_uptime. */
const UPTIME_FILE = "/proc/uptime";

/** Nanoseconds since boot, like `bpf_ktime_get_boot_ns`. */
export function bootTimeNs(): bigint {
  const [seconds] = Deno.readTextFileSync(UPTIME_FILE).split(" ");
  return BigInt(Math.round(Number(seconds) * 100)) * 10_000_000n;
}
