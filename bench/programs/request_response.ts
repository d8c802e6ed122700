/**
 * TCP round trips of one byte: `request_response.ts serve|ask <address> <port>`.
 * Both print `ready`. The asking end then answers each line of standard input,
 * a number of milliseconds, with the round trips of that time.
 *
 * @module
 */

import { addressOf, checked, libc } from "../../linux/libc.ts";
import { AF_INET, socketAddress } from "../../tests/support/socket_address.ts";
import { answerLines } from "./answer_lines.ts";

const SOCK_STREAM = 1;
/** MSG_NOSIGNAL, bits/socket.h. */
const NO_SIGNAL = 0x4000;

const [role, address, port] = Deno.args as ["serve" | "ask", string, string];
const c = libc();
const descriptor = checked(c.socket(AF_INET, SOCK_STREAM, 0), "make a socket");
const end = socketAddress(address, Number(port));
const byte = new Uint8Array(1);
const byteAddress = addressOf(byte);

if (role === "serve") serve();
else ask();

function serve(): void {
  const { accept, listen } = Deno.dlopen("libc.so.6", {
    accept: { parameters: ["i32", "usize", "usize"], result: "i32" },
    listen: { parameters: ["i32", "i32"], result: "i32" },
  }).symbols;
  checked(c.bind(descriptor, addressOf(end), end.length), "bind");
  checked(listen(descriptor, 1), "listen");
  console.log("ready");
  const connection = checked(accept(descriptor, 0n, 0n), "accept");
  while (receive(connection)) send(connection);
}

function ask(): void {
  checked(c.connect(descriptor, addressOf(end), end.length), "connect");
  answerLines((milliseconds) => {
    const tripsUs: number[] = [];
    const startMs = performance.now();
    let beforeMs = startMs;
    while (beforeMs - startMs < milliseconds) {
      send(descriptor);
      receive(descriptor);
      const nowMs = performance.now();
      tripsUs.push((nowMs - beforeMs) * 1000);
      beforeMs = nowMs;
    }
    tripsUs.sort((a, b) => a - b);
    const within = (part: number) => tripsUs[Math.floor(tripsUs.length * part)];
    return {
      perSecond: tripsUs.length / (beforeMs - startMs) * 1000,
      p50Us: within(0.5),
      p99Us: within(0.99),
    };
  });
}

function send(to: number): void {
  checked(c.sendto(to, byteAddress, 1, NO_SIGNAL, 0, 0), "send");
}

/** Whether the other end is still there. */
function receive(from: number): boolean {
  return checked(c.recv(from, byteAddress, 1, 0), "receive") === 1;
}
