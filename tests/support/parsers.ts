/**
 * Everything in Loden that reads what others wrote, with input for each: bytes and
 * texts at random, and right ones with some of them changed. A new parser gets an
 * entry here.
 *
 * Packets, HTTP requests and leases as a whole have properties of their own, in
 * {@linkcode OTHER_PROPERTIES}.
 *
 * @module
 */

import fc from "fast-check";
import { decodeAnswer, decodeQuestion } from "../../agent/explain/question.ts";
import { parseFootprint } from "../../agent/instance/footprint.ts";
import { parseMonitorEvent } from "../../agent/monitor/monitor_event.ts";
import { parseRequestHead } from "../../agent/status/http_message.ts";
import { parseEnvironmentFile } from "../../commands/environment_files.ts";
import { decodeDropRecord } from "../../backend/udp/ebpf/drop_maps.ts";
import { parseWireguardKey } from "../../backend/wireguard/wireguard_options.ts";
import { BACKENDS } from "../../backend/backends.ts";
import { readCloudConfig } from "../../config/cloud_config.ts";
import { AGENT_FLAGS } from "../../config/flags.ts";
import { parseNetworkConfig } from "../../config/network/network.ts";
import { parseDaemonConfig } from "../../host/docker/daemon_config.ts";
import { createDockerNetwork } from "../../host/docker/docker_network.ts";
import { engineOptions } from "../../host/docker/engine_options.ts";
import { parseDockerContainer } from "../../host/docker/docker_container.ts";
import { parseDotenv } from "../../linux/dotenv.ts";
import {
  type BaseChain,
  passHook,
} from "../../host/firewall/evaluate/chains.ts";
import { iptablesBaseChains } from "../../host/firewall/evaluate/iptables_chains.ts";
import { nftBaseChains } from "../../host/firewall/evaluate/nft_chains.ts";
import { parseTrace } from "../../host/firewall/trace/parse_trace.ts";
import { parseIptablesSave } from "../../host/firewall/iptables_text.ts";
import { parseNftTable } from "../../host/firewall/nftables_text.ts";
import { findFlanneld } from "../../host/flanneld_process.ts";
import { mayBeAgents } from "../../host/socket_holder.ts";
import { parseSubnetEnv } from "../../host/subnet_env.ts";
import {
  decodeDeletedKey,
  decodeLeaseEntry,
  decodeText,
} from "../../lease/lease_entry.ts";
import { parseHealth, parseVersion } from "../../lease/etcd/web_answers.ts";
import { decodeLeaseValue, parseLeaseName } from "../../lease/lease_codec.ts";
import { BadStateError, decodeState } from "../../lease/saved/state_codec.ts";
import { LodenError } from "../../errors.ts";
import { parseCpuList } from "../../linux/cpu_list.ts";
import { parseAddress } from "../../linux/netlink/address.ts";
import {
  CONTROL,
  decodeAttributeList,
  decodeAttributes,
  decodeMessages,
} from "../../linux/netlink/codec.ts";
import { parseGeneric } from "../../linux/netlink/generic_netlink.ts";
import { parseIpip } from "../../linux/netlink/ipip.ts";
import { parseLink } from "../../linux/netlink/link.ts";
import {
  parseForwarding,
  parseNeighbour,
  parseNeighbourEntry,
} from "../../linux/netlink/neighbour.ts";
import { NetlinkClient } from "../../linux/netlink/netlink_client.ts";
import { parseRoute, parseRouteAnswer } from "../../linux/netlink/route.ts";
import {
  parseBpfFilter,
  parseFilterPriority,
} from "../../linux/netlink/traffic_control.ts";
import { parseVxlan } from "../../linux/netlink/vxlan.ts";
import { parseDevice } from "../../linux/netlink/wireguard_messages.ts";
import { parseXdp } from "../../linux/netlink/xdp.ts";
import { parseCpuMask } from "../../linux/packet_steering.ts";
import { parseProcNetUdp } from "../../linux/udp_sockets.ts";
import { parseProcNetUnix } from "../../linux/unix_sockets.ts";
import { parseAddressWithPrefix, parseCidr } from "../../net/cidr.ts";
import { readFlow } from "../../net/dropped_packet.ts";
import { parseIpv4, toIpv4 } from "../../net/ipv4.ts";
import { parseIpv6 } from "../../net/ipv6.ts";
import { parseMac } from "../../net/mac.ts";
import { overlayMtu } from "../../net/mtu.ts";
import { decodeProbe } from "../../net/probe_message.ts";
import { TRACE } from "./nft_trace.ts";
import { DOCKER28_WITH_LODEN, NFTABLES } from "./rule_sets/rule_sets.ts";

