/**
 * The Docker daemon of this host, if one runs.
 *
 * @module
 */

import * as v from "valibot";
import { isProcessGone } from "../../linux/proc.ts";
import { networkNamespaceOf } from "../network_namespace.ts";

/** What the daemon says about itself. */
export interface EngineDescription {
  /** `28.2.1`; `null` if it does not answer. */
  readonly version: string | null;
  /** The tool that sets its firewall rules, if it reports that (28.2). */
  readonly firewall: string | null;
}

/** What {@linkcode isEngineRunning} needs of the host. */
export interface EngineProbe {
  /** @throws if there is no such file. */
  readTextFile(path: string): Promise<string>;
  /** @throws if there is no such process. */
  networkOf(pid: number | "self"): number;
}

/** Sends a GET over the daemon's socket and returns the JSON of the answer. */
export type AskEngine = (path: string) => Promise<unknown>;

const versionSchema = v.object({ Version: v.string() });
const infoSchema = v.object({
  FirewallBackend: v.object({ Driver: v.string() }),
});

const PID_FILE = "/run/docker.pid";
const SOCKET = "/run/docker.sock";

/**
 * Whether a daemon runs in this network namespace. It is not asked anything: who
 * may open its socket is root on the host, and the agent shall not need that.
 */
export async function isEngineRunning(
  probe: EngineProbe = hostProbe,
): Promise<boolean> {
  return await findEngine(probe) !== undefined;
}

/** The daemon's process id; `undefined` if none runs in this network namespace. */
export async function findEngine(
  probe: EngineProbe = hostProbe,
): Promise<number | undefined> {
  try {
    const pid = Number((await probe.readTextFile(PID_FILE)).trim());
    const comm = await probe.readTextFile(`/proc/${pid}/comm`);
    const isIt = comm.trim() === "dockerd" &&
      probe.networkOf(pid) === probe.networkOf("self");
    return isIt ? pid : undefined;
  } catch (error) {
    // There is no file, or a former daemon left it.
    if (isProcessGone(error)) return undefined;
    throw error;
  }
}

/**
 * Asks a running daemon. Never call it without one: if systemd holds the socket
 * (`docker.socket`), a question would start Docker.
 */
export async function describeEngine(
  ask: AskEngine = askEngine,
): Promise<EngineDescription> {
  // A daemon that is starting or busy does not answer.
  const [version, info] = await Promise.all(
    ["/version", "/info"].map((path) => ask(path).catch(() => undefined)),
  );
  return {
    version: v.is(versionSchema, version) ? version.Version : null,
    firewall: v.is(infoSchema, info) ? info.FirewallBackend.Driver : null,
  };
}

const ANSWER_TIMEOUT_MS = 2_000;

const hostProbe: EngineProbe = {
  readTextFile: (path) => Deno.readTextFile(path),
  networkOf: networkNamespaceOf,
};

/** Asks this host's daemon; see {@linkcode describeEngine} about when not to. */
export async function askEngine(path: string): Promise<unknown> {
  using client = Deno.createHttpClient({
    proxy: { transport: "unix", path: SOCKET },
  });
  // An address, because a name would be resolved although nothing is sent to it.
  const response = await fetch(`http://127.0.0.1${path}`, {
    client,
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  });
  return await response.json();
}
