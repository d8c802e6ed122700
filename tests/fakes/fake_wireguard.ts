/**
 * WireGuard devices in memory, as far as
 * `tests/contract/wireguard_contract.ts` asks.
 *
 * @module
 */

import { ERRNO } from "../../linux/errno.ts";
import { NetlinkError } from "../../linux/netlink/errors.ts";
import type { Link } from "../../linux/netlink/rtnetlink.ts";
import type {
  Wireguard,
  WireguardChange,
  WireguardDevice,
  WireguardPeer,
  WireguardPeerChange,
} from "../../linux/netlink/wireguard.ts";
import { x25519PublicKey } from "../../linux/x25519.ts";
import { formatCidr } from "../../net/cidr.ts";
import type { FakeRtnetlink } from "./fake_rtnetlink.ts";

interface State {
  publicKey: string | undefined;
  listenPort: number;
  peers: WireguardPeer[];
}

/** Of the devices of `rtnetlink`; a device that is gone takes its state along. */
export class FakeWireguard implements Wireguard {
  readonly #rtnetlink: FakeRtnetlink;
  readonly #states = new Map<number, State>();
  /** UDP ports that other programs have. */
  readonly takenPorts = new Set<number>();
  /** How often something was changed. */
  changes = 0;
  /** Keys of the peers that were sent an empty packet when a keepalive began. */
  readonly sent: string[] = [];

  constructor(rtnetlink: FakeRtnetlink) {
    this.#rtnetlink = rtnetlink;
    rtnetlink.onUp = (index) => this.#bind(index);
  }

  device(interfaceIndex: number): WireguardDevice {
    const { listenPort, peers, publicKey } = this.#state(interfaceIndex);
    return { publicKey, listenPort, peers: [...peers] };
  }

  change(interfaceIndex: number, change: WireguardChange): void {
    const state = this.#state(interfaceIndex);
    const { listenPort, privateKey, putPeers = [], removePeers = [] } = change;
    this.changes++;
    if (privateKey !== undefined) {
      state.publicKey = x25519PublicKey(privateKey).toBase64();
    }
    if (listenPort !== undefined) {
      state.listenPort = listenPort;
      if (this.#link(interfaceIndex)?.up) this.#bind(interfaceIndex);
    }
    state.peers = state.peers.filter(({ publicKey }) =>
      !removePeers.includes(publicKey) && publicKey !== state.publicKey
    );
    const isUp = this.#link(interfaceIndex)?.up ?? false;
    for (const peer of putPeers) this.#put(state, peer, isUp);
  }

  /** What only the kernel changes: handshakes, bytes, a peer that has moved. */
  touchPeer(
    interfaceIndex: number,
    publicKey: string,
    part: Partial<WireguardPeer>,
  ): void {
    const state = this.#state(interfaceIndex);
    state.peers = state.peers.map((peer) =>
      peer.publicKey === publicKey ? { ...peer, ...part } : peer
    );
  }

  [Symbol.dispose](): void {}

  #put(state: State, change: WireguardPeerChange, isUp: boolean): void {
    const { publicKey, presharedKey } = change;
    if (publicKey === state.publicKey) return;
    const before = state.peers.find((peer) => peer.publicKey === publicKey) ?? {
      publicKey,
      presharedKey: undefined,
      endpoint: undefined,
      keepaliveSeconds: 0,
      allowedIps: [],
      allowedIpv6: 0,
      lastHandshakeMs: 0,
      rxBytes: 0,
      txBytes: 0,
    };
    const begins = before.keepaliveSeconds === 0 &&
      (change.keepaliveSeconds ?? 0) > 0;
    if (begins && isUp) this.sent.push(publicKey);
    const peer: WireguardPeer = {
      ...before,
      presharedKey: presharedKey === undefined
        ? before.presharedKey
        : presharedKey.some((byte) => byte !== 0)
        ? presharedKey.slice()
        : undefined,
      endpoint: change.endpoint ?? before.endpoint,
      keepaliveSeconds: change.keepaliveSeconds ?? before.keepaliveSeconds,
      allowedIps: change.allowedIps ?? before.allowedIps,
      allowedIpv6: change.allowedIps === undefined ? before.allowedIpv6 : 0,
    };
    const taken = new Set(change.allowedIps?.map(formatCidr));
    const others = state.peers.map((other) =>
      other.publicKey === publicKey ? peer : {
        ...other,
        allowedIps: other.allowedIps.filter((cidr) =>
          !taken.has(formatCidr(cidr))
        ),
      }
    );
    state.peers = others.includes(peer) ? others : [...others, peer];
  }

  /** A device has its port while it is up. */
  #bind(interfaceIndex: number): void {
    const port = this.#states.get(interfaceIndex)?.listenPort ?? 0;
    const isTaken = this.takenPorts.has(port) ||
      [...this.#states].some(([index, { listenPort }]) =>
        index !== interfaceIndex && listenPort === port &&
        this.#link(index)?.up === true
      );
    if (port !== 0 && isTaken) {
      throw new NetlinkError("bind the port", ERRNO.EADDRINUSE);
    }
  }

  #link(interfaceIndex: number): Link | undefined {
    return this.#rtnetlink.links()
      .find(({ index }) => index === interfaceIndex);
  }

  #state(interfaceIndex: number): State {
    const what = `read the WireGuard interface ${interfaceIndex}`;
    const link = this.#link(interfaceIndex);
    if (link === undefined) throw new NetlinkError(what, ERRNO.ENODEV);
    if (link.kind !== "wireguard") {
      throw new NetlinkError(what, ERRNO.EOPNOTSUPP);
    }
    const state = this.#states.get(interfaceIndex) ??
      { publicKey: undefined, listenPort: 0, peers: [] };
    this.#states.set(interfaceIndex, state);
    return state;
  }
}
