/**
 * Faults that the tests must notice: one small change each, in code that keeps
 * others out, keeps packets apart or keeps the network alive.
 *
 * @module
 */

/** One change, and the tests that must fail with it. */
export interface Mutant {
  /** What the changed program does wrong. */
  readonly fault: string;
  readonly file: string;
  /** Occurs once in the file. */
  readonly text: string;
  readonly change: string;
  readonly tests: readonly string[];
}

const PROGRAMS = "backend/udp/ebpf/programs";
const FATES = ["tests/contract/packet_fates_programs_test.ts"];
const XDP_FATES = ["tests/contract/packet_fates_xdp_test.ts"];
const ENTROPY = ["tests/contract/flow_entropy_test.ts"];
const DROP_EVENTS = ["tests/contract/drop_events_test.ts"];
const RECEIVE = "backend/udp/tun/wasm/receive.as.ts";
const RECEIVE_TESTS = ["tests/unit/backend/udp/tun/receive_kernel_test.ts"];
const PEER_TABLE = "backend/udp/ebpf/peer_table.ts";
const PEER_TABLE_TESTS = ["tests/unit/backend/udp/ebpf/peer_table_test.ts"];
const ATOMIC = "linux/atomic_file.ts";
const ATOMIC_TESTS = ["tests/unit/linux/atomic_file_test.ts"];
const SAFE_PATH = "linux/safe_path.ts";
const SAFE_PATH_TESTS = ATOMIC_TESTS;
const FLANNELD = "host/flanneld_process.ts";
const FLANNELD_TESTS = ["tests/unit/host/flanneld_process_test.ts"];
const REQUESTS = "agent/status/request_server.ts";
const REQUESTS_TESTS = ["tests/unit/agent/status/request_server_test.ts"];
const STATUS = "agent/status/status_server.ts";
const STATUS_TESTS = ["tests/unit/agent/status/status_server_test.ts"];
const RELAY = "deno27/tls_relay.ts";
const RELAY_TESTS = ["tests/contract/tls_relay_test.ts"];
const PLAN = "backend/reconcile/plan.ts";
const PLAN_TESTS = ["tests/unit/backend/reconcile/plan_test.ts"];
const WIREGUARD = "backend/wireguard";
const WIREGUARD_TESTS = [
  "tests/unit/backend/wireguard/wireguard_backend_test.ts",
];
const WIREGUARD_PLAN_TESTS = [
  "tests/unit/backend/wireguard/peer_plan_test.ts",
];
const EXTENSION_TESTS = [
  "tests/unit/backend/extension/extension_backend_test.ts",
  "tests/unit/backend/extension/extension_descriptor_test.ts",
];
const PROBE_TESTS = ["tests/unit/agent/probe/probe_service_test.ts"];
const IPIP_TESTS = ["tests/unit/backend/ipip/ipip_backend_test.ts"];
const VXLAN_TESTS = ["tests/unit/backend/vxlan/vxlan_backend_test.ts"];
const DOCTOR_TESTS = [
  "tests/unit/commands/doctor/checks/host_checks_test.ts",
];

