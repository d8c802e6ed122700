/**
 * How long an agent's first look at the other hosts took, from its log: the events
 * `lease.acquired` and `peers.changed`, docs/logging.md.
 *
 * @module
 */

interface Line {
  readonly time: string;
  readonly event: string;
  readonly peers?: number;
}

/**
 * Milliseconds from the lease to `peers` peers in the data path, of the last start
 * in a log; `undefined` as long as there are not so many.
 *
 * @param log Lines of `--log-format=json`, and what others wrote between.
 */
export function firstSyncMs(log: string, peers: number): number | undefined {
  const lines = log.split("\n").filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Line);
  const start = lines.findLastIndex(({ event }) => event === "lease.acquired");
  const known = lines.slice(start + 1).find((line) =>
    line.event === "peers.changed" && (line.peers ?? 0) >= peers
  );
  if (start < 0 || known === undefined) return undefined;
  return Date.parse(known.time) - Date.parse(lines[start]!.time);
}
