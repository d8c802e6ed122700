/**
 * The table of the agent's flags: flannel's (HEAD and v0.5.5, compat 1.3) and
 * Loden's own. The parser, the environment variables, `--help`, the
 * documentation and the shell completion are generated from it.
 *
 * @module
 */

import type { FlagSpec, ValueOf } from "./flag_spec.ts";

const ACTIVE = { kind: "active" } as const;

const FLANNEL = { origin: "flannel", status: ACTIVE } as const;
const FLANNEL_HEAD = { origin: "flannel HEAD", status: ACTIVE } as const;
const LODEN = { origin: "loden", status: ACTIVE } as const;

/** A text, which is empty unless it is given. */
const TEXT = { type: "string", default: "" } as const;

const NO_GLOG = {
  group: "Accepted and ignored",
  status: {
    kind: "ignored",
    reason: "Loden logs to stderr; see --log-format and -v",
  },
} as const;

const NO_KUBERNETES = {
  group: "Refused",
  origin: "flannel HEAD",
  status: {
    kind: "refused",
    reason: "Loden leases subnets in etcd and has no Kubernetes mode",
    hint: "remove it and publish the network with: loden config put",
  },
} as const;

const NO_CLIENT_SERVER = {
  group: "Refused",
  origin: "flannel 0.5",
  status: {
    kind: "refused",
    reason: "Loden talks to etcd itself; flannel dropped this mode in v0.8.0",
    hint: "remove it and name etcd with --etcd-endpoints",
  },
} as const;

const NO_MULTI_NETWORK = {
  group: "Refused",
  origin: "flannel 0.5",
  status: {
    kind: "refused",
    reason: "one agent serves one network",
    hint: "run one agent per network, each with its own --etcd-prefix, " +
      "--subnet-file and --docker-opts-file, and its own Port in the config",
  },
} as const;

/**
 * The longest delay of a timer, in whole seconds. A longer one, beyond 2^31 - 1
 * ms, would fire at once, again and again.
 */
const LONGEST_TIMER_SECONDS = 2_147_483;

