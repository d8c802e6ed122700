/**
 * How soon a browser shows the page: the time from the navigation to the first
 * paint, by the browser's own clock, with a thousand peers; and what an open page
 * costs the agent.
 *
 * @module
 */

import { assert } from "@std/assert";
import { delay } from "@std/async/delay";
import { processSeconds } from "../../bench/measure/process_cpu.ts";
import { median } from "../../bench/median.ts";
import { PREFIX, program } from "../../bench/control/measure_agent.ts";
import { Chromium } from "../rig/chromium.ts";
import { Rig } from "../rig/rig.ts";
import { MANY_LEASES_NETWORK } from "../support/many_leases.ts";
import { composePage } from "../../agent/page/page.ts";

const PORT = 9285;
const HOSTS = 1_000;
const LOADS = 20;
const MOST_MS = 300;

const SECONDS = 10;

/** What a process takes of one processor. */
async function usedPercent(pid: number): Promise<number> {
  const before = processSeconds(pid);
  await delay(SECONDS * 1_000);
  return (processSeconds(pid) - before) / SECONDS * 100;
}

/** From the browser; null until it has painted. */
const PAINT = `performance.getEntriesByName("first-contentful-paint")[0]
  ?.startTime ?? null`;

Deno.test(`the page with ${HOSTS} peers is painted within ${MOST_MS} ms`, async () => {
  await using rig = await Rig.create({ hosts: 1 });
  await rig.startEtcd();
  await rig.publish({
    Network: MANY_LEASES_NETWORK,
    SubnetLen: 24,
    SubnetMin: "10.250.0.0",
    SubnetMax: "10.250.255.0",
  });
  await rig.switch.run(
    program("write_leases.ts", rig.etcdEndpoint, PREFIX, `${HOSTS}`),
  );
  const { namespace } = rig.host(0);
  const agent = await rig.startAgent(rig.host(0), {
    flags: [`--healthz-port=${PORT}`],
  });
  await agent.ready();
  await using browser = await Chromium.start(
    `${rig.directory}/chromium`,
    namespace.commandPrefix,
  );
  const tab = await browser.newTab();
  await tab.appear({ width: 1280, height: 900 });
  const paints: number[] = [];
  const complete: number[] = [];
  for (let load = 0; load < LOADS; load++) {
    await tab.go(`http://127.0.0.1:${PORT}/`);
    await tab.until(
      `document.querySelector("#shown").innerText.includes("1,000 peers")`,
    );
    complete.push(await tab.evaluate("performance.now()"));
    await tab.until(`(${PAINT}) !== null`);
    paints.push(await tab.evaluate(PAINT));
    await delay(100);
  }
  const openPercent = await usedPercent(agent.process.pid);
  await tab.go("about:blank");
  const closedPercent = await usedPercent(agent.process.pid);
  const { length } = new TextEncoder().encode((await composePage()).html);
  console.log(
    `page: ${length} bytes; first contentful paint of ${LOADS} loads: ` +
      `median ${median(paints).toFixed(0)} ms, ` +
      `most ${Math.max(...paints).toFixed(0)} ms; all ${HOSTS} peers shown ` +
      `after ${median(complete).toFixed(0)} ms (median); ` +
      `the agent uses ${openPercent.toFixed(1)} % of a processor with the ` +
      `page open, ${closedPercent.toFixed(1)} % without`,
  );
  assert(median(paints) <= MOST_MS, `${median(paints)} ms`);
});
