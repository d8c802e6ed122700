/**
 * What an agent's log says of its data path: the event `backend.started`,
 * docs/logging.md.
 *
 * @module
 */

/** Of the last start in a log. */
export interface DataPathStart {
  /** `ebpf` or `tun`. */
  readonly dataPath: string;
  /** How the kernel data path takes packets from the underlay. */
  readonly receive?: string;
  /** To make programs and maps, and to attach them. */
  readonly loadMs?: number;
}

/** @param log Lines of `--log-format=json`, and what others wrote between. */
export function dataPathStart(log: string): DataPathStart {
  const line = log.split("\n").findLast((line) =>
    line.startsWith("{") && line.includes('"event":"backend.started"')
  );
  if (line === undefined) {
    throw new Error(
      "Cannot tell the data path: the agent's log must have backend.started",
    );
  }
  const { dataPath, loadMs, receive } = JSON.parse(line) as DataPathStart;
  return {
    dataPath,
    ...receive === undefined ? {} : { receive },
    ...loadMs === undefined ? {} : { loadMs },
  };
}
