import { assert, assertEquals } from "@std/assert";
import type { WireguardPeer } from "../../../../linux/netlink/wireguard.ts";
import {
  describeHandshakes,
  planPeers,
  readPeers,
  renewals,
} from "../../../../backend/wireguard/peer_plan.ts";
import type { WireguardOptions } from "../../../../backend/wireguard/wireguard_options.ts";
import { cidrOf, formatCidr, parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4, toIpv4 } from "../../../../net/ipv4.ts";
import { peerOf } from "../kernel_world.ts";

const keyOf = (byte: number) => new Uint8Array(32).fill(byte).toBase64();
const OWN = keyOf(0xff);
const OPTIONS: WireguardOptions = {
  port: 51820,
  outerMtuBytes: undefined,
  presharedKey: undefined,
  keepaliveSeconds: 0,
};
const NOW = 1_700_000_000_000;

const lease = (number: number, data: unknown) =>
  peerOf(`10.1.${number}.0/24`, `192.0.2.${number}`, "wireguard", data);
const good = (number: number) =>
  lease(number, { PublicKey: keyOf(number), Port: 51820 });

const wantedOf = (...numbers: number[]) =>
  readPeers(numbers.map(good), OWN, OPTIONS).wanted;

const present = (number: number, part: Partial<WireguardPeer> = {}) => ({
  publicKey: keyOf(number),
  presharedKey: undefined,
  endpoint: { address: parseIpv4(`192.0.2.${number}`)!, port: 51820 },
  keepaliveSeconds: 0,
  allowedIps: [parseCidr(`10.1.${number}.0/24`)!],
  allowedIpv6: 0,
  lastHandshakeMs: 0,
  rxBytes: 0,
  txBytes: 0,
  ...part,
});

const context = { nowMs: NOW, given: new Map() };
const NOTHING = { removePeers: [], putPeers: [] };

Deno.test("a lease is read as flannel writes it, whatever the case of its names", () => {
  const values = [
    { PublicKey: keyOf(5), Port: 1234 },
    { publickey: keyOf(5), PORT: 1234 },
  ];
  for (const value of values) {
    const { refused, wanted } = readPeers([lease(5, value)], OWN, OPTIONS);
    assertEquals(refused, []);
    assertEquals(wanted.map(({ entry }) => entry), [{
      publicKey: keyOf(5),
      presharedKey: new Uint8Array(32),
      endpoint: { address: parseIpv4("192.0.2.5")!, port: 1234 },
      keepaliveSeconds: 0,
      allowedIps: [parseCidr("10.1.5.0/24")!],
    }]);
  }
});

Deno.test("a lease without a port, of an early flannel, has this host's port", () => {
  const options = { ...OPTIONS, port: 4242 };
  const { wanted } = readPeers(
    [lease(5, { PublicKey: keyOf(5) })],
    OWN,
    options,
  );
  assertEquals(wanted[0]!.entry.endpoint.port, 4242);
});

Deno.test("a lease that cannot be read is refused by name, and the others are served", () => {
  const key = "the lease's BackendData must have a PublicKey of 32 bytes in " +
    "base64: current value is ";
  const port = "the lease's BackendData must have a Port from 1 to 65535: " +
    "current value is ";
  const short = new Uint8Array(31).toBase64();
  const long = new Uint8Array(99).fill(1).toBase64();
  const zero = new Uint8Array(32).toBase64();
  const bad: [unknown, string][] = [
    [undefined, `${key}none`],
    [null, `${key}none`],
    ["text", `${key}none`],
    [{}, `${key}none`],
    [{ PublicKey: 7 }, `${key}7`],
    [{ PublicKey: "" }, `${key}""`],
    [{ PublicKey: short }, `${key}"${short}"`],
    [{ PublicKey: long }, `${key}${JSON.stringify(long).slice(0, 60)}…`],
    [{ PublicKey: zero }, `${key}"${zero}"`],
    [{ PublicKey: keyOf(5).slice(0, -1) }, `${key}"${keyOf(5).slice(0, -1)}"`],
    [{ PublicKey: keyOf(5), Port: 0 }, `${port}0`],
    [{ PublicKey: keyOf(5), Port: 65_536 }, `${port}65536`],
    [{ PublicKey: keyOf(5), Port: 1.5 }, `${port}1.5`],
    [{ PublicKey: keyOf(5), Port: "51820" }, `${port}"51820"`],
    [
      { PublicKey: OWN, Port: 51820 },
      "the lease's PublicKey must be its host's alone: this host has it, too",
    ],
    [
      { PublicKey: keyOf(6), Port: 51820 },
      "the lease's PublicKey must be its host's alone: 10.1.6.0/24 has it, too",
    ],
  ];
  for (const [value, reason] of bad) {
    const { refused, wanted } = readPeers(
      [good(6), lease(5, value), good(7)],
      OWN,
      OPTIONS,
    );
    assertEquals(
      refused.map(({ peer, reason }) => [formatCidr(peer.subnet), reason]),
      [["10.1.5.0/24", reason]],
    );
    assertEquals(
      wanted.map(({ peer }) => formatCidr(peer.subnet)),
      ["10.1.6.0/24", "10.1.7.0/24"],
    );
  }
});

