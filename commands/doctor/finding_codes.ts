/**
 * The codes of findings. They are an interface: docs/doctor.md lists them, and
 * programs that read `--json` may rely on them.
 *
 * @module
 */

/** All codes. */
export const FINDING_CODES = [
  "doctor.rights",
  "doctor.late",
  "doctor.failed",
  "settings.source",
  "settings.warning",
  "agent.state",
  "agent.warnings",
  "agent.version",
  "flanneld.running",
  "kernel.release",
  "kernel.tun",
  "kernel.veth",
  "kernel.bpf",
  "kernel.tcx",
  "kernel.clsact",
  "kernel.xdp",
  "kernel.vxlan",
  "kernel.ipip",
  "kernel.wireguard",
  "kernel.nf-tables",
  "kernel.features",
  "sysctl.forwarding",
  "sysctl.rp-filter",
  "sysctl.bridge-nf",
  "sysctl.unprivileged-bpf",
  "sysctl.neighbours",
  "firewall.tool",
  "firewall.two-kinds",
  "firewall.writers",
  "firewall.forward-policy",
  "docker.engine",
  "docker.options",
  "docker.bridge",
  "docker.drops",
  "docker.live-restore",
  "docker.userland-proxy",
  "docker.iptables",
  "clock.etcd",
  "clock.sync",
  "etcd.endpoint",
  "etcd.rights",
  "etcd.certificate",
  "etcd.clear-text",
  "network.config",
  "network.backend",
  "network.overlap",
  "network.leftover",
  "underlay.interface",
  "underlay.mtu",
  "underlay.address",
  "underlay.port",
  "systemd.manager",
  "systemd.loden",
  "systemd.docker",
  "systemd.flanneld",
] as const;

/** One of them. */
export type FindingCode = typeof FINDING_CODES[number];
