/**
 * This host's clock. Leases and saved peers have times by it, and certificates are
 * checked against it.
 *
 * @module
 */

import type { EndpointReport } from "../../../lease/etcd/endpoint_report.ts";
import type { Check, DoctorHost } from "../check.ts";
import { type Finding, findingOn } from "../finding.ts";

/** What time servers keep easily; a date over HTTP has whole seconds. */
const TOLERANCE_MS = 2_000;
const SYNC = "timedatectl set-ntp true";

/** See the module. */
export const clockCheck: Check = {
  name: "clock",
  run: async (host, signal) => {
    const told = (await host.etcd(signal))
      .filter(({ aheadMs }) => aheadMs !== undefined);
    return [...told.map(compare), synchronization(host, told.length > 0)];
  },
};

function compare({ aheadMs, url }: EndpointReport): Finding {
  const { least, most } = aheadMs!;
  const fact = findingOn("clock.etcd", "clock");
  const differenceMs = least > 0 ? least : most < 0 ? -most : 0;
  if (differenceMs <= TOLERANCE_MS) {
    return fact.ok(
      `agrees with ${url} within ` +
        `${Math.ceil((differenceMs + most - least) / 1_000)} s`,
    );
  }
  return fact.warning(
    `is ${describeSeconds(differenceMs)} ` +
      `${least > 0 ? "behind" : "ahead of"} ${url}: one of the two is wrong`,
    SYNC,
  );
}

/** Whether anything keeps the clock matters less if it is right. */
function synchronization(
  { clockSync }: DoctorHost,
  isCompared: boolean,
): Finding {
  const { maxErrorMs, synchronized } = clockSync();
  const fact = findingOn("clock.sync", "clock");
  return synchronized
    ? fact.ok(`set by a time server, at most ${maxErrorMs.toFixed()} ms wrong`)
    : fact[isCompared ? "note" : "warning"]("no time server sets it", SYNC);
}

function describeSeconds(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