Deno.test("new peers are put, those of no lease go, and right ones stay untouched", () => {
  const wanted = wantedOf(5, 6);
  const device = { peers: [present(5), present(9)] };
  assertEquals(planPeers(wanted, device, context), {
    removePeers: [keyOf(9)],
    putPeers: [wanted[1]!.entry],
  });
  assertEquals(
    planPeers(wanted, { peers: [present(5), present(6)] }, context),
    NOTHING,
  );
});

Deno.test("a peer that has another key has no old entry left", () => {
  const peers = [lease(5, { PublicKey: keyOf(55), Port: 51820 })];
  const { wanted } = readPeers(peers, OWN, OPTIONS);
  assertEquals(planPeers(wanted, { peers: [present(5)] }, context), {
    removePeers: [keyOf(5)],
    putPeers: [wanted[0]!.entry],
  });
});

Deno.test("of a changed peer only the difference is sent", () => {
  const presharedKey = new Uint8Array(32).fill(3);
  const options = { ...OPTIONS, presharedKey, keepaliveSeconds: 25 };
  const { wanted } = readPeers([good(5)], OWN, options);
  const publicKey = keyOf(5);
  const changeOf = (part: Partial<WireguardPeer>) =>
    planPeers(wanted, {
      peers: [present(5, { presharedKey, keepaliveSeconds: 25, ...part })],
    }, context).putPeers;
  const { allowedIps } = wanted[0]!.entry;
  assertEquals(changeOf({}), []);
  assertEquals(changeOf({ presharedKey: undefined }), [
    { publicKey, presharedKey },
  ]);
  assertEquals(changeOf({ keepaliveSeconds: 0 }), [
    { publicKey, keepaliveSeconds: 25 },
  ]);
  assertEquals(changeOf({ allowedIps: [] }), [{ publicKey, allowedIps }]);
  assertEquals(changeOf({ allowedIpv6: 1 }), [{ publicKey, allowedIps }]);
  // Without a preshared key in the config, one in the device goes.
  const [entry] = wantedOf(5);
  assertEquals(
    planPeers([entry!], { peers: [present(5, { presharedKey })] }, context)
      .putPeers,
    [{ publicKey, presharedKey: new Uint8Array(32) }],
  );
});

Deno.test("a peer that the kernel follows elsewhere stays there while it has a session", () => {
  const wanted = wantedOf(5);
  const { endpoint } = wanted[0]!.entry;
  const roamed = { address: parseIpv4("203.0.113.9")!, port: 1024 };
  const plan = (
    lastHandshakeMs: number,
    given = new Map([[keyOf(5), endpoint]]),
  ) =>
    planPeers(
      wanted,
      { peers: [present(5, { endpoint: roamed, lastHandshakeMs })] },
      { nowMs: NOW, given },
    ).putPeers;
  const back = [{ publicKey: keyOf(5), endpoint }];
  assertEquals(plan(NOW - 179_000), []);
  // Also after a restart, which knows nothing of what was given.
  assertEquals(plan(NOW - 179_000, new Map()), []);
  assertEquals(plan(NOW - 181_000), back);
  assertEquals(plan(0, new Map()), back);
  // The lease itself has moved: at once.
  assertEquals(plan(NOW - 1_000, new Map([[keyOf(5), roamed]])), back);
});

Deno.test("the status counts sessions and names peers that do not answer", () => {
  const wanted = wantedOf(5, 6, 7, 8);
  const device = {
    peers: [
      present(5, { lastHandshakeMs: NOW - 10_000, txBytes: 1 }),
      present(6, { lastHandshakeMs: NOW - 600_000, txBytes: 1 }),
      present(7, { txBytes: 148 }),
      present(8),
    ],
  };
  assertEquals(describeHandshakes(wanted, device, NOW), {
    sessions: "1 of 4 peers",
    "last handshake with 10.1.6.0/24": "600 s ago (192.0.2.6:51820)",
    "last handshake with 10.1.7.0/24": "none yet (192.0.2.7:51820)",
  });
});

Deno.test("the status names ten peers at most", () => {
  const numbers = Array.from({ length: 14 }, (_, number) => number + 1);
  const device = {
    peers: numbers.map((number) => present(number, { txBytes: 148 })),
  };
  const lines = describeHandshakes(wantedOf(...numbers), device, NOW);
  assertEquals(Object.keys(lines).length, 12);
  assertEquals(lines["last handshake with others"], "4 more");
});

Deno.test("sessions with a thousand peers are renewed at once, with a keepalive that ends as it was", () => {
  const peers = Array.from({ length: 1_200 }, (_, number) => {
    const key = new Uint8Array(32).fill(1);
    new DataView(key.buffer).setUint32(0, number);
    return {
      ...good(1),
      subnet: cidrOf(toIpv4(0x0a010000 + number * 256), 24),
      backendData: { PublicKey: key.toBase64(), Port: 51820 },
    };
  });
  for (const keepaliveSeconds of [0, 25]) {
    const options = { ...OPTIONS, keepaliveSeconds };
    const { wanted } = readPeers(peers, OWN, options);
    const [begin, end] = renewals(wanted);
    assertEquals([begin.length, end.length], [1_000, 1_000]);
    for (const change of end) {
      assertEquals(change.keepaliveSeconds, keepaliveSeconds);
    }
    // The kernel sends when 0 becomes another number.
    const zero = keepaliveSeconds === 0 ? end : begin;
    assertEquals(zero[0]!.keepaliveSeconds, 0);
    assert((keepaliveSeconds === 0 ? begin : end)[0]!.keepaliveSeconds! > 0);
  }
});
