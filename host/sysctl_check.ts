/**
 * Kernel settings without which the host does not forward packets.
 *
 * Like flannel, Loden only reads them (compat 6.3): a host's administrator, or
 * Docker, decides whether it is a router.
 *
 * @module
 */

/** A setting that keeps packets back, or is worth knowing. */
export interface SysctlFinding {
  /** As sysctl(8) names it: `net.ipv4.ip_forward`. */
  readonly name: string;
  readonly value: string;
  /** `warning`: packets are lost; `info`: they take another way than one may think. */
  readonly severity: "warning" | "info";
  /** What follows, for an operator. */
  readonly text: string;
  /** The command that mends it now; a file in /etc/sysctl.d makes it last. */
  readonly fix: string;
}

/** Reads a file of /proc/sys; `undefined` when there is no such setting. */
export type SysctlReader = (path: string) => string | undefined;

/**
 * Looks at forwarding, for the host and for the devices that overlay packets
 * pass, and at whether bridged packets meet iptables.
 *
 * @param devices names of devices, such as the overlay's; unknown ones are skipped.
 */
export function checkSysctls(
  devices: readonly string[],
  read: SysctlReader = readProcSys,
): SysctlFinding[] {
  const findings: SysctlFinding[] = [];
  const ipForward = read("net/ipv4/ip_forward");
  if (ipForward === "0") {
    findings.push({
      name: "net.ipv4.ip_forward",
      value: ipForward,
      severity: "warning",
      text: "the kernel forwards nothing between containers and other hosts",
      fix: "sysctl -w net.ipv4.ip_forward=1",
    });
  } else {
    // With ip_forward off these are off as well: one finding is enough.
    for (const device of devices) {
      const value = read(`net/ipv4/conf/${device}/forwarding`);
      if (value !== "0") continue;
      // sysctl(8) takes slashes where a device's name has a dot, as a VLAN's.
      const name = `net/ipv4/conf/${device}/forwarding`;
      findings.push({
        name: device.includes(".") ? name : name.replaceAll("/", "."),
        value,
        severity: "warning",
        text: `the kernel forwards nothing that arrives on ${device}`,
        fix: `sysctl -w ${name}=1`,
      });
    }
  }
  const bridged = read("net/bridge/bridge-nf-call-iptables");
  if (bridged === "1") {
    findings.push({
      name: "net.bridge.bridge-nf-call-iptables",
      value: bridged,
      severity: "info",
      text: "packets between containers of one bridge pass iptables too",
      fix: "sysctl -w net.bridge.bridge-nf-call-iptables=0",
    });
  }
  return findings;
}

function readProcSys(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(`/proc/sys/${path}`).trim();
  } catch (error) {
    // A module that is not loaded, a device that is gone, no permission.
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}
