/**
 * What every {@linkcode Wireguard} does. Run on the kernel's and on the fake.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { ERRNO } from "../../linux/errno.ts";
import { NetlinkError } from "../../linux/netlink/errors.ts";
import type { Rtnetlink } from "../../linux/netlink/rtnetlink.ts";
import type {
  Wireguard,
  WireguardPeer,
  WireguardPeerChange,
} from "../../linux/netlink/wireguard.ts";
import { x25519PublicKey } from "../../linux/x25519.ts";
import { cidrOf, formatCidr, parseCidr } from "../../net/cidr.ts";
import { parseIpv4, toIpv4 } from "../../net/ipv4.ts";

/** A network namespace with `lo`, and nothing else in it. */
export interface WireguardWorld extends Disposable {
  readonly rtnetlink: Rtnetlink;
  readonly wireguard: Wireguard;
}

const ABSENT_INDEX = 9999;
const NAME = "flannel-wg";
const PRIVATE_KEY = new Uint8Array(32).fill(0x48);
const PORT = 51820;

/** Any 32 bytes are a public key. */
const publicKeyOf = (number: number): string => {
  const bytes = new Uint8Array(32).fill(1);
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes.toBase64();
};

const peerOf = (number: number): Required<WireguardPeerChange> => ({
  publicKey: publicKeyOf(number),
  presharedKey: new Uint8Array(32).fill(7),
  endpoint: { address: parseIpv4("192.0.2.12")!, port: PORT + number },
  keepaliveSeconds: 25,
  allowedIps: [cidrOf(toIpv4(0x0a010000 + number * 256), 24)],
});

/** Without what changes by itself. */
const shown = (peers: readonly WireguardPeer[]) =>
  peers.map((peer) => ({
    publicKey: peer.publicKey,
    presharedKey: peer.presharedKey,
    endpoint: peer.endpoint,
    keepaliveSeconds: peer.keepaliveSeconds,
    allowedIps: peer.allowedIps.map(formatCidr).toSorted(),
  })).toSorted((a, b) => a.publicKey < b.publicKey ? -1 : 1);

const wanted = (peers: readonly Required<WireguardPeerChange>[]) =>
  peers.map((peer) => ({
    ...peer,
    allowedIps: peer.allowedIps.map(formatCidr).toSorted(),
  })).toSorted((a, b) => a.publicKey < b.publicKey ? -1 : 1);

