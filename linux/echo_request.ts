/**
 * Asking a host for an echo, to learn whether packets of a size reach it.
 *
 * @module
 */

import type { Ipv4 } from "../net/ipv4.ts";
import type { Clock } from "./clock.ts";
import { ECHO_NONCE_BYTES, KernelEchoSocket } from "./echo_socket.ts";

const ATTEMPTS = 3;
const LOOKS_PER_ATTEMPT = 6;
const LOOK_MS = 50;
/** Of replies to other programs, before the others have their turn. */
const READS_PER_LOOK = 256;

/** Whether an answer arrived. */
export type EchoAnswer = "arrived" | "none";

/**
 * Sends three echo requests of `bytes` bytes, IPv4 header included, that must not
 * be fragmented, within a second. Needs CAP_NET_RAW.
 *
 * Throws {@linkcode SystemCallError} when there can be no socket.
 */
export async function requestEcho(
  clock: Pick<Clock, "sleep">,
  address: Ipv4,
  bytes: number,
): Promise<EchoAnswer> {
  using socket = new KernelEchoSocket();
  // A machine that has not seen the request cannot answer it.
  const nonce = crypto.getRandomValues(new Uint8Array(ECHO_NONCE_BYTES));
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    socket.send(address, nonce, bytes);
    for (let look = 0; look < LOOKS_PER_ATTEMPT; look++) {
      await clock.sleep(LOOK_MS, new AbortController().signal);
      for (let read = 0; read < READS_PER_LOOK; read++) {
        const reply = socket.receive();
        if (reply === undefined) break;
        if (
          reply.packetBytes === bytes &&
          reply.nonce.every((byte, index) => byte === nonce[index])
        ) return "arrived";
      }
    }
  }
  return "none";
}
