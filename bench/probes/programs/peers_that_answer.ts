/**
 * The hosts of many leases, as far as probes go: each answers echo requests at its
 * address in the overlay, and in turns they send five a second to one host:
 * `peers_that_answer.ts <count> <address>`.
 *
 * @module
 */

import { createSocket, type Socket } from "node:dgram";
import { formatIpv4, toIpv4 } from "../../../net/ipv4.ts";
import {
  decodeProbe,
  encodeProbe,
  PROBE_NONCE_BYTES,
} from "../../../net/probe_message.ts";
import { subnetOfHost } from "../../../tests/support/many_leases.ts";

const PORT = 8_286;
const REQUEST_BYTES = 1_472;
const EACH_MS = 200;

const [count, address] = Deno.args as [string, string];
const content = new Uint8Array();

async function open(index: number): Promise<Socket> {
  const own = formatIpv4(toIpv4(subnetOfHost(index).address + 1));
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(PORT, own, resolve));
  // As an agent does.
  socket.setTTL(255);
  socket.on("message", (message, from) => {
    const request = decodeProbe(message);
    if (request?.kind !== "echo-request") return;
    const { nonce } = request;
    socket.send(
      encodeProbe({ kind: "echo-reply", nonce, content }),
      from.port,
      from.address,
    );
  });
  return socket;
}

const sockets = await Promise.all(
  Array.from({ length: Number(count) }, (_, index) => open(index)),
);
console.log("listening");
for (let turn = 0;; turn++) {
  const request = encodeProbe({
    kind: "echo-request",
    nonce: crypto.getRandomValues(new Uint8Array(PROBE_NONCE_BYTES)),
    content,
  }, REQUEST_BYTES);
  sockets[turn % sockets.length]!.send(request, PORT, address);
  await new Promise((resolve) => setTimeout(resolve, EACH_MS));
}
