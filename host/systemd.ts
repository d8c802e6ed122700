/**
 * Notifies systemd about the agent: sd_notify(3).
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { ERRNO, SystemCallError } from "../linux/errno.ts";
import { sendUnixDatagram } from "../linux/unix_datagram.ts";

const log = getLogger(["loden", "host"]);

/**
 * Longer than a busy service manager needs to read, too short to be noticed.
 */
const SEND_TIMEOUT_MILLISECONDS = 200;

/** The service manager, as the agent sees it. Nothing here throws. */
export interface ServiceNotifier {
  /**
   * Reports that the overlay is up: units ordered after this one may start.
   *
   * @returns whether the manager, if there is one, has received the message.
   */
  ready(status: string): boolean;
  /**
   * Sends one line for `systemctl status`, unless it is the same as before.
   * Does not wait for a manager whose queue is full, because everything else
   * would wait as well.
   *
   * @returns whether the manager, if there is one, has the line.
   */
  status(text: string): boolean;
  /** Reports that the agent is stopping. */
  stopping(): void;
}

/** The service manager's watchdog. Nothing here throws. */
export interface WatchdogNotifier {
  /** Reports that the agent is healthy, which restarts the watchdog's timer. */
  watchdog(): void;
}

/**
 * How long the service manager waits for a keep-alive before it restarts the
 * agent (`WatchdogSec=`), in milliseconds; `undefined` if it expects none from
 * this process. sd_watchdog_enabled(3).
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

/** Sends a datagram; {@linkcode sendUnixDatagram} outside tests. */
export type DatagramSender = (
  address: string,
  bytes: Uint8Array<ArrayBuffer>,
  timeoutMilliseconds: number,
) => void;

/**
 * Notifies systemd over the socket in `$NOTIFY_SOCKET` (`@` means abstract);
 * without it, sends nothing. A socket that fails is reported once and tried
 * again with the next message, because the overlay works without it.
 */
export class SystemdNotifier implements ServiceNotifier, WatchdogNotifier {
  readonly #address: string | undefined;
  readonly #send: DatagramSender;
  #lastStatus: string | undefined;
  #reported = false;

  /** @param address the value of NOTIFY_SOCKET, if set. */
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
        log.warn("cannot notify the service manager", {
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
