/**
 * What an agent's log says of its data path: the events `backend.started` and
 * `backend.receive`, docs/logging.md.
 *
 * @module
 */

/** Of the last start in a log. */
export interface DataPathStart {
  /** `ebpf` or `tun`. */
  readonly dataPath: string;
  /** How the kernel data path takes packets from the underlay, as it is now. */
  readonly receive?: string;
  /** To make programs and maps, and to attach them. */
  readonly loadMs?: number;
}

/** @param log Lines of `--log-format=json`, and what others wrote between. */
export function dataPathStart(log: string): DataPathStart {
  const started = lastEvent(log, "backend.started");
  if (started === undefined) {
    throw new Error(
      "Cannot tell the data path: the agent's log must have backend.started",
    );
  }
  const { dataPath, loadMs } = started as { dataPath: string; loadMs?: number };
  const receive = dataPath === "ebpf"
    ? lastEvent(log, "backend.receive") as { mode: string } | undefined
    : undefined;
  return {
    dataPath,
    ...receive === undefined ? {} : { receive: receive.mode },
    ...loadMs === undefined ? {} : { loadMs },
  };
}

function lastEvent(log: string, event: string): unknown {
  const line = log.split("\n").findLast((line) =>
    line.startsWith("{") && line.includes(`"event":"${event}"`)
  );
  return line === undefined ? undefined : JSON.parse(line);
}
