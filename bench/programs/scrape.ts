/**
 * Scrapes: `scrape.ts <url> <count> <pause ms>`. Begins one each so many
 * milliseconds, whether or not the last has ended, and prints how long they took.
 *
 * @module
 */

import { delay } from "@std/async/delay";

const [url, count, pauseMs] = Deno.args as [string, string, string];
const ms: number[] = [];
let failed = 0;
let bytes = 0;

async function scrape(): Promise<void> {
  const begin = performance.now();
  try {
    const response = await fetch(url);
    bytes = (await response.arrayBuffer()).byteLength;
    if (response.ok) ms.push(performance.now() - begin);
    else failed++;
  } catch {
    // Closed by the server's limits.
    failed++;
  }
}

// What this program does for its first request is not the server's time.
await (await fetch(new URL("/none", url))).text();
const startedMs = performance.now();
const running: Promise<void>[] = [];
for (let index = 0; index < Number(count); index++) {
  running.push(scrape());
  const waitMs = startedMs + (index + 1) * Number(pauseMs) - performance.now();
  if (waitMs > 0) await delay(waitMs);
}
await Promise.all(running);
const tookMs = performance.now() - startedMs;
console.log(JSON.stringify({ ms, failed, bytes, tookMs }));
