/**
 * Kernel settings without which the host does not forward packets.
 *
 * Like flannel, Loden only reads them by default (compat 6.3): the
 * administrator or Docker decides whether a host is a router.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { readSysctl } from "../linux/sysctl.ts";

/** A setting that blocks packets, or may affect them. */
export interface SysctlFinding {
  /** In sysctl(8)'s notation: `net.ipv4.ip_forward`. */
  readonly name: string;
  /** Below /proc/sys. */
  readonly path: string;
  readonly value: string;
  /**
   * `warning`: packets are lost; `info`: some may be lost or take an unexpected
   * route.
   */
  readonly severity: "warning" | "info";
  /** The effect, for an operator. */
  readonly text: string;
  /** What it should be. */
  readonly wanted: string;
  /**
   * The command that corrects it now; a file in /etc/sysctl.d makes it
   * permanent.
   */
  readonly fix: string;
  /**
   * Whether `--set-sysctls` sets it. It does not set what Docker or other
   * programs choose on purpose.
   */
  readonly isOurs: boolean;
}

/** Reads a file in /proc/sys; `undefined` if there is no such setting. */
export type SysctlReader = (path: string) => string | undefined;

/**
 * Checks forwarding, for the host and for the devices that overlay packets
 * pass; source validation; and whether bridged packets pass iptables.
 *
 * @param devices names of devices, such as the overlay's; unknown ones are
 * skipped.
 */
export function checkSysctls(
  devices: readonly string[],
  read: SysctlReader = readSysctl,
): SysctlFinding[] {
  return [
    ...checkForwarding(devices, read),
    ...checkReversePath(devices, read),
    ...checkBridges(read),
  ];
}

function checkForwarding(
  devices: readonly string[],
  read: SysctlReader,
): SysctlFinding[] {
  if (read("net/ipv4/ip_forward") === "0") {
    // If it is off, it is off for the devices as well; one finding is enough.
    return [finding("net/ipv4/ip_forward", {
      value: "0",
      wanted: "1",
      severity: "warning",
      text: "the kernel forwards nothing between containers and other hosts",
      isOurs: true,
    })];
  }
  return devices.flatMap((device) => {
    const path = `net/ipv4/conf/${device}/forwarding`;
    return read(path) !== "0" ? [] : [finding(path, {
      value: "0",
      wanted: "1",
      severity: "warning",
      text: `the kernel forwards nothing that arrives on ${device}`,
      isOurs: true,
    })];
  });
}

/** The larger of the device's value and that of `all` applies; 1 is strict. */
function checkReversePath(
  devices: readonly string[],
  read: SysctlReader,
): SysctlFinding[] {
  const all = Number(read("net/ipv4/conf/all/rp_filter") ?? "0");
  return devices.flatMap((device) => {
    const path = `net/ipv4/conf/${device}/rp_filter`;
    const own = read(path);
    if (own === undefined || Math.max(all, Number(own)) !== 1) return [];
    return [finding(path, {
      value: own,
      wanted: "2",
      severity: "info",
      text: `what arrives on ${device} is dropped if the route back to its ` +
        "sender uses another device" + (own === "1" ? "" : " (conf.all is 1)"),
      isOurs: true,
    })];
  });
}

function checkBridges(read: SysctlReader): SysctlFinding[] {
  const path = "net/bridge/bridge-nf-call-iptables";
  const value = read(path);
  return value !== "1" ? [] : [finding(path, {
    value,
    wanted: "0",
    severity: "info",
    text: "packets between containers of one bridge pass iptables too",
    isOurs: false,
  })];
}

function finding(
  path: string,
  rest: Omit<SysctlFinding, "path" | "name" | "fix">,
): SysctlFinding {
  // sysctl(8) needs slashes if a device's name has a dot, as for a VLAN.
  const name = path.includes(".") ? path : path.replaceAll("/", ".");
  return { name, path, ...rest, fix: `sysctl -w ${name}=${rest.wanted}` };
}

const log = getLogger(["loden", "host"]);

/** Writes a file in /proc/sys. @throws if it cannot be written. */
export type SysctlWriter = (path: string, value: string) => void;

/**
 * Sets each finding that Loden may set, and logs each success and failure. The
 * caller checks again to see what is left.
 */
export function setSysctls(
  findings: readonly SysctlFinding[],
  write: SysctlWriter = writeProcSys,
): void {
  for (const { name, path, value, wanted, fix, isOurs } of findings) {
    if (!isOurs) continue;
    try {
      write(path, wanted);
    } catch (error) {
      // Read-only in a container, or the device has just disappeared.
      if (!(error instanceof Error && "code" in error)) throw error;
      log.warn("kernel setting cannot be set", {
        event: "host.sysctl-failed",
        setting: name,
        fix,
        error,
      });
      continue;
    }
    log.info("kernel setting set", {
      event: "host.sysctl-set",
      setting: name,
      from: value,
      to: wanted,
    });
  }
}

function writeProcSys(path: string, value: string): void {
  Deno.writeTextFileSync(`/proc/sys/${path}`, value, { create: false });
}
