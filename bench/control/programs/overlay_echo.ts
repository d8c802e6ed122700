/**
 * Peers that only answer: `overlay_echo.ts <port> <address>...`. A UDP packet of
 * the overlay that comes to one of the addresses is unpacked, and its payload sent
 * back over the underlay, from that address, to where it came from.
 *
 * @module
 */

import { createSocket } from "node:dgram";

/** RFC 791, RFC 768: of the inner packet, which has no options. */
const IP_BYTES = 20;
const UDP_BYTES = 8;

const [port, ...addresses] = Deno.args as [string, ...string[]];
let listening = 0;
for (const address of addresses) {
  const socket = createSocket("udp4");
  socket.on("message", (packet, from) => {
    const payload = packet.subarray(IP_BYTES + UDP_BYTES);
    if (payload.length === 0) return;
    socket.send(payload, packet.readUInt16BE(IP_BYTES), from.address);
  });
  socket.bind(Number(port), address, () => {
    listening++;
    if (listening === addresses.length) console.log("listening");
  });
}
