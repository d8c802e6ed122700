/**
 * The clock that counts from the boot on and through sleep.
 *
 * @module
 */

/** CLOCK_BOOTTIME to ten milliseconds: man 5 proc_uptime. */
const UPTIME_FILE = "/proc/uptime";

/** Nanoseconds since the boot, as `bpf_ktime_get_boot_ns` counts them. */
export function bootTimeNs(): bigint {
  const [seconds] = Deno.readTextFileSync(UPTIME_FILE).split(" ");
  return BigInt(Math.round(Number(seconds) * 100)) * 10_000_000n;
}