/** A parser, and what it is given. */
export interface Parser {
  /** Of the exported function, or what it reads. */
  readonly name: string;
  readonly inputs: fc.Arbitrary<unknown>;
  /** Returns, or throws an error that is documented. */
  readonly read: (input: never) => unknown;
  /** Errors beside {@linkcode LodenError} that callers expect. */
  readonly errors: readonly (new (...words: never[]) => Error)[];
}

/** Files with properties of whole paths of foreign bytes. */
export const OTHER_PROPERTIES: readonly string[] = [
  "tests/unit/lease/lease_entry_test.ts",
  "tests/unit/lease/lease_codec_test.ts",
  "tests/unit/agent/status/request_server_test.ts",
  "tests/contract/packet_fates_agreement_test.ts",
  "tests/contract/packet_fates_xdp_test.ts",
];

/** Exported functions that are no parser of foreign bytes, and why. */
export const OF_THE_OPERATOR: Readonly<Record<string, string>> = {
  parseDockerOptsArguments: "a command line",
  parseEndpoint: "a flag",
  parseEtcdEndpoints: "a flag",
  parseFlagValue: "a flag",
  parseGoBool: "a flag",
  parseGoFlags: "a command line",
  parseGoInteger: "a flag",
  parseGoJson: "in parseNetworkConfig",
  parseSubnetChangeAction: "a flag",
  parseCloudConfigYaml: "in readCloudConfig",
  decodePeer: "a value of a map of our own, of fixed length",
};

/** A right text with parts of it replaced, repeated or left out; or any text. */
function textLike(...samples: string[]): fc.Arbitrary<string> {
  const edit = fc.record({
    at: fc.nat(),
    length: fc.nat({ max: 12 }),
    by: fc.oneof(
      fc.constantFrom("", "\0", "\n", "-1", "1e99", "99999999999", "\ud800"),
      fc.constantFrom("[", "]", "{", "}", '"', "'", ",", ":", "/", "\\", "#"),
      fc.string({ unit: "binary", maxLength: 6 }),
      fc.constantFrom(...samples),
    ),
  });
  return fc.oneof(
    { weight: 1, arbitrary: fc.string({ unit: "binary" }) },
    {
      weight: 4,
      arbitrary: fc.tuple(
        fc.constantFrom(...samples),
        fc.array(edit, { maxLength: 5 }),
      ).map(([sample, edits]) =>
        edits.reduce((text, { at, length, by }) => {
          const start = at % (text.length + 1);
          return text.slice(0, start) + by + text.slice(start + length);
        }, sample)
      ),
    },
  );
}

const NETLINK_HEADER_BYTES = 16;

const DOCKER_CONTAINER = '{"Name":"/web","State":{"Running":true},' +
  '"NetworkSettings":{"Networks":{"bridge":{"IPAddress":"10.1.5.2"}}}}';
const QUESTION = '{"v":1,"from":"10.1.5.2","to":"10.1.7.2","proto":6,' +
  '"port":80,"size":84,"outer":"192.0.2.11"}';
const ANSWER = '[["route","o","x"],["bridge","d","docker0 is down","lift it"]]';

const utf8 = (text: string) => new TextEncoder().encode(text);

/** Reads JSON, or returns the text. */
function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return text;
  }
}

