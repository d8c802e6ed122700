/**
 * Sends the frames of standard input out of a device, over and over, so many a
 * second: `frame_flood.ts <device> <perSecond> <seconds>`; the form of the lines is
 * that of `frame_inject.ts`. Prints `{"sent":…}`.
 *
 * @module
 */

import { openFrameSocket } from "./frame_socket.ts";

const STEP_MS = 5;

const [device, perSecond, seconds] = Deno.args as [string, string, string];
const frames = (await new Response(Deno.stdin.readable).text()).trim()
  .split("\n").map((line) => Uint8Array.fromHex(line));
const send = await openFrameSocket(device);
const sleeper = new Int32Array(new SharedArrayBuffer(4));
const start = performance.now();
let sent = 0;
for (;;) {
  const elapsedMs = performance.now() - start;
  const due = Math.floor(
    Math.min(elapsedMs / 1_000, Number(seconds)) * Number(perSecond),
  );
  while (sent < due) send(frames[sent++ % frames.length]!);
  if (elapsedMs >= Number(seconds) * 1_000) break;
  Atomics.wait(sleeper, 0, 0, STEP_MS);
}
console.log(JSON.stringify({ sent }));
