/**
 * What systemd is told about the agent: sd_notify(3).
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { ERRNO, SystemCallError } from "../linux/errno.ts";
import { sendUnixDatagram } from "../linux/unix_datagram.ts";

const log = getLogger(["loden", "host"]);

/** Longer than a busy service manager takes to read, shorter than anyone notices. */
const SEND_TIMEOUT_MILLISECONDS = 200;

/** The service manager, as the agent sees it. Nothing here throws. */
export interface ServiceNotifier {
  /**
   * The overlay is up: units ordered after this one may start.
   *
   * @returns whether the manager, if there is one, has taken the message.
   */
  ready(status: string): boolean;
  /**
   * One line for `systemctl status`; the same line again is not sent. A manager
   * whose queue is full is not waited for: everything else would wait as well.
   *
   * @returns whether the manager, if there is one, has the line.
   */
  status(text: string): boolean;
  /** The agent begins to stop. */
  stopping(): void;
}

/** The service manager's watchdog. Nothing here throws. */
export interface WatchdogNotifier {
  /** The agent is as it should be: the watchdog's time begins anew. */
  watchdog(): void;
}

/**
 * How long the service manager waits for a sign of life before it restarts the
 * agent (`WatchdogSec=`), in milliseconds; `undefined` when it does not wait for
 * one of this process. sd_watchdog_enabled(3).
 */
export function readWatchdogTimeout(
  env: Readonly<Record<string, string>>,
  pid: number,
): number | undefined {
  const { WATCHDOG_PID, WATCHDOG_USEC = "" } = env;
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(pid)) {
    return undefined;
  }
  const timeoutMs = /^\d+$/.test(WATCHDOG_USEC)
    ? Number(WATCHDOG_USEC) / 1_000
    : 0;
  return timeoutMs > 0 ? timeoutMs : undefined;
}

/** How a datagram is sent; {@linkcode sendUnixDatagram} outside of tests. */
export type DatagramSender = (
  address: string,
  bytes: Uint8Array<ArrayBuffer>,
  timeoutMilliseconds: number,
) => void;

/**
 * Tells systemd over the socket that `$NOTIFY_SOCKET` names (`@` is an abstract
 * one); without a name nothing is sent. A socket that fails is reported once and
 * tried again with the next message: the overlay works without it.
 */
export class SystemdNotifier implements ServiceNotifier, WatchdogNotifier {
  readonly #address: string | undefined;
  readonly #send: DatagramSender;
  #lastStatus: string | undefined;
  #reported = false;

  /** @param address the value of NOTIFY_SOCKET, if there is one. */
  constructor(
    address: string | undefined,
    send: DatagramSender = sendUnixDatagram,
  ) {
    this.#address = address === "" ? undefined : address;
    this.#send = send;
  }

  ready(status: string): boolean {
    return this.#notify("READY=1", status);
  }

  status(text: string): boolean {
    return oneLine(text) === this.#lastStatus || this.#notify(undefined, text);
  }

  stopping(): void {
    this.#notify("STOPPING=1", undefined);
  }

  watchdog(): void {
    this.#notify("WATCHDOG=1", undefined);
  }

  #notify(state: string | undefined, status: string | undefined): boolean {
    const lines = state === undefined ? [] : [state];
    if (status !== undefined) lines.push(`STATUS=${oneLine(status)}`);
    const timeoutMs = state === undefined ? 0 : SEND_TIMEOUT_MILLISECONDS;
    const delivered = this.#deliver(lines.join("\n"), timeoutMs);
    if (delivered && status !== undefined) this.#lastStatus = oneLine(status);
    return delivered;
  }

  #deliver(message: string, timeoutMs: number): boolean {
    if (this.#address === undefined) return true;
    try {
      const bytes = new TextEncoder().encode(message);
      this.#send(this.#address, bytes, timeoutMs);
      return true;
    } catch (error) {
      const isBusy = error instanceof SystemCallError &&
        error.errno === ERRNO.EAGAIN;
      if (isBusy && timeoutMs === 0) return false;
      if (!this.#reported) {
        this.#reported = true;
        log.warn("service manager cannot be told", {
          event: "systemd.unreachable",
          socket: this.#address,
          error,
        });
      }
      return false;
    }
  }
}

/** A line break would begin another field of the message. */
function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, " ");
}