/** A packet passes rules that were read from anything. */
function walk(chains: readonly BaseChain[]): unknown {
  return passHook(chains, {
    hook: "forward",
    arrivesOn: "flannel0",
    leavesBy: "docker0",
    source: toIpv4(0x0a010902),
    destination: toIpv4(0x0a011b02),
    protocol: 6,
    port: 80,
    sizeBytes: 84,
    isLocal: () => false,
    isSourceRouted: true,
  });
}

const bytes = (maxLength = 64) => fc.uint8Array({ maxLength });

/** Attributes whose lengths mostly fit, nested two deep. */
const attributes = (types: number, value: fc.Arbitrary<Uint8Array>) =>
  fc.array(
    fc.record({
      type: fc.nat({ max: types }),
      value,
      lies: fc.oneof(
        { weight: 9, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: -4, max: 70_000 }) },
      ),
    }),
    { maxLength: 8 },
  ).map((list) =>
    Uint8Array.from(list.flatMap(({ type, value, lies }) => {
      const length = (4 + value.length + lies) & 0xffff;
      const padding = -value.length & 3;
      return [
        ...[length & 0xff, length >> 8, type, 0],
        ...value,
        ...new Uint8Array(padding),
      ];
    }))
  );

const VALUES = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.constantFrom("vxlan\0", "bpf\0", "eth0\0")
    .map((text) => new TextEncoder().encode(text)),
  bytes(20),
);
const NESTED = fc.oneof(
  VALUES,
  attributes(8, fc.oneof(VALUES, attributes(30, VALUES))),
);

/** A family's header of so many bytes, and attributes. */
const netlink = (headerBytes: number) =>
  fc.oneof(
    { weight: 1, arbitrary: bytes() },
    {
      weight: 4,
      arbitrary: fc.tuple(
        fc.uint8Array({ minLength: headerBytes, maxLength: headerBytes }),
        attributes(60, NESTED),
      ).map(([header, rest]) => Uint8Array.of(...header, ...rest)),
    },
  );

/** What the kernel may answer to the first request: messages with its number. */
const answers = fc.oneof(
  bytes(),
  fc.array(
    fc.record({
      type: fc.oneof(fc.constantFrom(1, 2, 3, 4), fc.nat({ max: 0xffff })),
      flags: fc.nat({ max: 0xffff }),
      payload: fc.oneof(bytes(40), netlink(16)),
    }),
    { maxLength: 4 },
  ).map((messages) =>
    Uint8Array.from(messages.flatMap(({ type, flags, payload }) => {
      const header = new DataView(new ArrayBuffer(16));
      header.setUint32(0, 16 + payload.length, true);
      header.setUint16(4, type, true);
      header.setUint16(6, flags, true);
      header.setUint32(8, 1, true);
      return [
        ...new Uint8Array(header.buffer),
        ...payload,
        ...new Uint8Array(-payload.length & 3),
      ];
    }))
  ),
);

/** A kernel that gives one answer, and the end of a list to every question. */
function ask(method: "list" | "request", answer: Uint8Array): void {
  const pending = [answer];
  let sequence = 0;
  const end = () => {
    const message = new DataView(new ArrayBuffer(NETLINK_HEADER_BYTES + 4));
    message.setUint32(0, message.byteLength, true);
    message.setUint16(4, CONTROL.DONE, true);
    message.setUint32(8, sequence, true);
    return new Uint8Array(message.buffer);
  };
  const client = new NetlinkClient({
    send: (bytes) => {
      sequence = new DataView(bytes.buffer).getUint32(8, true);
    },
    receive: () => pending.shift() ?? end(),
    reset() {},
    [Symbol.dispose]() {},
  });
  client[method]("ask", { type: 18, flags: 0, payload: new Uint8Array(16) });
}

const LEASE = '{"PublicIP":"192.0.2.11","PublicIPv6":null,' +
  '"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:01"},' +
  '"LodenHostId":"0123456789abcdef0123456789abcdef","LodenDataPath":"ebpf"}';
