/**
 * The keys and peers of WireGuard devices. The devices themselves are links
 * (`rtnetlink.ts`).
 *
 * @module
 */

import type { Cidr } from "../../net/cidr.ts";
import type { Ipv4 } from "../../net/ipv4.ts";

/** Where the outer packets to a peer go. */
export interface WireguardEndpoint {
  readonly address: Ipv4;
  readonly port: number;
}

/** A peer as it should be; only a peer that is new must have all of it. */
export interface WireguardPeerChange {
  /** Base64, as `wg show` prints it: what identifies a peer. */
  readonly publicKey: string;
  /** Zeros remove it. */
  readonly presharedKey?: Uint8Array;
  readonly endpoint?: WireguardEndpoint;
  /** 0: none. */
  readonly keepaliveSeconds?: number;
  /** In place of those that it has; each is taken from the peer that has it. */
  readonly allowedIps?: readonly Cidr[];
}

/** A peer as it is. */
export interface WireguardPeer {
  readonly publicKey: string;
  readonly presharedKey: Uint8Array | undefined;
  /** From where it was heard last, or as set; undefined also for an IPv6 one. */
  readonly endpoint: WireguardEndpoint | undefined;
  readonly keepaliveSeconds: number;
  readonly allowedIps: readonly Cidr[];
  /** Number of allowed IPv6 networks. */
  readonly allowedIpv6: number;
  /** Milliseconds since 1970; 0: never. */
  readonly lastHandshakeMs: number;
  readonly rxBytes: number;
  readonly txBytes: number;
}

/** A device as it is, without its private key. */
export interface WireguardDevice {
  /** Base64; undefined for a device without a private key. */
  readonly publicKey: string | undefined;
  /** UDP port; 0 before the device is up for the first time. */
  readonly listenPort: number;
  readonly peers: readonly WireguardPeer[];
}

/** Changes to a device; what is not named stays. */
export interface WireguardChange {
  readonly privateKey?: Uint8Array;
  readonly listenPort?: number;
  /** Public keys; before the others are put. */
  readonly removePeers?: readonly string[];
  readonly putPeers?: readonly WireguardPeerChange[];
}

/**
 * Both methods throw {@linkcode NetlinkError}: `ENODEV` for a device that is not
 * there, `EOPNOTSUPP` for one of another kind, `ENOENT` where the kernel has no
 * WireGuard.
 */
export interface Wireguard extends Disposable {
  device(interfaceIndex: number): WireguardDevice;
  /**
   * Thousands of peers take few system calls. A peer that has the device's own
   * public key is ignored, as is the removal of one that is not there.
   */
  change(interfaceIndex: number, change: WireguardChange): void;
}
