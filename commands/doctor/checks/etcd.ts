/**
 * Each endpoint of etcd, and what the account may do there.
 *
 * @module
 */

import { X509Certificate } from "node:crypto";
import type { EndpointReport } from "../../../lease/etcd/endpoint_report.ts";
import type { RegistryError } from "../../../lease/errors.ts";
import type { Settings } from "../../../config/settings.ts";
import type { Check, DoctorHost } from "../check.ts";
import { type Finding, findingOn } from "../finding.ts";

/** See the module. */
export const etcdCheck: Check = {
  name: "etcd",
  run: async (host, signal) => {
    const reports = await host.etcd(signal);
    const isUsable = reports.some(({ failure }) => failure === undefined);
    return [
      ...reports.map((report) => endpoint(report, isUsable)),
      ...rights(reports),
      ...certificates(host),
      ...clearText(host.settings),
    ];
  },
  late: ({ settings }) =>
    settings.etcdEndpoints.map((url) =>
      findingOn("etcd.endpoint", `etcd ${url}`).problem(
        "no answer in time, or this host is too busy to see it",
        reachability(url),
      )
    ),
};

function fixFor({ fault, hint }: RegistryError, url: string) {
  switch (fault) {
    case "refused":
      return "systemctl start etcd on that host, or correct --etcd-endpoints";
    case "unreachable":
      return reachability(url);
    default:
      return hint;
  }
}

function reachability(url: string): string {
  const { hostname } = new URL(url);
  const host = hostname.replaceAll(/[[\]]/g, "");
  return `ip route get ${host}; ping -c 3 ${host}, and look for a firewall ` +
    "between the two";
}

function endpoint(report: EndpointReport, isUsable: boolean): Finding {
  const { failure, healthy, latencyMs = 0, reason, url, version } = report;
  const fact = findingOn("etcd.endpoint", `etcd ${url}`);
  if (failure !== undefined) {
    // The agent uses the others.
    return fact[isUsable ? "warning" : "problem"](
      failure.detail,
      fixFor(failure, url),
    );
  }
  const words = [
    version === undefined ? "version not told" : `version ${version}`,
    healthy === undefined ? "health not told" : "healthy",
    `answers in ${
      latencyMs < 10 ? latencyMs.toFixed(1) : latencyMs.toFixed()
    } ms`,
  ];
  if (healthy === false) {
    const ctl = `etcdctl --endpoints=${url}`;
    const isFull = reason?.includes("NOSPACE") ?? false;
    const because = reason ? `: ${reason}` : "";
    return fact[isFull ? "problem" : "warning"](
      `says that it is not healthy${because}`,
      isFull
        ? `${ctl} compact $(${ctl} endpoint status --write-out=json | ` +
          `grep -o '"revision":[0-9]*' | head -n1 | cut -d: -f2) && ` +
          `${ctl} defrag && ${ctl} alarm disarm`
        : `${ctl} endpoint health`,
    );
  }
  return latencyMs > SLOW_MS
    ? fact.warning(
      `${words.join(", ")}: slow`,
      `etcdctl --endpoints=${url} check perf`,
    )
    : fact.ok(words.join(", "));
}

/** A tenth of the agent's patience with a call. */
const SLOW_MS = 500;

/** They are the cluster's, so one member's answer is enough. */
function rights(reports: readonly EndpointReport[]): Finding[] {
  const report = reports.find(({ failure }) => failure === undefined);
  if (report === undefined) return [];
  const fact = findingOn("etcd.rights", "etcd rights");
  if (report.denied.length === 0) {
    return [fact.ok("may read the config, and read and write leases")];
  }
  // Several operations may need the same right.
  const byFix = new Map(report.denied.map((error) => [error.hint, error]));
  return [...byFix.values()].map(({ hint, message }) =>
    fact.problem(
      message,
      hint?.replace(/^grant the right: /, "")
        .replace(" ROLE ", ` ${report.role ?? "ROLE"} `),
    )
  );
}

const SOON_DAYS = 14;
const DAY_MS = 86_400_000;

/** What is wrong with a file otherwise shows at the endpoints. */
function certificates(
  { nowMs, readText, settings: { etcdCaFile, etcdCertFile } }: DoctorHost,
): Finding[] {
  return [etcdCertFile, etcdCaFile].flatMap((path): Finding[] => {
    const ends = endOf(path === "" ? undefined : readText(path));
    if (ends === undefined) return [];
    const days = Math.floor((ends - nowMs()) / DAY_MS);
    const date = new Date(ends).toISOString().slice(0, 10);
    const fact = findingOn("etcd.certificate", "certificate");
    if (days > SOON_DAYS) {
      return [fact.ok(`${path} is valid until ${date}`)];
    }
    return [
      fact[days < 0 ? "problem" : "warning"](
        `${path} ${days < 0 ? "ended" : "ends"} on ${date}`,
        `put a new certificate into ${path}; the agent reads it by itself`,
      ),
    ];
  });
}

function endOf(pem: string | undefined): number | undefined {
  if (pem === undefined) return undefined;
  try {
    return Date.parse(new X509Certificate(pem).validTo) || undefined;
  } catch {
    // The endpoints say what is wrong with the file.
    return undefined;
  }
}

const LOOPBACK = /^http:\/\/(127\.|\[::1\]|localhost[:/])/;

function clearText(
  { etcdEndpoints, etcdUsername }: Settings,
): Finding[] {
  if (etcdUsername === "") return [];
  return etcdEndpoints
    .filter((url) => url.startsWith("http://") && !LOOPBACK.test(url))
    .map((url) =>
      findingOn("etcd.clear-text", `etcd ${url}`).warning(
        `the password of ${etcdUsername} is sent in clear text`,
        "serve etcd over TLS and use https:// in --etcd-endpoints, with " +
          "--etcd-cafile",
      )
    );
}
