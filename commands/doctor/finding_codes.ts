/**
 * The codes of findings. They are an interface: docs/doctor.md lists them, and
 * programs that read `--json` may rely on them.
 *
 * @module
 */

/** Each code, and what it is about. */
export const FINDING_CODES = {
  "doctor.rights": "what an ordinary user cannot see",
  "doctor.late": "a check had no result in time",
  "doctor.failed": "a check could not be made",
  "settings.source": "whose settings are checked",
  "settings.warning": "a setting without effect, or one that others can see",
  "agent.state": "the agent of this network",
  "agent.warnings": "warnings that the agent has raised",
  "agent.version": "the agent runs another version than this command",
  "flanneld.running": "flannel's flanneld",
  "kernel.release": "the kernel's version",
  "kernel.tun": "TUN devices",
  "kernel.veth": "veth pairs",
  "kernel.bpf": "eBPF maps and programs",
  "kernel.tcx": "the newer hook for programs",
  "kernel.clsact": "the older hook for programs",
  "kernel.xdp": "programs in a driver",
  "kernel.vxlan": "VXLAN devices",
  "kernel.ipip": "ipip devices",
  "kernel.wireguard": "WireGuard devices",
  "kernel.nf-tables": "the firewall of the kernel",
  "kernel.features": "features could not be tried",
  "sysctl.forwarding": "whether the kernel forwards packets",
  "sysctl.rp-filter": "whether the kernel validates sources",
  "sysctl.bridge-nf": "whether bridged packets pass iptables",
  "sysctl.unprivileged-bpf": "whether every user may load programs",
  "sysctl.neighbours": "room in the neighbour table",
  "firewall.tool": "the tool that sets the rules",
  "firewall.two-kinds": "rules of iptables-legacy and of nf_tables",
  "firewall.writers": "other programs that set rules",
  "firewall.forward-policy": "the policy of the FORWARD chain",
  "docker.engine": "the Docker daemon",
  "docker.options": "options of dockerd that the overlay needs",
  "docker.bridge": "Docker's bridge and the lease",
  "docker.drops": "Docker's own rules and the overlay",
  "docker.live-restore": "whether containers outlive the daemon",
  "docker.userland-proxy": "how Docker publishes ports",
  "docker.iptables": "whether Docker sets firewall rules",
  "clock.etcd": "this host's clock compared with etcd's",
  "clock.sync": "whether a time server sets the clock",
  "etcd.endpoint": "one endpoint of etcd",
  "etcd.rights": "what the account may do in etcd",
  "etcd.certificate": "certificates that end",
  "etcd.clear-text": "a password that is sent in clear text",
  "network.config": "the network config in etcd",
  "network.backend": "whether this host can run the backend",
  "network.overlap": "addresses of the network on this host",
  "network.leftover": "what another backend has left",
  "underlay.interface": "interface and address to the other hosts",
  "underlay.mtu": "MTU of the underlay and of the overlay",
  "underlay.address": "whether another host has the same address",
  "underlay.port": "whether the agent's UDP port is free",
  "systemd.manager": "whether systemd runs here",
  "systemd.loden": "the agent's unit",
  "systemd.docker": "Docker's unit, its order and its options",
  "systemd.flanneld": "a unit of flannel's flanneld",
} as const;

/** One of them. */
export type FindingCode = keyof typeof FINDING_CODES;
