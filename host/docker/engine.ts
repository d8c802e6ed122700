/**
 * The Docker daemon of this host, if one runs.
 *
 * @module
 */

import { isProcessGone } from "../../linux/proc_error.ts";
import { networkNamespaceOf } from "../network_namespace.ts";

/** What is known of it. */
export interface DockerEngine {
  readonly pid: number;
  /** As it says itself: `28.2.1`; `undefined` when it does not answer. */
  readonly version: string | undefined;
  /** Which tool its firewall rules are made by, where it says so (28.2). */
  readonly firewallBackend: string | undefined;
}

/** The world of {@linkcode findEngine}. */
export interface EngineProbe {
  /** @throws when there is no such file. */
  readTextFile(path: string): Promise<string>;
  /** @throws when there is no such process. */
  networkOf(pid: number | "self"): number;
  /** A GET over the daemon's socket; the JSON that it answers. */
  ask(path: string, signal: AbortSignal): Promise<unknown>;
}

const PID_FILE = "/run/docker.pid";
const SOCKET = "/run/docker.sock";

/**
 * Looks for a daemon that runs in this network namespace, and asks it. Never
 * asks otherwise: where systemd holds the socket (`docker.socket`), a question
 * would start Docker, before its options are written.
 *
 * @param known what was found before: the same process is not asked again.
 */
export async function findEngine(
  signal: AbortSignal,
  known: DockerEngine | undefined = undefined,
  probe: EngineProbe = hostProbe,
): Promise<DockerEngine | undefined> {
  const pid = await runningPid(probe);
  if (pid === undefined) return undefined;
  if (known?.pid === pid && known.version !== undefined) return known;
  const version = await askFor(probe, "/version", "Version", signal);
  const info = await tryAsk(probe, "/info", signal);
  const backend = fieldOf(info, "FirewallBackend");
  const driver = fieldOf(backend, "Driver");
  return {
    pid,
    version,
    firewallBackend: typeof driver === "string" ? driver : undefined,
  };
}

async function runningPid(probe: EngineProbe): Promise<number | undefined> {
  try {
    const pid = Number((await probe.readTextFile(PID_FILE)).trim());
    const comm = await probe.readTextFile(`/proc/${pid}/comm`);
    if (comm.trim() !== "dockerd") return undefined;
    return probe.networkOf(pid) === probe.networkOf("self") ? pid : undefined;
  } catch (error) {
    // No file, or one that a daemon has left that is gone.
    if (isProcessGone(error)) return undefined;
    throw error;
  }
}

async function askFor(
  probe: EngineProbe,
  path: string,
  field: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const value = fieldOf(await tryAsk(probe, path, signal), field);
  return typeof value === "string" ? value : undefined;
}

/** A daemon that is still starting, or busy, is asked again next time. */
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

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

const ANSWER_TIMEOUT_MS = 2_000;

const hostProbe: EngineProbe = {
  readTextFile: (path) => Deno.readTextFile(path),
  networkOf: networkNamespaceOf,
  async ask(path, signal) {
    using client = Deno.createHttpClient({
      proxy: { transport: "unix", path: SOCKET },
    });
    // An address: a name would be looked up, although nothing is sent to it.
    const response = await fetch(`http://127.0.0.1${path}`, {
      client,
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
    });
    return await response.json();
  },
};
