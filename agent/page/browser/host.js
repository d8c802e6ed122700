// The lease with its clock, and the facts of this host.

import { byId, setAttribute, setRows, setText } from "./dom.js";
import { clockTime, duration } from "./text.js";

const HOUR_MS = 3_600_000;

export function showLease({ lease }, nowMs) {
  const { about, hours, left, level } = leaseClock(lease, nowMs);
  setText(byId("lease-left"), left);
  setText(byId("lease-about"), about);
  setAttribute(byId("dial"), "stroke-dasharray", `${hours.toFixed(2)} 24`);
  // A line of no length still has its ends.
  byId("dial").toggleAttribute("hidden", hours === 0);
  setAttribute(byId("dial").ownerSVGElement, "class", `dial ${level}`);
  setRows(
    byId("lease-facts"),
    lease === null ? [] : [
      ["Subnet", lease.subnet ?? "none"],
      ["State", `${lease.state} since ${clockTime(lease.since, nowMs)}`],
      ...lease.expires === null
        ? []
        : [["Expires", clockTime(lease.expires, nowMs)]],
      ...lease.cause === null ? [] : [["Because", lease.cause]],
    ],
  );
}

/** The dial is a day. The agent renews the lease long before its end. */
export function leaseClock(lease, nowMs) {
  if (lease === null || lease.subnet === null) {
    return { left: "none", about: "no lease yet", hours: 0, level: "" };
  }
  if (lease.expires === null) {
    return lease.state === "held"
      ? { left: "no end", about: "a reservation", hours: 24, level: "" }
      : { left: lease.state, about: lease.subnet, hours: 0, level: "error" };
  }
  const leftMs = Date.parse(lease.expires) - nowMs;
  if (leftMs <= 0) {
    return {
      left: "expired",
      about: `${duration(-leftMs)} ago`,
      hours: 0,
      level: "error",
    };
  }
  return {
    left: duration(leftMs),
    about: "until it expires; the agent renews it before",
    hours: Math.min(24, leftMs / HOUR_MS),
    level: leftMs < HOUR_MS ? "warning" : "",
  };
}

export function showHost(status, nowMs) {
  setRows(byId("host"), hostFacts(status, nowMs));
}

/** The lines of `loden status`. */
export function hostFacts(status, nowMs) {
  const { backend, docker, files, overlay, underlay } = status;
  return [
    ["Network", status.network ?? "not known yet"],
    [
      "State",
      [
        `${status.phase.replaceAll("-", " ")} since ${
          clockTime(status.phaseSince, nowMs)
        }`,
        ...status.waitingFor === null ? [] : [`waiting: ${status.waitingFor}`],
        ...status.fromSavedState ? ["serving from saved state"] : [],
      ].join(", "),
    ],
    [
      "Underlay",
      underlay === null
        ? "–"
        : `${underlay.interface} ${underlay.address}${
          underlay.publicIp === underlay.address
            ? ""
            : `, public ${underlay.publicIp}`
        }, MTU ${underlay.mtuBytes}`,
    ],
    [
      "Overlay",
      overlay === null
        ? "–"
        : `${overlay.device ?? "no device"}, MTU ${overlay.mtuBytes}`,
    ],
    [
      "Data path",
      (backend === null
        ? "not running"
        : `${backend.type}, ${backend.dataPath} (${backend.reason})`) +
      (status.backendRestarts === 0
        ? ""
        : `, restarted ${status.backendRestarts} times`),
    ],
    ...Object.entries(backend?.details ?? {}).map(([name, value]) => [
      name.replace(/^./, (letter) => letter.toUpperCase()),
      value,
    ]),
    ["Firewall", status.firewall ?? "–"],
    [
      "Docker",
      docker === null ? "not running" : [
        ...docker.version === null ? [] : [docker.version],
        docker.bridge === null
          ? "no bridge on the lease"
          : `${docker.bridge} on the lease`,
      ].join(", "),
    ],
    [
      "Files",
      files.length === 0
        ? "–"
        : files.map(({ path, written }) =>
          written ? path : `${path} (NOT WRITTEN)`
        ).join(", "),
    ],
    ["etcd", `${status.etcdEndpoints.join(", ")} ${status.etcdPrefix}`],
    ["Agent", `${status.version}, process ${status.pid}`],
  ];
}