const CIDR = "10.1.5.0/24";
const STATE = JSON.stringify({
  schema: 1,
  hostId: "0123456789abcdef0123456789abcdef",
  underlayMac: "02:00:00:00:00:01",
  config: '{"Network":"10.1.0.0/16"}',
  lease: { subnet: CIDR, expires: "2026-01-01T00:00:00.000Z" },
  peers: [{
    subnet: "10.1.6.0/24",
    publicIp: "192.0.2.12",
    backendType: "udp",
    confirmed: "2026-01-01T00:00:00.000Z",
  }],
});
const SUBNET_ENV = "FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.5.1/24\n" +
  'FLANNEL_MTU=1472\nFLANNEL_IPMASQ="true" # no\n';
const CLOUD_CONFIG = "#cloud-config\ncoreos:\n  flannel:\n" +
  "    interface: $private_ipv4\n    etcd_prefix: '/a'\n" +
  "    etcd-endpoints: [http://192.0.2.1:2379]\n    ip_masq: yes\n";
const PROCESS_STATUS = "Name:\tflanneld\nUid:\t0\t0\t0\t0\n" +
  "CapEff:\t000001ffffffffff\n";
const IPTABLES = "*mangle\n:FORWARD ACCEPT [0:0]\n:LODEN-X - [0:0]\n" +
  '-A FORWARD -i eth0 -m comment --comment "a b" -j LODEN-X\nCOMMIT\n';
const NFT = "table ip loden { # handle 1\n\tchain forward { # handle 2\n" +
  '\t\toifname "eth0" drop comment "a" # handle 3\n\t}\n}\n';
const FOOTPRINT = JSON.stringify({
  schema: 1,
  network: "10.1.0.0/16",
  subnet: CIDR,
  files: ["/run/flannel/subnet.env"],
  firewall: {
    masquerade: true,
    forward: true,
    randomFully: false,
    enableNftables: false,
  },
});

function parser<Input>(
  name: string,
  inputs: fc.Arbitrary<Input>,
  read: (input: Input) => unknown,
  ...errors: Parser["errors"]
): Parser {
  return { name, inputs, read, errors };
}

/** A file of a process, or the words in one. */
const words = (text: string) => text.split("\0").filter((word) => word !== "");