/** Every flag of the agent. */
export const AGENT_FLAGS = [
  {
    name: "etcd-endpoints",
    type: "string",
    default: "http://127.0.0.1:4001,http://127.0.0.1:2379",
    placeholder: "URLS",
    group: "etcd",
    ...FLANNEL,
    help: "etcd's client URLs, separated by commas",
  },
  {
    name: "etcd-prefix",
    type: "string",
    default: "/coreos.com/network",
    placeholder: "PREFIX",
    group: "etcd",
    ...FLANNEL,
    help: "key prefix of the network's config and leases",
  },
  {
    name: "etcd-cafile",
    ...TEXT,
    placeholder: "FILE",
    group: "etcd",
    ...FLANNEL,
    help: "certificate authority that etcd's certificate must be signed by",
  },
  {
    name: "etcd-certfile",
    ...TEXT,
    placeholder: "FILE",
    group: "etcd",
    ...FLANNEL,
    help: "client certificate for etcd (with --etcd-keyfile)",
  },
  {
    name: "etcd-keyfile",
    ...TEXT,
    placeholder: "FILE",
    group: "etcd",
    ...FLANNEL,
    help: "client key for etcd (with --etcd-certfile)",
  },
  {
    name: "etcd-username",
    ...TEXT,
    placeholder: "NAME",
    group: "etcd",
    ...FLANNEL_HEAD,
    help: "etcd user (with --etcd-password-file or --etcd-password)",
  },
  {
    name: "etcd-password",
    ...TEXT,
    placeholder: "PASSWORD",
    group: "etcd",
    ...FLANNEL_HEAD,
    secret: true,
    help: "etcd password; other users can see it in ps, so prefer " +
      "--etcd-password-file or FLANNELD_ETCD_PASSWORD",
  },
  {
    name: "etcd-password-file",
    ...TEXT,
    placeholder: "FILE",
    group: "etcd",
    ...LODEN,
    help: "file that contains the etcd password, readable by its owner only; " +
      "read at each login, so a new password needs no restart",
  },
  {
    name: "iface",
    type: "list",
    default: [],
    placeholder: "NAME|ADDRESS",
    group: "Interface",
    ...FLANNEL,
    help: "interface for traffic to other hosts, by name or address; of " +
      "several, the first that exists (default: the default route's)",
  },
  {
    name: "iface-regex",
    type: "list",
    default: [],
    placeholder: "REGEX",
    group: "Interface",
    ...FLANNEL_HEAD,
    help:
      "the same, by a pattern for addresses, then names; tried after --iface",
  },
  {
    name: "iface-can-reach",
    ...TEXT,
    placeholder: "ADDRESS",
    group: "Interface",
    ...FLANNEL_HEAD,
    help: "the same, by the route to an address; tried after --iface-regex",
  },
  {
    name: "public-ip",
    ...TEXT,
    placeholder: "ADDRESS",
    group: "Interface",
    ...FLANNEL,
    help: "address at which other hosts reach this host; it need not be " +
      "local (default: the interface's)",
  },
  {
    name: "device",
    type: "string",
    default: "flannel%d",
    placeholder: "NAME",
    group: "Data path",
    ...LODEN,
    help: "name of the overlay device; %d stands for the first free number",
  },
  {
    name: "datapath",
    type: "enum",
    default: "auto",
    words: ["auto", "ebpf", "tun"],
    group: "Data path",
    ...LODEN,
    help:
      "data path: ebpf (programs in the kernel) or tun (this process); auto " +
      "picks ebpf if it works, otherwise tun",
  },
  {
    name: "ebpf-receive",
    type: "enum",
    default: "auto",
    words: ["auto", "xdp", "gro", "direct"],
    group: "Data path",
    ...LODEN,
    help: "how the kernel data path receives packets from the underlay; " +
      "auto picks the fastest mode that is safe for the device",
  },
  {
    name: "source-port",
    type: "enum",
    default: "auto",
    words: ["auto", "hash", "fixed"],
    group: "Data path",
    ...LODEN,
    help: "source port of the kernel data path's packets: one of 49152 to " +
      "65535 per flow (hash), or the network's port (fixed); auto picks hash, " +
      "and fixed behind a NAT",
  },
  {
    name: "sender-check",
    type: "enum",
    default: "strict",
    words: ["strict", "count", "off"],
    group: "Data path",
    ...LODEN,
    help: "what to do with packets whose sender does not hold the lease of " +
      "their source: drop and count (strict), only count, or nothing (off)",
  },
  {
    name: "sender-interface-check",
    type: "bool",
    default: true,
    group: "Data path",
    ...LODEN,
    help: "require packets of a peer to arrive on an interface to which the " +
      "peer's address is routed; set it to false if the routes to and from " +
      "a peer differ",
  },
  {
    name: "peer-grace",
    type: "int",
    default: 10,
    min: 0,
    max: 10_080,
    unit: "minutes",
    group: "Data path",
    ...LODEN,
    help: "how long a peer is kept after its lease has disappeared",
  },
  {
    name: "trust-saved-peers",
    type: "int",
    default: 1_440,
    min: 0,
    max: 525_600,
    unit: "minutes",
    group: "Data path",
    ...LODEN,
    help: "how long after etcd last confirmed a peer a start without etcd " +
      "still uses it",
  },
  {
    name: "trust-known-peers",
    type: "int",
    default: 0,
    min: 0,
    max: 525_600,
    unit: "minutes",
    group: "Data path",
    ...LODEN,
    help: "how long after etcd last confirmed a peer a running agent still " +
      "uses it; 0 for no limit",
  },
  {
    name: "disable-feature",
    type: "list",
    default: [],
    placeholder: "FEATURE",
    group: "Data path",
    ...LODEN,
    help: "do not use a kernel feature; repeatable, or separated by commas",
  },
  {
    name: "vxlan-tx-checksum",
    type: "enum",
    default: "auto",
    words: ["auto", "on", "off"],
    group: "Data path",
    ...LODEN,
    help: "let the network card compute checksums inside VXLAN packets (on) " +
      "or not (off); auto switches it off for drivers that spoil them",
  },
  {
    name: "allow-extension-commands",
    type: "bool",
    default: false,
    group: "Data path",
    ...LODEN,
    help: "run the commands of a network config of type extension, as root",
  },
  {
    name: "subnet-lease-renew-margin",
    type: "int",
    default: 60,
    min: 1,
    max: 1_439,
    unit: "minutes",
    group: "Lease",
    ...FLANNEL_HEAD,
    help: "how long before its end the lease is renewed",
  },
  {
    name: "subnet-lease-ttl",
    type: "int",
    default: 86_400,
    min: 10,
    max: 31_536_000,
    unit: "seconds",
    group: "Lease",
    ...LODEN,
    help: "how long a lease lives in etcd without renewal",
  },
  {
    name: "on-subnet-change",
    type: "string",
    default: "continue",
    placeholder: "ACTION",
    group: "Lease",
    ...LODEN,
    help:
      "what to do when Docker is given another subnet: continue, exit (with " +
      "code 7) or run:COMMAND",
  },
  {
    name: "take-over",
    type: "bool",
    default: false,
    group: "Lease",
    ...LODEN,
    help: "take over the PublicIP and subnet of another host that is alive",
  },
  {
    name: "take-over-devices",
    type: "bool",
    default: false,
    group: "Lease",
    ...LODEN,
    help: "at the start, remove devices and routes inside the overlay that " +
      "flannel's other backends have left",
  },
  {
    name: "ip-masq",
    type: "bool",
    default: false,
    group: "Firewall and routes",
    ...FLANNEL,
    help: "masquerade traffic that leaves the overlay",
  },
  {
    name: "ip-masq-fully-random-disable",
    type: "bool",
    default: false,
    group: "Firewall and routes",
    ...FLANNEL_HEAD,
    help: "masquerade without --random-fully",
  },
  {
    name: "iptables-forward-rules",
    type: "bool",
    default: true,
    group: "Firewall and routes",
    ...FLANNEL_HEAD,
    help: "accept the overlay's traffic in the FORWARD chain",
  },
  {
    name: "anti-spoofing",
    type: "bool",
    default: true,
    group: "Firewall and routes",
    ...LODEN,
    help: "drop packets of containers that pose as another host",
  },
  {
    name: "iptables-resync",
    type: "int",
    default: 30,
    min: 1,
    max: LONGEST_TIMER_SECONDS,
    unit: "seconds",
    group: "Firewall and routes",
    ...FLANNEL_HEAD,
    help: "how often the rules of iptables-legacy are checked",
  },
  {
    name: "ip-blackhole-route",
    type: "bool",
    default: false,
    group: "Firewall and routes",
    ...FLANNEL_HEAD,
    help: "add a blackhole route for this host's subnet",
  },
  {
    name: "set-sysctls",
    type: "bool",
    default: false,
    group: "Firewall and routes",
    ...LODEN,
    help: "set kernel settings that would block packets, such as ip_forward",
  },
  {
    name: "subnet-file",
    type: "string",
    default: "/run/flannel/subnet.env",
    placeholder: "FILE",
    group: "Files",
    ...FLANNEL,
    help: "file to which subnet, MTU and masquerade are written",
  },
  {
    name: "docker-opts-file",
    type: "string",
    default: "/run/flannel_docker_opts.env",
    placeholder: "FILE",
    group: "Files",
    ...LODEN,
    help: "file to which Docker's options are written; empty or /dev/null " +
      "for none",
  },
  {
    name: "state-dir",
    type: "string",
    default: "/var/lib/loden",
    placeholder: "DIRECTORY",
    group: "Files",
    ...LODEN,
    help: "state that survives a reboot: host id, lease, peers",
  },
  {
    name: "run-dir",
    type: "string",
    default: "/run/loden",
    placeholder: "DIRECTORY",
    group: "Files",
    ...LODEN,
    help: "lock and socket of the running agent",
  },
  {
    name: "config",
    ...TEXT,
    placeholder: "FILE",
    group: "Files",
    ...LODEN,
    help: "cloud-config (YAML) whose coreos.flannel.* keys are settings",
  },
  {
    name: "healthz-ip",
    type: "string",
    default: "0.0.0.0",
    placeholder: "ADDRESS",
    group: "Health and logs",
    ...FLANNEL_HEAD,
    help: "address of the health server",
  },
  {
    name: "healthz-port",
    type: "int",
    default: 0,
    // In flannel, 0 and below mean "off".
    min: -1,
    max: 65_535,
    group: "Health and logs",
    ...FLANNEL_HEAD,
    help: "TCP port of the health server; 0 for none",
  },
  {
    name: "metrics-ip",
    type: "string",
    default: "127.0.0.1",
    placeholder: "ADDRESS",
    group: "Health and logs",
    ...LODEN,
    help: "address at which /metrics and the page are served",
  },
  {
    name: "metrics-port",
    type: "int",
    default: 0,
    min: 0,
    max: 65_535,
    group: "Health and logs",
    ...LODEN,
    help: "TCP port of /metrics and the page; 0 for that of the health server",
  },
  {
    name: "metrics-peers",
    type: "bool",
    default: false,
    group: "Health and logs",
    ...LODEN,
    help: "give each peer metrics of its own",
  },
  {
    name: "probe-port",
    type: "int",
    default: 8_286,
    min: 0,
    max: 65_535,
    group: "Health and logs",
    ...LODEN,
    help: "UDP port of the probes between hosts, on this host's address in " +
      "the overlay and the same on all hosts; 0 for no probes",
  },
  {
    name: "log-format",
    type: "enum",
    default: "auto",
    words: ["auto", "text", "json"],
    group: "Health and logs",
    ...LODEN,
    help: "format of the log lines on stderr",
  },
  {
    name: "v",
    type: "int",
    default: 0,
    min: -2_147_483_648,
    max: 2_147_483_647,
    group: "Health and logs",
    ...FLANNEL,
    help: "verbosity of the log; 1 and higher include debug lines",
  },
  {
    name: "dry-run",
    type: "bool",
    default: false,
    group: "General",
    ...LODEN,
    commandLineOnly: true,
    help: "print what a start would change, and change nothing",
  },
  {
    name: "help",
    type: "bool",
    default: false,
    group: "General",
    origin: "flannel 0.5",
    status: ACTIVE,
    commandLineOnly: true,
    help: "print this text and exit",
  },
  {
    name: "version",
    type: "bool",
    default: false,
    group: "General",
    ...FLANNEL,
    commandLineOnly: true,
    help: "print the version and exit",
  },
  {
    name: "public-ipv6",
    ...TEXT,
    placeholder: "ADDRESS",
    group: "Accepted and ignored",
    origin: "flannel HEAD",
    status: {
      kind: "ignored",
      reason: "this release carries IPv4 only",
    },
    help: "IPv6 address at which other hosts reach this host",
  },
  {
    name: "vmodule",
    ...TEXT,
    placeholder: "PATTERN=N,…",
    ...NO_GLOG,
    origin: "flannel",
    help: "verbosity by source file",
  },
  {
    name: "log_backtrace_at",
    ...TEXT,
    placeholder: "FILE:LINE",
    ...NO_GLOG,
    origin: "flannel",
    help: "stack trace at a log line",
  },
  {
    name: "logtostderr",
    type: "bool",
    default: true,
    ...NO_GLOG,
    origin: "flannel 0.5",
    help: "log to stderr",
  },
  {
    name: "alsologtostderr",
    type: "bool",
    default: false,
    ...NO_GLOG,
    origin: "flannel 0.5",
    help: "log to stderr as well as to files",
  },
  {
    name: "stderrthreshold",
    ...TEXT,
    placeholder: "LEVEL",
    ...NO_GLOG,
    origin: "flannel 0.5",
    help: "lowest level that goes to stderr",
  },
  {
    name: "log_dir",
    ...TEXT,
    placeholder: "DIRECTORY",
    ...NO_GLOG,
    origin: "flannel 0.5",
    help: "directory of log files",
  },
  {
    name: "kube-subnet-mgr",
    type: "bool",
    default: false,
    ...NO_KUBERNETES,
    help: "lease subnets through the Kubernetes API",
  },
  {
    name: "kube-api-url",
    ...TEXT,
    placeholder: "URL",
    ...NO_KUBERNETES,
    help: "Kubernetes API server",
  },
  {
    name: "kube-annotation-prefix",
    type: "string",
    default: "flannel.alpha.coreos.com",
    placeholder: "PREFIX",
    ...NO_KUBERNETES,
    help: "prefix of node annotations",
  },
  {
    name: "kubeconfig-file",
    ...TEXT,
    placeholder: "FILE",
    ...NO_KUBERNETES,
    help: "Kubernetes client configuration",
  },
  {
    name: "net-config-path",
    type: "string",
    default: "/etc/kube-flannel/net-conf.json",
    placeholder: "FILE",
    ...NO_KUBERNETES,
    help: "network config of the Kubernetes mode",
  },
  {
    name: "set-node-network-unavailable",
    type: "bool",
    default: true,
    ...NO_KUBERNETES,
    help: "set the node's NetworkUnavailable condition",
  },
  {
    name: "listen",
    ...TEXT,
    placeholder: "ADDRESS",
    ...NO_CLIENT_SERVER,
    help: "serve etcd's content to clients",
  },
  {
    name: "remote",
    ...TEXT,
    placeholder: "ADDRESS",
    ...NO_CLIENT_SERVER,
    help: "use such a server instead of etcd",
  },
  {
    name: "remote-keyfile",
    ...TEXT,
    placeholder: "FILE",
    ...NO_CLIENT_SERVER,
    help: "key for client and server",
  },
  {
    name: "remote-certfile",
    ...TEXT,
    placeholder: "FILE",
    ...NO_CLIENT_SERVER,
    help: "certificate for client and server",
  },
  {
    name: "remote-cafile",
    ...TEXT,
    placeholder: "FILE",
    ...NO_CLIENT_SERVER,
    help: "certificate authority for client and server",
  },
  {
    name: "networks",
    ...TEXT,
    placeholder: "NAMES",
    ...NO_MULTI_NETWORK,
    help: "join several networks in one process",
  },
  {
    name: "subnet-dir",
    type: "string",
    default: "/run/flannel/networks",
    placeholder: "DIRECTORY",
    ...NO_MULTI_NETWORK,
    help: "directory for the files of several networks",
  },
] as const satisfies readonly FlagSpec[];

/** A row of {@linkcode AGENT_FLAGS}. */
export type AgentFlag = typeof AGENT_FLAGS[number];

/** The name of one of the agent's flags. */
export type AgentFlagName = AgentFlag["name"];

/** A value for each of the agent's flags. */
export type AgentFlagValues = {
  readonly [F in AgentFlag as F["name"]]: ValueOf<F>;
};
