/**
 * TLS handshakes that are reported as done although they failed.
 *
 * @module
 */

import type { TLSSocket } from "node:tls";

/**
 * For listeners of `secureConnect`: whether the handshake succeeded. Deno 2.7
 * emits the event after a failed one, too; the server's certificate is then
 * missing.
 */
export function hasShakenHands(socket: TLSSocket): boolean {
  return Boolean(socket.getPeerCertificate());
}
