/**
 * Sends an echo request of a probe three times, and says whether an answer came:
 * `probe_ask.ts <own address> <address> <port>`.
 *
 * @module
 */

import { createSocket } from "node:dgram";
import { encodeProbe, PROBE_NONCE_BYTES } from "../../../net/probe_message.ts";

const ATTEMPTS = 3;
const WAIT_MS = 300;

const [own, address, port] = Deno.args as [string, string, string];
const socket = createSocket("udp4");
await new Promise<void>((resolve) => socket.bind(Number(port), own, resolve));
// As an agent does; a host that forwards it takes one.
socket.setTTL(255);
let answers = 0;
socket.on("message", () => answers++);
for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
  const request = encodeProbe({
    kind: "echo-request",
    nonce: crypto.getRandomValues(new Uint8Array(PROBE_NONCE_BYTES)),
    content: new Uint8Array(),
  });
  socket.send(request, Number(port), address);
  await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
}
console.log(answers > 0 ? "answered" : "no answer");
socket.close();
