/**
 * What of the kernel's settings and counters goes into a bundle.
 *
 * @module
 */

import { readIfThere } from "../../linux/read_if_there.ts";
import { readSysctl } from "../../linux/sysctl.ts";
import type { Gathered } from "./gather.ts";

/** Those that decide about the overlay's packets. */
const SYSCTLS: readonly string[] = [
  "kernel/osrelease",
  "kernel/unprivileged_bpf_disabled",
  "net/core/bpf_jit_enable",
  "net/core/rmem_max",
  "net/core/wmem_max",
  "net/core/netdev_max_backlog",
  "net/ipv4/ip_forward",
  "net/ipv4/ip_no_pmtu_disc",
  "net/ipv4/icmp_ratelimit",
  "net/ipv4/neigh/default/gc_thresh1",
  "net/ipv4/neigh/default/gc_thresh2",
  "net/ipv4/neigh/default/gc_thresh3",
  "net/bridge/bridge-nf-call-iptables",
  "net/netfilter/nf_conntrack_max",
  "net/netfilter/nf_conntrack_count",
  "user/max_net_namespaces",
];
/** Of each device. */
const DEVICE_SYSCTLS: readonly string[] = [
  "forwarding",
  "rp_filter",
  "accept_local",
  "arp_ignore",
  "arp_announce",
  "promote_secondaries",
];
const COUNTERS: readonly string[] = ["/proc/net/snmp", "/proc/net/netstat"];

/** Settings, modules and counters of the protocols. */
export function describeKernel(): Gathered {
  const devices = [...Deno.readDirSync("/proc/sys/net/ipv4/conf")]
    .map(({ name }) => name).sort();
  const names = [
    ...SYSCTLS,
    ...devices.flatMap((device) =>
      DEVICE_SYSCTLS.map((name) => `net/ipv4/conf/${device}/${name}`)
    ),
  ];
  const values = names.map((name) =>
    `${name} = ${readSysctl(name) ?? "no such setting"}\n`
  );
  const modules = readIfThere("/proc/modules")?.split("\n")
    // The addresses in the kernel would help an attacker.
    .map((line) => line.split(" ")[0]).filter((name) => name !== "").sort();
  const counters = COUNTERS.map((path) => `# ${path}\n${readIfThere(path)}`);
  return {
    text: [
      `# /proc/sys\n${values.join("")}`,
      `# modules\n${(modules ?? ["unknown"]).join(" ")}\n`,
      ...counters,
    ].join("\n"),
  };
}