/** All of them. */
export const MUTANTS: readonly Mutant[] = [
  {
    fault: "the kernel path takes packets of a peer from any address",
    file: `${PROGRAMS}/decapsulate.ts`,
    text: `jumpIf(R1, "!=", R2, "mismatch"),`,
    change: "",
    tests: FATES,
  },
  {
    fault: "the kernel path takes packets of an expired peer",
    file: `${PROGRAMS}/decapsulate.ts`,
    text: `...inTime(R8, expired, "rx"),`,
    change: "",
    tests: FATES,
  },
  {
    fault: "the kernel path delivers packets for other hosts' subnets",
    file: `${PROGRAMS}/decapsulate.ts`,
    text: `    jumpIf32(
      R1,
      "!=",
      networkWord(subnet.address),
      dropped("rx.drop.wrongDestination"),
    ),`,
    change: "",
    tests: FATES,
  },
  {
    fault: "the kernel path believes a length beyond the frame",
    file: `${PROGRAMS}/decapsulate.ts`,
    text: `jumpIf(R1, ">", R2, dropped("rx.drop.badLength")),`,
    change: "",
    tests: FATES,
  },
  {
    fault: "the kernel path believes the UDP length against the IP length",
    file: `${PROGRAMS}/decapsulate.ts`,
    text: `jumpIf(R1, "!=", R8, dropped("rx.drop.badLength")),`,
    change: "",
    tests: FATES,
  },
  {
    fault: "the kernel path takes frames for other machines",
    file: `${PROGRAMS}/decapsulate.ts`,
    text: `jumpIf(R1, "!=", PACKET_HOST, "not ours"),`,
    change: "",
    tests: FATES,
  },
  {
    fault: "the user-space path believes any path MTU that the kernel learned",
    file: "backend/udp/tun/transmitter.ts",
    text: `outerBytes >= this.#leastPathMtuBytes()) return false;`,
    change: `outerBytes >= 0) return false;`,
    tests: ["tests/unit/backend/udp/tun/transmitter_test.ts"],
  },
  {
    fault: "the kernel path takes outer fragments",
    file: `${PROGRAMS}/decapsulate.ts`,
    text: `    and(R1, networkHalf(FRAGMENT_MASK)),
    jumpIf(R1, "!=", 0, otherwise),`,
    change: "",
    tests: FATES,
  },
  {
    fault: "the kernel path takes packets for another address",
    file: `${PROGRAMS}/decapsulate.ts`,
    text: `jumpIf32(R1, "!=", networkWord(host.underlayAddress), otherwise),`,
    change: "",
    tests: FATES,
  },
  {
    fault: "the kernel path takes packets for another port",
    file: `${PROGRAMS}/decapsulate.ts`,
    text: `jumpIf(R1, "!=", networkHalf(host.port), otherwise),`,
    change: "",
    tests: FATES,
  },
  {
    fault: "a stranger is counted as a peer with a wrong source",
    file: `${PROGRAMS}/decapsulate.ts`,
    text: `jumpIf(R0, "==", 0, dropped("rx.drop.unknownSender")),`,
    change: "",
    tests: FATES,
  },
  {
    fault: "deadlines count the wrong way round",
    file: `${PROGRAMS}/parts.ts`,
    text: `jumpIf(R0, ">", R1, otherwise),`,
    change: `jumpIf(R0, "<", R1, otherwise),`,
    tests: ["tests/contract/packet_fates_kernel_only_test.ts"],
  },
  {
    fault: "fragments of a flow leave from many ports",
    file: `${PROGRAMS}/source_port.ts`,
    text: `    and(R1, networkHalf(FRAGMENT_MASK)),
    jumpIf(R1, "!=", 0, known),
`,
    change: "",
    tests: ENTROPY,
  },
  {
    fault: "a peer in user space gets a port per flow",
    file: `${PROGRAMS}/source_port.ts`,
    text: `jumpIf(R2, "==", 0, "port of the flow"),`,
    change: `jumpIf(R2, "!=", 0, "port of the flow"),`,
    tests: ENTROPY,
  },
  {
    fault: "ICMP errors about other programs' packets are rewritten",
    file: `${PROGRAMS}/source_port.ts`,
    text: `    jumpIf(R1, "!=", port, done),
`,
    change: "",
    tests: ENTROPY,
  },
  {
    fault: "ICMP errors about packets of the overlay are not rewritten",
    file: `${PROGRAMS}/source_port.ts`,
    text: `jumpIf(R1, "<", FIRST_PORT, done),`,
    change: `jumpIf(R1, ">=", FIRST_PORT, done),`,
    tests: ENTROPY,
  },
  {
    fault: "XDP strips packets of a peer from any address",
    file: `${PROGRAMS}/strip.ts`,
    text: `    jumpIf(R1, "!=", R2, pass),
    ...inTime`,
    change: `    ...inTime`,
    tests: XDP_FATES,
  },
  {
    fault: "XDP strips packets of an expired peer",
    file: `${PROGRAMS}/strip.ts`,
    text: `...inTime(R8, pass, "xdp"),`,
    change: "",
    tests: XDP_FATES,
  },
  {
    fault: "XDP strips packets for other hosts' subnets",
    file: `${PROGRAMS}/strip.ts`,
    text: `jumpIf32(R1, "!=", networkWord(host.subnet.address), pass),`,
    change: "",
    tests: XDP_FATES,
  },
  {
    fault: "XDP believes a length beyond the frame",
    file: `${PROGRAMS}/strip.ts`,
    text: `jumpIf(R8, ">", R2, pass),`,
    change: "",
    tests: XDP_FATES,
  },
  {
    fault: "XDP strips frames for other machines",
    file: `${PROGRAMS}/strip.ts`,
    text: `jumpIf32(R1, "!=", macWord, pass),`,
    change: "",
    tests: XDP_FATES,
  },
  {
    fault: "user space reads a header beyond the datagram",
    file: RECEIVE,
    text: "ihl < 20 || ihl > length",
    change: "ihl < 20",
    tests: ["tests/contract/packet_fates_user_space_test.ts"],
  },
  {
    fault: "user space believes any length",
    file: RECEIVE,
    text: "if (load16(ip, 2) != length) {\n" +
      "    return refuse(RX_DROP_BAD_LENGTH, ip, length, sender);\n  }",
    change: "",
    tests: RECEIVE_TESTS,
  },
  {
    fault: "user space takes damaged headers",
    file: RECEIVE,
    text: "return refuse(RX_DROP_BAD_CHECKSUM, ip, length, sender);",
    change: "",
    tests: RECEIVE_TESTS,
  },
  {
    fault: "user space takes packets of a peer from any address",
    file: RECEIVE,
    text: "peerOf(load32(ip, 12)) != sender",
    change: "peerOf(load32(ip, 12)) == 0",
    tests: RECEIVE_TESTS,
  },
  {
    fault: "user space delivers packets for other hosts' subnets",
    file: RECEIVE,
    text: "return refuse(RX_DROP_WRONG_DESTINATION, ip, length, sender);",
    change: "",
    tests: RECEIVE_TESTS,
  },
  {
    fault: "user space forwards packets whose TTL is spent",
    file: RECEIVE,
    text: "if (load<u8>(ip, 8) <= 1) {",
    change: "if (load<u8>(ip, 8) < 1) {",
    tests: RECEIVE_TESTS,
  },
  {
    fault: "drops read the clock although no agent asks",
    file: `${PROGRAMS}/record_drop.ts`,
    text: `    jumpIf(R1, "==", 0, "not recorded"),
    call("ktime_get_boot_ns"),`,
    change: `    call("ktime_get_boot_ns"),`,
    tests: [
      "tests/unit/backend/udp/ebpf/programs/record_drop_test.ts",
    ],
  },
  {
    fault: "programs go on recording for an agent that was killed",
    file: `${PROGRAMS}/record_drop.ts`,
    text: `jumpIf(R0, ">", R1, "listener gone"),`,
    change: "",
    tests: DROP_EVENTS,
  },
  {
    fault: "a flood of drops is recorded whole",
    file: `${PROGRAMS}/record_drop.ts`,
    text: `jumpIf(R2, ">=", LISTENER.MOST_PER_WINDOW, "not recorded"),`,
    change: "",
    tests: DROP_EVENTS,
  },
  {
    fault: "a listener that does not read fills the agent's memory",
    file: "agent/monitor/event_queue.ts",
    text: `const isFull = this.#lost > 0 ||`,
    change: `const isFull = false && this.#lost > 0 &&`,
    tests: ["tests/unit/agent/monitor/event_queue_test.ts"],
  },
  {
    fault: "the bytes of packets go to every listener",
    file: "agent/monitor/monitor.ts",
    text: `bytes ? news : withoutBytes(news)`,
    change: `news`,
    tests: ["tests/unit/agent/monitor/monitor_test.ts"],
  },
  {
    fault: "a capture can be read by others",
    file: "commands/monitor/capture_file.ts",
    text: `mode: 0o600,`,
    change: `mode: 0o644,`,
    tests: ["tests/unit/commands/monitor/capture_file_test.ts"],
  },
  {
    fault: "a change forgets a peer before its route is gone",
    file: PEER_TABLE,
    text: `    this.#removeRoutes(unwanted);
    this.#removeEntries(unwanted);`,
    change: `    this.#removeEntries(unwanted);
    this.#removeRoutes(unwanted);`,
    tests: PEER_TABLE_TESTS,
  },
  {
    fault: "a full set forgets a peer before its route is gone",
    file: PEER_TABLE,
    text: `    this.#removeRoutes(
      [...this.#routes.keys()].filter((text) => !wanted.has(text)),
    );
    this.#removeEntries(
      [...this.#entries.keys()].filter((text) => !wanted.has(text)),
    );`,
    change: `    this.#removeEntries(
      [...this.#entries.keys()].filter((text) => !wanted.has(text)),
    );
    this.#removeRoutes(
      [...this.#routes.keys()].filter((text) => !wanted.has(text)),
    );`,
    tests: PEER_TABLE_TESTS,
  },
  {
    fault: "a change routes to a peer that the programs do not know yet",
    file: PEER_TABLE,
    text: `    this.#putEntries(wanted, deadlineOf);
    this.#putRoutes(wanted);`,
    change: `    this.#putRoutes(wanted);
    this.#putEntries(wanted, deadlineOf);`,
    tests: PEER_TABLE_TESTS,
  },
  {
    fault: "an address is no sender any more while a peer still has it",
    file: PEER_TABLE,
    text: "this.#holdings.has(address) || !this.#senders.has(address)",
    change: "!this.#senders.has(address)",
    tests: PEER_TABLE_TESTS,
  },
  {
    fault: "an address that no peer has stays a sender",
    file: PEER_TABLE,
    text: "this.#maps.loden_senders.delete(ipv4ToBytes(address));",
    change: "",
    tests: PEER_TABLE_TESTS,
  },
  {
    fault: "a file can be read by everyone until it is complete",
    file: ATOMIC,
    text: "mode: mode & 0o700,",
    change: "mode: 0o644,",
    tests: ATOMIC_TESTS,
  },
  {
    fault: "another user's permission bits are kept",
    file: ATOMIC,
    text: "return keepMode && present !== undefined && isOurs(present)",
    change: "return keepMode && present !== undefined",
    tests: ATOMIC_TESTS,
  },
  {
    fault: "a link in a directory that all can write to is followed",
    file: SAFE_PATH,
    text: "    refuseLink(parent, next);\n",
    change: "",
    tests: SAFE_PATH_TESTS,
  },
  {
    fault: "a directory without the sticky bit is written to",
    file: SAFE_PATH,
    text: "    refuseOpenDirectory(parent, directory);\n",
    change: "",
    tests: SAFE_PATH_TESTS,
  },
  {
    fault: "another user's directory in /tmp is written to",
    file: SAFE_PATH,
    text: "if (found.isDirectory) refuseForeign(parent, found, next);",
    change: "",
    tests: SAFE_PATH_TESTS,
  },
  {
    fault: "any user's flanneld stops the agent",
    file: FLANNELD,
    text: "if (!processes.userIds(pid)?.every((id) => id === ROOT)) continue;",
    change: "",
    tests: FLANNELD_TESTS,
  },
  {
    fault: "any program that calls itself flanneld stops the agent",
    file: FLANNELD,
    text: "if (path !== undefined && !isFlanneld(path)) continue;",
    change: "",
    tests: FLANNELD_TESTS,
  },
  {
    fault: "a flanneld of another network namespace stops the agent",
    file: FLANNELD,
    text: "if (processes.network(pid) !== ourNetwork) continue;",
    change: "",
    tests: FLANNELD_TESTS,
  },
  {
    fault: "the status socket is open to every user",
    file: STATUS,
    text: "Deno.umask(0o177)",
    change: "Deno.umask(0o022)",
    tests: STATUS_TESTS,
  },
  {
    fault: "a file that is no socket is removed",
    file: STATUS,
    text: "if (!info.isSocket) {",
    change: "if (false) {",
    tests: STATUS_TESTS,
  },
  {
    fault: "the page may load and run what others serve",
    file: "agent/page/page.ts",
    text: `"default-src 'none'",`,
    change: `"default-src *",`,
    tests: ["tests/unit/agent/page/page_test.ts"],
  },
  {
    fault: "the page takes texts of etcd for HTML",
    file: "agent/page/browser/dom.js",
    text: "if (node.textContent !== text) node.textContent = text;",
    change: "if (node.textContent !== text) node.innerHTML = text;",
    tests: ["tests/unit/agent/page/page_test.ts"],
  },
  {
    fault: "each request of a page makes the agent read its whole state",
    file: "agent/status/kept_answer.ts",
    text: "beganMs < kept.untilMs",
    change: "beganMs < 0",
    tests: ["tests/unit/agent/page/page_routes_test.ts"],
  },
  {
    fault: "a page whose name begins as this host's reads the metrics",
    file: "agent/status/own_name.ts",
    text: '["localhost", own, own.split(".", 1)[0]].includes(name)',
    change: 'name.split(".")[0] === own.split(".")[0]',
    tests: ["tests/unit/agent/status/own_name_test.ts"],
  },
  {
    fault: "the metrics are shown to other hosts",
    file: "agent/status/health_server.ts",
    text: "if (!isAt(routesAt)) {",
    change: "if (false) {",
    tests: ["tests/unit/agent/status/health_routes_test.ts"],
  },
  {
    fault: "a caller may keep any number of connections",
    file: REQUESTS,
    text: "if (this.#open.size >= this.#limits.connections) {",
    change: "if (false) {",
    tests: REQUESTS_TESTS,
  },
  {
    fault: "a caller may send headers without end",
    file: REQUESTS,
    text: "while (text.length <= most) {",
    change: "while (true) {",
    tests: REQUESTS_TESTS,
  },
  {
    fault: "a caller may take any time",
    file: REQUESTS,
    text: `setTimeout(() => late.resolve("late"), limitMs)`,
    change: `setTimeout(() => {}, limitMs)`,
    tests: REQUESTS_TESTS,
  },
  {
    fault: "an exception in an answer ends the server",
    file: REQUESTS,
    text: `      return { status: 500, body: "internal server error\\n" };`,
    change: "      throw error;",
    tests: REQUESTS_TESTS,
  },
  {
    fault: "any user of the machine speaks through the TLS relay",
    file: RELAY,
    text:
      "return hostname === client.localAddress && port === client.localPort;",
    change: "return true;",
    tests: RELAY_TESTS,
  },
  {
    fault: "the TLS relay looks at the port only",
    file: RELAY,
    text:
      "return hostname === client.localAddress && port === client.localPort;",
    change: "return port === client.localPort;",
    tests: RELAY_TESTS,
  },
  {
    fault: "any text is a host id",
    file: "lease/host_id.ts",
    text: "/^[0-9a-f]{32}$/",
    change: "/^/",
    tests: ["tests/unit/lease/lease_codec_test.ts"],
  },
  {
    fault: "a living host is taken for dead before it can have answered",
    file: "lease/liveness/answer_times.ts",
    text: "NOTICE_MS + LISTEN_PAUSES.maxMs +",
    change: "",
    tests: ["tests/unit/lease/liveness/answer_probes_test.ts"],
  },
  {
    fault: "programs that the agent starts see its secrets",
    file: "linux/child_environment.ts",
    text: `LC_ALL: "C",`,
    change: `...Deno.env.toObject(), LC_ALL: "C",`,
    tests: ["tests/unit/linux/command_test.ts"],
  },
  {
    fault: "a kernel backend removes routes outside of the network",
    file: PLAN,
    text: "if (!isWithin(route.destination, network)) return false;",
    change: "",
    tests: PLAN_TESTS,
  },
  {
    fault: "a kernel backend takes over an administrator's route",
    file: PLAN,
    text: "if (route.protocol !== RTPROT_BOOT) return false;",
    change: "",
    tests: PLAN_TESTS,
  },
  {
    fault: "a kernel backend keeps entries of peers that are gone",
    file: PLAN,
    text:
      "removeForwarding: actual.filter(({ mac }) => !wanted.has(macKey(mac))),",
    change: "removeForwarding: [],",
    tests: PLAN_TESTS,
  },
  {
    fault:
      "commands from etcd run where the administrator has not allowed them",
    file: "backend/backends.ts",
    text: "if (refusal !== undefined) throw refusal;",
    change: "",
    tests: EXTENSION_TESTS,
  },
  {
    fault: "a config with commands takes the place of the running one",
    file: "agent/changes/config_watch.ts",
    text: "if (refusal !== undefined) throw refusal;",
    change: "",
    tests: ["tests/unit/agent/changes/config_watch_test.ts"],
  },
  {
    fault: "a command from etcd sees the agent's own variables",
    file: "backend/extension/extension_command.ts",
    text: "const environment = { ...childEnvironment(), ...variables };",
    change: "const environment = { ...Deno.env.toObject(), ...variables };",
    tests: EXTENSION_TESTS,
  },
  {
    fault: "containers may send ipip packets in a host's name",
    file: "backend/ipip/ipip_backend.ts",
    text: "traffic: [{ protocol: IPPROTO_IPIP }],",
    change: "traffic: [],",
    tests: IPIP_TESTS,
  },
  {
    fault: "ipip takes a device that leads to one host only",
    file: "backend/ipip/ipip_device.ts",
    text: " && settings.remote === undefined",
    change: "",
    tests: IPIP_TESTS,
  },
  {
    fault: "packets leave in clear as long as there is no WireGuard device",
    file: `${WIREGUARD}/wireguard_backend.ts`,
    text: "  device.close();\n",
    change: "",
    tests: WIREGUARD_TESTS,
  },
  {
    fault: "a private key is shown by whatever prints it",
    file: `${WIREGUARD}/wireguard_key.ts`,
    text: "return `WireGuard key ${this.publicKey}`;",
    change: "return this.#privateKey.toBase64();",
    tests: WIREGUARD_TESTS,
  },
  {
    fault: "a WireGuard device of another network is taken over",
    file: "backend/tunnel_device.ts",
    text: "ALIAS.test(link.alias) && link.alias !== alias",
    change: "false",
    tests: WIREGUARD_TESTS,
  },
  {
    fault: "other hosts' packets are lost after a device was made again",
    file: `${WIREGUARD}/peer_plan.ts`,
    text:
      "!present.has(entry.publicKey) || routed.has(formatCidr(peer.subnet))",
    change: "!present.has(entry.publicKey) && peer.stale",
    tests: WIREGUARD_TESTS,
  },
  {
    fault: "the former key of a peer may still send",
    file: `${WIREGUARD}/peer_plan.ts`,
    text: "!keys.has(publicKey)",
    change: "false",
    tests: WIREGUARD_PLAN_TESTS,
  },
  {
    fault: "a lease with this host's own key is a peer",
    file: `${WIREGUARD}/peer_plan.ts`,
    text: `new Map([[ownKey, "this host"]])`,
    change: "new Map<string, string>()",
    tests: WIREGUARD_PLAN_TESTS,
  },
  {
    fault: "a clone of a machine has the original's key",
    file: `${WIREGUARD}/key_file.ts`,
    text: "savedMac !== underlayMac",
    change: "false",
    tests: ["tests/unit/backend/wireguard/key_file_test.ts"],
  },
  {
    fault: "an error shows a preshared key",
    file: "config/network/network_backend.ts",
    text: "secretOptions.includes(key) ? HIDDEN : value",
    change: "value",
    tests: ["tests/unit/config/network/network_test.ts"],
  },
  {
    fault: "the log shows a preshared key that was changed",
    file: "config/network/shown_config.ts",
    text: "secretOptions.includes(key) && value",
    change: "false",
    tests: ["tests/unit/agent/network/network_plan_test.ts"],
  },
  {
    fault: "a refused config shows a preshared key",
    file: "agent/changes/config_change.ts",
    text: "shownOptions(backend, BACKENDS)",
    change: "backend.options",
    tests: ["tests/unit/agent/changes/config_change_test.ts"],
  },
  {
    fault: "vxlan leaves a hardware address that somebody changed",
    file: "backend/vxlan/vxlan_device.ts",
    text: "this.#rtnetlink.changeLink(link.index, { mac: this.mac });",
    change: "",
    tests: VXLAN_TESTS,
  },
  {
    fault: "vxlan takes a device of another kind",
    file: "backend/tunnel_device.ts",
    text: "link.kind !== kind",
    change: "false",
    tests: VXLAN_TESTS,
  },
  {
    fault: "another user's socket blocks the agent",
    file: "agent/instance/namespace_claim.ts",
    text: "(uid === undefined || uid === ROOT) && ",
    change: "",
    tests: ["tests/unit/agent/instance/namespace_claim_test.ts"],
  },
  {
    fault: "two agents of one network run in a network namespace",
    file: "agent/instance/namespace_claim.ts",
    text: "if (others.some(isClaim)) {",
    change: "if (false) {",
    tests: ["tests/unit/agent/instance/namespace_claim_test.ts"],
  },
  {
    fault: "the password for etcd reaches iptables",
    file: "linux/command.ts",
    text: "clearEnv: true,",
    change: "",
    tests: ["tests/unit/linux/command_test.ts"],
  },
  {
    fault: "the password for etcd reaches the command of --on-subnet-change",
    file: "linux/shell_command.ts",
    text: "clearEnv: true,",
    change: "",
    tests: ["tests/unit/linux/shell_command_test.ts"],
  },
  {
    fault: "a lease's value may be of any length",
    file: "lease/lease_entry.ts",
    text: "bytes > LONGEST_VALUE_BYTES",
    change: "false",
    tests: ["tests/unit/lease/lease_entry_test.ts"],
  },
  {
    fault: "a peer that etcd lacks becomes younger with each listing",
    file: "lease/peers/peer_ledger.ts",
    text: "if (!listed.has(key)) this.#apart.set(key, this.#inSyncAt);",
    change: "",
    tests: ["tests/unit/lease/peers/peer_ledger_test.ts"],
  },
  {
    fault: "a running agent loses its peers with etcd",
    file: "lease/peers/peer_ledger.ts",
    text: "Math.max(leaseMs, RUNNING_AGENT_MS)",
    change: "leaseMs",
    tests: ["tests/unit/lease/peers/peer_ledger_test.ts"],
  },
  {
    fault: "a start without etcd believes saved peers of any age",
    file: "agent/lease_membership.ts",
    text: "ledger.isTrustedAtStart(subnet)",
    change: "true",
    tests: ["tests/unit/agent/lease_membership_test.ts"],
  },
  {
    fault: "the kernel believes peers whatever etcd has confirmed",
    file: "backend/udp/ebpf/ebpf_data_path.ts",
    text: "trust.remainingMs(subnet)",
    change: "86_400_000",
    tests: ["tests/unit/backend/udp/ebpf/ebpf_data_path_test.ts"],
  },
  {
    fault: "a later lease takes a part of another host's subnet",
    file: "lease/peers/overlapping_leases.ts",
    text: "a.created < b.created ? -1 : 1",
    change: "a.created < b.created ? 1 : -1",
    tests: ["tests/unit/lease/peers/peer_set_test.ts"],
  },
  {
    fault: "user space starts under programs that take its packets",
    file: "backend/udp/ebpf/remove.ts",
    text: "if (left.length > 0) {",
    change: "if (false) {",
    tests: ["tests/unit/backend/udp/ebpf/remove_test.ts"],
  },
  {
    fault: "cleanup removes what another user's link leads to",
    file: "linux/remove_file.ts",
    text: "const target = await resolveSafely(link);",
    change: "const target = await Deno.realPath(link);",
    tests: ["tests/unit/linux/remove_file_test.ts"],
  },
  {
    fault: "the unit lets the agent reach D-Bus and systemd",
    file: "packaging/systemd/loden.service",
    text: "InaccessiblePaths=-/run/dbus -/run/systemd/private",
    change: "",
    tests: ["tests/contract/units_test.ts"],
  },
  {
    fault: "the unit lets the agent read all files of all users",
    file: "packaging/systemd/loden.service",
    text: "CAP_NET_RAW CAP_BPF CAP_SYS_ADMIN",
    change: "CAP_NET_RAW CAP_BPF CAP_SYS_ADMIN CAP_DAC_READ_SEARCH",
    tests: ["tests/contract/units_test.ts"],
  },
  {
    fault: "a probe is answered whatever device it came by",
    file: "agent/probe/probe_service.ts",
    text: "!target?.devices.includes(device)",
    change: "target === undefined",
    tests: PROBE_TESTS,
  },
  {
    fault: "a probe is answered to any program of a peer's host",
    file: "agent/probe/probe_service.ts",
    text: "port !== this.port || ",
    change: "",
    tests: PROBE_TESTS,
  },
  {
    fault: "a probe is answered to a container that is masqueraded as its host",
    file: "agent/probe/probe_service.ts",
    text: "ttl < leastTtl(target, from.peer) ? undefined : from",
    change: "from",
    tests: PROBE_TESTS,
  },
  {
    fault: "a container of another host fills the buffer for probes",
    file: "agent/probe/probe_filter.ts",
    text: "(clearBits ?? hostBits) & hostBits & ~address",
    change: "hostBits & address & 0",
    tests: PROBE_TESTS,
  },
  {
    fault: "the kernel lets any address pass to the socket for probes",
    file: "linux/socket_filter.ts",
    text: "[JUMP_IF_ANY_BIT, clearSourceBits, 0, 1]",
    change: "[JUMP_IF_ANY_BIT, clearSourceBits, 1, 1]",
    tests: ["tests/contract/probe_socket_test.ts"],
  },
  {
    fault: "explain loses a packet that leaves a bridge with br_netfilter",
    file: "host/firewall/trace/trace_packet.ts",
    text: "mark(forward, { ...packet, ttl: packet.ttl - 1 })",
    change: "mark(forward, packet)",
    tests: ["tests/contract/packet_trace_test.ts"],
  },
  {
    fault: "explain takes a packet that others trace for its own",
    file: "host/firewall/trace/parse_trace.ts",
    text: 'table === own && kind.endsWith("rule")',
    change: "table === own",
    tests: ["tests/unit/host/firewall/trace/parse_trace_test.ts"],
  },
  {
    fault: "one peer's probes use up what all peers have",
    file: "agent/probe/responder.ts",
    text: "!from.echoLimit.take() || ",
    change: "",
    tests: PROBE_TESTS,
  },
  {
    fault: "four peers use up the questions of all",
    file: "agent/probe/peer_probes.ts",
    text: "{ perSecond: 0.5, burst: 10 }",
    change: "{ perSecond: 1, burst: 4 }",
    tests: PROBE_TESTS,
  },
  {
    fault: "a flood of probes takes the agent's time",
    file: "agent/probe/probe_sockets.ts",
    text: "if (this.#limit.isEmpty) return false;",
    change: "",
    tests: PROBE_TESTS,
  },
  {
    fault: "another host's answer to a probe is believed",
    file: "agent/probe/exchanges.ts",
    text: "exchange.address !== address ||",
    change: "",
    tests: ["tests/unit/agent/probe/exchanges_test.ts"],
  },
  {
    fault: "a host that drops UDP alone is called unreachable",
    file: "agent/probe/peer_probe.ts",
    text: `icmp ? [small, { ...small, way: "icmp" }] : [small]`,
    change: "[small]",
    tests: ["tests/unit/agent/probe/peer_probe_test.ts"],
  },
  {
    fault: "a bundle holds passwords that Loden can read",
    file: "commands/bundle/secrets.ts",
    text: "if (known !== undefined) hidden",
    change: "if (known === undefined) hidden",
    tests: ["tests/unit/commands/bundle/secrets_test.ts"],
  },
  {
    fault: "a bundle holds passwords in URLs of other programs",
    file: "commands/bundle/secrets.ts",
    text: ".replace(USER_INFO, `$1${REMOVED}@`)",
    change: "",
    tests: ["tests/unit/commands/bundle/secrets_test.ts"],
  },
  {
    fault: "a bundle is readable to all users if its file was there before",
    file: "commands/bundle/bundle.ts",
    text: "keepMode: false",
    change: "keepMode: true",
    tests: ["tests/unit/commands/bundle/bundle_test.ts"],
  },
  {
    fault: "an anonymous bundle holds the host's addresses",
    file: "commands/bundle/pseudonyms.ts",
    text: "this.#showIpv4(whole, groups)",
    change: "whole",
    tests: ["tests/unit/commands/bundle/pseudonyms_test.ts"],
  },
  {
    fault: "doctor tries features on the host itself",
    file: "backend/trial_worker.ts",
    text: "    enterNewNetwork();",
    change: "",
    tests: ["tests/contract/feature_trials_test.ts"],
  },
  {
    fault: "doctor loads a module in order to try it",
    file: "commands/doctor/checks/kernel_features.ts",
    text: `if (states.includes("loadable")) return { kind: "loadable" };`,
    change: "",
    tests: DOCTOR_TESTS,
  },
  {
    fault: "doctor loads nf_tables in order to read its rules",
    file: "commands/doctor/checks/firewall.ts",
    text: `moduleState("nf_tables") === "present"`,
    change: `moduleState("nf_tables") !== "absent"`,
    tests: DOCTOR_TESTS,
  },
  {
    fault: "doctor's question about a right is carried out by etcd",
    file: "lease/etcd/transactions.ts",
    text: "result: LESS,",
    change: "result: EQUAL,",
    tests: ["tests/contract/etcd_reports_test.ts"],
  },
  {
    fault: "an agent explains packets that do not come from the asker",
    file: "agent/explain/answer.ts",
    text: "!contains(asker.subnet, flow.source)",
    change: "false",
    tests: ["tests/unit/agent/explain/question_test.ts"],
  },
  {
    fault: "an agent explains packets that are not for its own subnet",
    file: "agent/explain/answer.ts",
    text: "!contains(subnet, flow.destination)",
    change: "false",
    tests: ["tests/unit/agent/explain/question_test.ts"],
  },
  {
    fault: "a rule of which nothing is known accuses",
    file: "host/firewall/evaluate/chains.ts",
    text: "drop !== undefined && !accepts && unknown === undefined",
    change: "drop !== undefined",
    tests: ["tests/unit/host/firewall/evaluate/iptables_chains_test.ts"],
  },
];
