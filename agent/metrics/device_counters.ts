/**
 * The counters of a backend, or of its device, if the packets pass only through the
 * kernel.
 *
 * @module
 */

/** Our name of a counter, and its file below `/sys/class/net/NAME/statistics`. */
const STATISTICS: Readonly<Record<string, string>> = {
  "tx.packets": "tx_packets",
  "tx.bytes": "tx_bytes",
  "tx.drop.device": "tx_dropped",
  "rx.packets": "rx_packets",
  "rx.bytes": "rx_bytes",
  "rx.drop.device": "rx_dropped",
};

/** Empty without a device, or if it has just gone. */
export function deviceCounters(
  device: string | undefined,
  root = "/sys/class/net",
): Record<string, number> {
  if (device === undefined) return {};
  try {
    return Object.fromEntries(
      Object.entries(STATISTICS).map(([counter, file]) => [
        counter,
        Number(Deno.readTextFileSync(`${root}/${device}/statistics/${file}`)),
      ]),
    );
  } catch {
    // A device that goes away meanwhile fails in several ways (ENOENT, ENODEV,
    // EINVAL). What is not known has no samples, and the other metrics stay.
    return {};
  }
}

/** A backend's own counters; of one that counts nothing, those of its device. */
export function trafficCounters(
  backend:
    | {
      readonly counters: Readonly<Record<string, number>>;
      readonly device?: string | undefined;
    }
    | null,
  ofDevice: typeof deviceCounters = deviceCounters,
): Readonly<Record<string, number>> {
  const own = backend?.counters ?? {};
  return Object.keys(own).length > 0 ? own : ofDevice(backend?.device);
}