/** Every parser. */
export function parsers(): Parser[] {
  const signal = new AbortController().signal;
  return [
    parser("decodeMessages", answers, (each) => [...decodeMessages(each)]),
    parser(
      "answers to a netlink request",
      answers,
      (each) => ask("request", each),
    ),
    parser("answers to a netlink list", answers, (each) => ask("list", each)),
    parser("decodeAttributes", attributes(60, NESTED), decodeAttributes),
    parser("parseLink", netlink(16), parseLink),
    parser("parseXdp", netlink(16), parseXdp),
    parser("parseVxlan", netlink(16), parseVxlan),
    parser("parseIpip", netlink(16), parseIpip),
    parser("parseGeneric", netlink(4), parseGeneric),
    parser(
      "parseDevice",
      fc.array(netlink(4), { maxLength: 3 }),
      parseDevice,
    ),
    parser(
      "decodeAttributeList",
      attributes(60, NESTED),
      (each) => [...decodeAttributeList(each)],
    ),
    parser("parseAddress", netlink(8), parseAddress),
    parser("parseRoute", netlink(12), parseRoute),
    parser("parseRouteAnswer", netlink(12), parseRouteAnswer),
    parser("parseNeighbour", netlink(12), parseNeighbour),
    parser(
      "parseNeighbourEntry",
      netlink(12),
      (payload) => parseNeighbourEntry(payload, 7),
    ),
    parser("parseForwarding", netlink(12), parseForwarding),
    parser("parseBpfFilter", netlink(20), parseBpfFilter),
    parser("parseFilterPriority", netlink(20), parseFilterPriority),

    parser(
      "decodeProbe",
      bytes().map((each) => Uint8Array.of(0x4c, 0x50, 1, ...each)),
      decodeProbe,
    ),

    parser(
      "parseRequestHead",
      textLike("GET http://a/b?c HTTP/1.1\r\nHost: a\r\nAccept: b\r\n\r\n"),
      (text) => parseRequestHead(text, undefined),
    ),

    parser("decodeText", bytes(), decodeText),
    parser("parseLeaseName", textLike("10.1.5.0-24"), parseLeaseName),
    parser("decodeLeaseValue", textLike(LEASE), decodeLeaseValue),
    parser(
      "decodeLeaseEntry",
      fc.tuple(textLike("/a/subnets/10.1.5.0-24"), textLike(LEASE), bytes()),
      ([key, value, tail]) => {
        const encode = (text: string) => new TextEncoder().encode(text);
        return decodeLeaseEntry("/a/subnets/", {
          key: encode(key),
          value: Uint8Array.of(...encode(value), ...tail),
          lease: "1",
          create_revision: "1",
          mod_revision: "1",
        });
      },
    ),
    parser(
      "decodeDeletedKey",
      fc.oneof(
        bytes(),
        textLike("/a/subnets/10.1.5.0-24")
          .map((text) => new TextEncoder().encode(text)),
      ),
      (key) => decodeDeletedKey("/a/subnets/", key),
    ),
    parser(
      "parseNetworkConfig",
      textLike(
        '{"Network":"10.1.0.0/16","SubnetLen":24,"SubnetMin":"10.1.5.0",' +
          '"Backend":{"Type":"udp","Port":8285}}',
        '{"network":"10.1.0.0/16","Backend":{"Type":"vxlan","VNI":1}}',
      ),
      (text) => parseNetworkConfig(text, BACKENDS),
    ),
    parser(
      "decodeState",
      textLike(STATE),
      decodeState,
      BadStateError,
    ),

    parser("parseSubnetEnv", textLike(SUBNET_ENV), parseSubnetEnv),
    parser("parseDotenv", textLike(SUBNET_ENV), parseDotenv),
    parser(
      "parseEnvironmentFile",
      textLike(SUBNET_ENV),
      parseEnvironmentFile,
    ),
    parser("parseFootprint", textLike(FOOTPRINT), parseFootprint),
    parser(
      "readCloudConfig",
      fc.tuple(
        textLike(CLOUD_CONFIG),
        textLike("COREOS_PRIVATE_IPV4=192.0.2.1"),
      ),
      ([text, environment]) =>
        readCloudConfig({
          path: "/config.yaml",
          flags: AGENT_FLAGS,
          env: {},
          readFile: (path) =>
            Promise.resolve(path === "/config.yaml" ? text : environment),
        }),
    ),

    parser(
      "parseDaemonConfig",
      textLike('{"firewall-backend":"nftables","bip":"10.1.5.1/24"}'),
      parseDaemonConfig,
    ),
    parser(
      "docker network inspect",
      fc.tuple(
        textLike(`${CIDR} `, "\n"),
        textLike("Error response from daemon: Pool overlaps"),
        fc.nat({ max: 2 }),
      ),
      ([stdout, stderr, code]) =>
        createDockerNetwork(
          { run: () => Promise.resolve({ stdout, stderr, code }) },
          "loden",
          {
            network: parseCidr("10.1.0.0/16")!,
            subnet: parseCidr(CIDR)!,
            mtuBytes: overlayMtu(1_472),
            ipMasq: true,
          },
          signal,
        ),
    ),
    parser(
      "engineOptions",
      fc.tuple(
        textLike("/usr/bin/dockerd\0--bip=10.1.5.1/24\0--mtu\0" + "1472"),
        textLike('{"live-restore":true,"mtu":1472}'),
      ),
      ([cmdline, config]) => engineOptions(words(cmdline), config),
    ),
    parser(
      "parseProcNetUdp",
      textLike(
        " 1: 0B0200C0:205D 00000000:0000 07 0:0 00:0 0 0 0 77119 2 0 0\n",
      ),
      parseProcNetUdp,
    ),
    parser("parseVersion", textLike('{"etcdserver":"3.5.16"}'), parseVersion),
    parser(
      "parseHealth",
      textLike('{"health":"false","reason":"ALARM NOSPACE"}'),
      parseHealth,
    ),
    parser("parseIptablesSave", textLike(IPTABLES), parseIptablesSave),
    parser("parseNftTable", textLike(NFT), parseNftTable),
    parser(
      "parseTrace",
      textLike(TRACE),
      (text) => parseTrace(text, "loden_explain_812"),
    ),
    parser(
      "iptablesBaseChains",
      textLike(IPTABLES, DOCKER28_WITH_LODEN),
      (text) => walk(iptablesBaseChains(text, "iptables")),
    ),
    parser(
      "nftBaseChains",
      textLike(NFTABLES),
      (text) => walk(nftBaseChains(text)),
    ),
    parser(
      "parseDockerContainer",
      fc.oneof(fc.anything(), textLike(DOCKER_CONTAINER).map(json)),
      parseDockerContainer,
    ),
    parser("decodeQuestion", textLike(QUESTION).map(utf8), decodeQuestion),
    parser("decodeAnswer", textLike(ANSWER).map(utf8), decodeAnswer),

    parser(
      "the /proc files of a flanneld",
      fc.tuple(
        textLike("/opt/flanneld\0--subnet-file=/a\0-etcd-prefix\0/b\0"),
        textLike("FLANNELD_ETCD_PREFIX=/b\0"),
        textLike("/opt/flanneld (deleted)"),
      ),
      ([cmdline, environ, program]) =>
        findFlanneld({ subnetFile: "/a", etcdPrefix: "/b" }, {
          pids: () => [7],
          words: (_, file) => words(file === "cmdline" ? cmdline : environ),
          program: (pid) => pid === "self" ? "/loden" : program,
          userIds: () => [0, 0, 0, 0],
          network: () => 1,
        }),
    ),
    parser(
      "the /proc files of a socket's holder",
      fc.tuple(textLike(PROCESS_STATUS), textLike("deno\0cli.ts\0")),
      ([status, cmdline]) =>
        mayBeAgents(7, {
          seesAll: () => true,
          pids: () => [7],
          status: () => status,
          sockets: () => undefined,
          words: () => words(cmdline),
        }),
    ),
    parser(
      "parseProcNetUnix",
      textLike(
        "ffff9d0c: 00000002 00000000 00010000 0001 01 23456 @loden/x\n",
      ),
      parseProcNetUnix,
    ),
    parser("decodeDropRecord", bytes(200), decodeDropRecord),
    parser("readFlow", bytes(100), readFlow),
    parser(
      "parseMonitorEvent",
      textLike(
        '{"type":"suppressed","time":"2026-01-01","reason":"a","count":1}',
        '{"type":"drop","outer":{"source":"192.0.2.1"},"inner":null}',
      ),
      parseMonitorEvent,
    ),
    parser(
      "parseCpuList",
      textLike("0-3,8\n"),
      (text) => parseCpuList(text, "/sys/online"),
    ),
    parser(
      "parseCpuMask",
      textLike("00000000,0000000f\n"),
      parseCpuMask,
      SyntaxError,
    ),

    parser("parseIpv4", textLike("192.0.2.11"), parseIpv4),
    parser("parseIpv6", textLike("fe80::42:c0ff:fea8:1"), parseIpv6),
    parser("parseCidr", textLike(CIDR), parseCidr),
    parser(
      "parseAddressWithPrefix",
      textLike("10.1.5.1/24"),
      parseAddressWithPrefix,
    ),
    parser(
      "parseWireguardKey",
      textLike("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "B"),
      parseWireguardKey,
    ),
    parser("parseMac", textLike("02:00:5e:00:53:01"), parseMac),
  ];
}

/** Whether a parser may throw it. */
export function isDocumented(error: unknown, { errors }: Parser): boolean {
  return error instanceof LodenError ||
    errors.some((each) => error instanceof each);
}