/** Registers the tests; `makeWorld` makes a new world for each. */
export function wireguardContract(
  implementation: string,
  makeWorld: () => WireguardWorld,
): void {
  const test = (
    sentence: string,
    prove: (world: WireguardWorld, index: number) => void,
  ) =>
    Deno.test(`${implementation} ${sentence}`, () => {
      using world = makeWorld();
      const device = { name: NAME, mtuBytes: 1420 };
      prove(world, world.rtnetlink.createWireguard(device).index);
    });
  const refuses = (act: () => unknown, errno: number) =>
    assertEquals(assertThrows(act, NetlinkError).errno, errno);

  test("starts with a device without keys and peers", (world, index) => {
    const { rtnetlink, wireguard } = world;
    const link = rtnetlink.links().find((each) => each.index === index)!;
    assertEquals(
      [link.name, link.kind, link.mtuBytes, link.up, link.mac.length],
      [NAME, "wireguard", 1420, false, 0],
    );
    assertEquals(wireguard.device(index), {
      publicKey: undefined,
      listenPort: 0,
      peers: [],
    });
  });

  test("refuses a name that is taken", ({ rtnetlink }) => {
    refuses(
      () => rtnetlink.createWireguard({ name: NAME, mtuBytes: 1420 }),
      ERRNO.EEXIST,
    );
  });

  test("knows devices of other kinds from absent ones", (world) => {
    const { rtnetlink, wireguard } = world;
    const lo = rtnetlink.links().find(({ loopback }) => loopback)!.index;
    refuses(() => wireguard.device(lo), ERRNO.EOPNOTSUPP);
    refuses(() => wireguard.change(lo, { listenPort: 1 }), ERRNO.EOPNOTSUPP);
    refuses(() => wireguard.device(ABSENT_INDEX), ERRNO.ENODEV);
    refuses(
      () => wireguard.change(ABSENT_INDEX, { listenPort: 1 }),
      ERRNO.ENODEV,
    );
  });

  test(
    "sets a private key and a port, and shows the public key",
    (world, index) => {
      const { wireguard } = world;
      wireguard.change(index, { privateKey: PRIVATE_KEY, listenPort: PORT });
      const { listenPort, publicKey } = wireguard.device(index);
      assertEquals(listenPort, PORT);
      assertEquals(publicKey, x25519PublicKey(PRIVATE_KEY).toBase64());
      wireguard.change(index, { listenPort: PORT + 1 });
      const after = wireguard.device(index);
      assertEquals([after.listenPort, after.publicKey], [PORT + 1, publicKey]);
    },
  );

  test(
    "refuses a port that another device has, once it is up",
    (world, index) => {
      const { rtnetlink, wireguard } = world;
      const other = rtnetlink.createWireguard({ name: "wg7", mtuBytes: 1420 });
      for (const each of [index, other.index]) {
        wireguard.change(each, { privateKey: PRIVATE_KEY, listenPort: PORT });
      }
      rtnetlink.changeLink(index, { up: true });
      refuses(
        () => rtnetlink.changeLink(other.index, { up: true }),
        ERRNO.EADDRINUSE,
      );
      wireguard.change(other.index, { listenPort: PORT + 1 });
      rtnetlink.changeLink(other.index, { up: true });
      refuses(
        () => wireguard.change(other.index, { listenPort: PORT }),
        ERRNO.EADDRINUSE,
      );
    },
  );

  test(
    "puts peers as they are told, and keeps what is not named",
    (world, index) => {
      const { wireguard } = world;
      const [first, second] = [peerOf(1), peerOf(2)];
      wireguard.change(index, { putPeers: [first, second] });
      const { peers } = wireguard.device(index);
      assertEquals(shown(peers), wanted([first, second]));
      for (const peer of peers) {
        assertEquals(
          [peer.lastHandshakeMs, peer.rxBytes, peer.txBytes, peer.allowedIpv6],
          [0, 0, 0, 0],
        );
      }
      const endpoint = { address: parseIpv4("203.0.113.9")!, port: 1024 };
      wireguard.change(index, {
        putPeers: [{ publicKey: first.publicKey, endpoint }],
      });
      assertEquals(
        shown(wireguard.device(index).peers),
        wanted([{ ...first, endpoint }, second]),
      );
    },
  );

  test(
    "replaces allowed addresses, and takes each from the peer that had it",
    (world, index) => {
      const { wireguard } = world;
      const [first, second] = [peerOf(1), peerOf(2)];
      wireguard.change(index, { putPeers: [first, second] });
      const allowedIps = [...second.allowedIps, parseCidr("10.9.0.0/16")!];
      wireguard.change(index, {
        putPeers: [{ publicKey: first.publicKey, allowedIps }],
      });
      assertEquals(
        shown(wireguard.device(index).peers),
        wanted([{ ...first, allowedIps }, { ...second, allowedIps: [] }]),
      );
    },
  );

  test("removes a preshared key and a keepalive by zeros", (world, index) => {
    const { wireguard } = world;
    const peer = peerOf(1);
    wireguard.change(index, { putPeers: [peer] });
    const presharedKey = new Uint8Array(32);
    wireguard.change(index, {
      putPeers: [{ ...peer, presharedKey, keepaliveSeconds: 0 }],
    });
    const [after] = wireguard.device(index).peers;
    assertEquals(
      [after!.presharedKey, after!.keepaliveSeconds],
      [undefined, 0],
    );
  });

  test(
    "removes peers, also absent ones, and leaves the others",
    (world, index) => {
      const { wireguard } = world;
      const peers = [peerOf(1), peerOf(2)];
      wireguard.change(index, { putPeers: peers });
      wireguard.change(index, {
        removePeers: [peers[0]!.publicKey, publicKeyOf(3)],
        putPeers: [{ ...peerOf(4), allowedIps: peers[0]!.allowedIps }],
      });
      assertEquals(
        shown(wireguard.device(index).peers),
        wanted([peers[1]!, { ...peerOf(4), allowedIps: peers[0]!.allowedIps }]),
      );
    },
  );

  test("ignores a peer that has the device's own key", (world, index) => {
    const { wireguard } = world;
    wireguard.change(index, { privateKey: PRIVATE_KEY });
    const publicKey = x25519PublicKey(PRIVATE_KEY).toBase64();
    wireguard.change(index, { putPeers: [{ ...peerOf(1), publicKey }] });
    assertEquals(wireguard.device(index).peers, []);
  });

  test(
    "puts and lists thousands of peers, and thousands of addresses of one",
    (world, index) => {
      const { wireguard } = world;
      const many = Array.from({ length: 3_000 }, (_, number) => peerOf(number));
      const allowedIps = Array.from(
        { length: 5_000 },
        (_, number) => cidrOf(toIpv4(0x0b000000 + number * 256), 24),
      );
      many[1_500] = { ...many[1_500]!, allowedIps };
      wireguard.change(index, { putPeers: many });
      assertEquals(shown(wireguard.device(index).peers), wanted(many));
      wireguard.change(index, {
        removePeers: many.slice(1).map(({ publicKey }) => publicKey),
      });
      assertEquals(shown(wireguard.device(index).peers), wanted([many[0]!]));
    },
  );

  test(
    "forgets a device that is deleted",
    ({ rtnetlink, wireguard }, index) => {
      assert(rtnetlink.deleteLink(index));
      refuses(() => wireguard.device(index), ERRNO.ENODEV);
    },
  );
}
