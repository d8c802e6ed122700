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
import type { Finding } from "../finding.ts";

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
    settings.etcdEndpoints.map((url) => ({
      code: "etcd.endpoint",
      severity: "problem",
      what: `etcd ${url}`,
      value: "no answer in time, or this host is too busy to see it",
      fix: reachability(url),
    })),
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
  const fact = { code: "etcd.endpoint", what: `etcd ${url}` } as const;
  if (failure !== undefined) {
    return {
      ...fact,
      // The agent uses the others.
      severity: isUsable ? "warning" : "problem",
      value: failure.detail,
      fix: fixFor(failure, url),
    };
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
    return {
      ...fact,
      severity: isFull ? "problem" : "warning",
      value: `says that it is not healthy${because}`,
      fix: isFull
        ? `${ctl} compact $(${ctl} endpoint status --write-out=json | ` +
          `grep -o '"revision":[0-9]*' | head -n1 | cut -d: -f2) && ` +
          `${ctl} defrag && ${ctl} alarm disarm`
        : `${ctl} endpoint health`,
    };
  }
  return latencyMs > SLOW_MS
    ? {
      ...fact,
      severity: "warning",
      value: `${words.join(", ")}: slow`,
      fix: `etcdctl --endpoints=${url} check perf`,
    }
    : { ...fact, severity: "ok", value: words.join(", ") };
}

/** A tenth of the agent's patience with a call. */
const SLOW_MS = 500;

/** They are the cluster's, so one member's answer is enough. */
function rights(reports: readonly EndpointReport[]): Finding[] {
  const report = reports.find(({ failure }) => failure === undefined);
  if (report === undefined) return [];
  const fact = { code: "etcd.rights", what: "etcd rights" } as const;
  if (report.denied.length === 0) {
    return [{
      ...fact,
      severity: "ok",
      value: "may read the config, and read and write leases",
    }];
  }
  // Several operations may need the same right.
  const byFix = new Map(report.denied.map((error) => [error.hint, error]));
  return [...byFix.values()].map(({ hint, message }) => ({
    ...fact,
    severity: "problem",
    value: message,
    fix: hint?.replace(/^grant the right: /, "")
      .replace(" ROLE ", ` ${report.role ?? "ROLE"} `),
  }));
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
    const fact = { code: "etcd.certificate", what: "certificate" } as const;
    if (days > SOON_DAYS) {
      return [{
        ...fact,
        severity: "ok",
        value: `${path} is valid until ${date}`,
      }];
    }
    return [{
      ...fact,
      severity: days < 0 ? "problem" : "warning",
      value: `${path} ${days < 0 ? "ended" : "ends"} on ${date}`,
      fix: `put a new certificate into ${path}; the agent reads it by itself`,
    }];
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
    .map((url) => ({
      code: "etcd.clear-text",
      severity: "warning",
      what: `etcd ${url}`,
      value: `the password of ${etcdUsername} is sent in clear text`,
      fix: "serve etcd over TLS and use https:// in --etcd-endpoints, with " +
        "--etcd-cafile",
    }));
}
