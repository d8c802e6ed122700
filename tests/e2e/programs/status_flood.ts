/**
 * Opens many connections at once to an agent's status socket, once a second, asks
 * on each of them for the status, and reads to the end:
 * `status_flood.ts <socket> <connections> <seconds>`. Prints `{"answered":…}`.
 *
 * @module
 */

import { delay } from "@std/async/delay";

const [path, connections, seconds] = Deno.args as [string, string, string];
const request = new TextEncoder().encode(
  "GET /status HTTP/1.1\r\nHost: agent\r\n\r\n",
);
let answered = 0;

async function ask(): Promise<void> {
  try {
    using connection = await Deno.connect({ transport: "unix", path });
    await connection.write(request);
    const answer = await new Response(connection.readable).text();
    if (answer.startsWith("HTTP/1.1 200 ")) answered++;
  } catch {
    // The agent ends the oldest connections when there are too many.
  }
}

for (let second = 0; second < Number(seconds); second++) {
  await Promise.all([
    delay(1_000),
    ...Array.from({ length: Number(connections) }, ask),
  ]);
}
console.log(JSON.stringify({ answered }));
