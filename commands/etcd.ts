/**
 * The commands' access to etcd: opens it, waits for it as long as a command
 * may, closes it.
 *
 * @module
 */

import { retryUntilDone } from "../agent/tasks/retry.ts";
import type { Settings } from "../config/settings.ts";
import { describeError } from "../errors.ts";
import { RegistryError, type RegistryFault } from "../lease/errors.ts";
import {
  EtcdLeaseRegistry,
  type EtcdRegistryOptions,
} from "../lease/etcd_registry.ts";
import type { LeaseRegistry } from "../lease/registry.ts";
import { type Clock, systemClock } from "../linux/clock.ts";
import { systemRandom } from "../linux/random.ts";
import type { CommandIo } from "./command.ts";
import { EtcdUnavailableError } from "./failure.ts";
import { Progress } from "./terminal/progress.ts";

/**
 * How long a command waits for an etcd that does not answer. At boot etcd may
 * start at the same time, and systemd gives an ExecStartPre 90 seconds.
 */
const PATIENCE_MS = 20_000;

/** The registry that the settings name. */
export function openRegistry(settings: Settings): LeaseRegistry {
  return new EtcdLeaseRegistry(etcdOptions(settings));
}

/** How the settings say that etcd is to be reached. */
export function etcdOptions(settings: Settings): EtcdRegistryOptions {
  const { etcdCaFile, etcdCertFile, etcdKeyFile } = settings;
  return {
    endpoints: settings.etcdEndpoints,
    prefix: settings.etcdPrefix,
    tls: {
      ...(etcdCaFile === "" ? {} : { caFile: etcdCaFile }),
      ...(etcdCertFile === "" ? {} : { certFile: etcdCertFile }),
      ...(etcdKeyFile === "" ? {} : { keyFile: etcdKeyFile }),
    },
    ...(settings.etcdUsername === "" ? {} : {
      username: settings.etcdUsername,
      password: settings.etcdPassword.reveal(),
      ...(settings.etcdPasswordFile === ""
        ? {}
        : { passwordFile: settings.etcdPasswordFile }),
    }),
  };
}

/** What tests can pass to {@linkcode withRegistry}. */
export interface RegistryAccess {
  readonly open: (settings: Settings) => LeaseRegistry;
  readonly clock: Clock;
  readonly patienceMs: number;
}

/** The real one. */
export const etcdAccess: RegistryAccess = {
  open: openRegistry,
  clock: systemClock,
  patienceMs: PATIENCE_MS,
};

/**
 * The faults of an etcd that is starting, or of a network that is coming up.
 */
const PASSING_FAULTS: readonly RegistryFault[] = [
  "dns",
  "refused",
  "unreachable",
  "no-leader",
  "deadline",
];

/**
 * Runs `work` against etcd and repeats it while etcd cannot be reached; says what
 * it waits for.
 *
 * @param work writes lines for people with `note`.
 *
 * @throws {EtcdUnavailableError} after that time. Errors that waiting cannot
 * cure (a wrong password, a certificate) are thrown at once.
 */
export async function withRegistry<T>(
  io: Pick<CommandIo, "stderr" | "errorTerminal">,
  settings: Settings,
  access: RegistryAccess,
  work: (
    registry: LeaseRegistry,
    signal: AbortSignal,
    note: (text: string) => void,
  ) => Promise<T>,
): Promise<T> {
  const registry = access.open(settings);
  const done = new AbortController();
  const late = new AbortController();
  access.clock.sleep(access.patienceMs, done.signal)
    .then(() => late.abort(), () => {});
  let reason: string | undefined;
  using progress = new Progress(io, access.clock);
  progress.say("waiting for etcd to answer");
  const note = (text: string) => {
    progress.erase();
    io.stderr(`loden: ${text}\n`);
  };
  try {
    const outcome = await retryUntilDone<{ value: T } | { error: unknown }>(
      async (signal) => {
        try {
          return { value: await work(registry, signal, note) };
        } catch (error) {
          if (isPassing(error)) throw error;
          return { error };
        }
      },
      { clock: access.clock, random: systemRandom },
      {
        signal: late.signal,
        onFailure: (error) => {
          reason = describeError(error);
          progress.say(`waiting for etcd: ${reason}`);
        },
      },
    );
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  } catch (error) {
    if (!late.signal.aborted) throw error;
    throw new EtcdUnavailableError(
      "etcd.unavailable",
      `Cannot use etcd: it must answer within ${access.patienceMs / 1000} ` +
        `seconds: ${reason ?? "it has not answered"}`,
    );
  } finally {
    done.abort();
    registry.close();
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof RegistryError && PASSING_FAULTS.includes(error.fault);
}
