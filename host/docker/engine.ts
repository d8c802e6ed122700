/**
 * The Docker daemon of this host, if one runs.
 *
 * @module
 */

import * as v from "valibot";
import { isProcessGone } from "../../linux/proc_error.ts";
import { networkNamespaceOf } from "../network_namespace.ts";

/** What is known about it. */
export interface DockerEngine {
  readonly pid: number;
  /** As reported by the daemon: `28.2.1`; `undefined` if it does not answer. */
  readonly version: string | undefined;
  /** The tool that sets its firewall rules, if it reports that (28.2). */
  readonly firewallBackend: string | undefined;
}

/** What {@linkcode findEngine} needs of the host. */
export interface EngineProbe {
  /** @throws if there is no such file. */
  readTextFile(path: string): Promise<string>;
  /** @throws if there is no such process. */
  networkOf(pid: number | "self"): number;
  /**
   * Sends a GET over the daemon's socket and returns the JSON of the answer.
   */
  ask(path: string, signal: AbortSignal): Promise<unknown>;
}

const versionSchema = v.object({ Version: v.string() });
const infoSchema = v.object({
  FirewallBackend: v.object({ Driver: v.string() }),
});

const PID_FILE = "/run/docker.pid";
const SOCKET = "/run/docker.sock";

/**
 * Looks for a daemon in this network namespace and queries it. Never queries a
 * daemon that is not running: if systemd holds the socket (`docker.socket`), a
 * query would start Docker before its options are written.
 *
 * @param known the former result: the same process is not queried again.
 */
export async function findEngine(
  signal: AbortSignal,
  known: DockerEngine | undefined = undefined,
  probe: EngineProbe = hostProbe,
): Promise<DockerEngine | undefined> {
  const pid = await runningPid(probe);
  if (pid === undefined) return undefined;
  if (known?.pid === pid && known.version !== undefined) return known;
  const [version, info] = [
    await tryAsk(probe, "/version", signal),
    await tryAsk(probe, "/info", signal),
  ];
  return {
    pid,
    version: v.is(versionSchema, version) ? version.Version : undefined,
    firewallBackend: v.is(infoSchema, info)
      ? info.FirewallBackend.Driver
      : undefined,
  };
}

async function runningPid(probe: EngineProbe): Promise<number | undefined> {
  try {
    const pid = Number((await probe.readTextFile(PID_FILE)).trim());
    const comm = await probe.readTextFile(`/proc/${pid}/comm`);
    if (comm.trim() !== "dockerd") return undefined;
    return probe.networkOf(pid) === probe.networkOf("self") ? pid : undefined;
  } catch (error) {
    // There is no file, or a former daemon left it.
    if (isProcessGone(error)) return undefined;
    throw error;
  }
}

/** A daemon that is starting or busy is queried again next time. */
async function tryAsk(
  probe: EngineProbe,
  path: string,
  signal: AbortSignal,
): Promise<unknown> {
  try {
    return await probe.ask(path, signal);
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

const ANSWER_TIMEOUT_MS = 2_000;

const hostProbe: EngineProbe = {
  readTextFile: (path) => Deno.readTextFile(path),
  networkOf: networkNamespaceOf,
  async ask(path, signal) {
    using client = Deno.createHttpClient({
      proxy: { transport: "unix", path: SOCKET },
    });
    // An address, because a name would be resolved although nothing is sent to
    // it.
    const response = await fetch(`http://127.0.0.1${path}`, {
      client,
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
    });
    return await response.json();
  },
};
