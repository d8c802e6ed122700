/**
 * Does to a WireGuard device what an administrator does with `wg`, and prints it.
 *
 * `wireguard.ts DEVICE show|clear|add`: `clear` removes all peers, `add` gives a
 * peer of no host all addresses. No key is printed but public ones.
 */

import { KernelRtnetlink } from "../../../linux/netlink/kernel_rtnetlink.ts";
import { KernelWireguard } from "../../../linux/netlink/kernel_wireguard.ts";
import { parseCidr } from "../../../net/cidr.ts";

const [name, verb] = Deno.args;
using rtnetlink = new KernelRtnetlink();
using wireguard = new KernelWireguard();
const { index } = rtnetlink.links().find((link) => link.name === name)!;
const { listenPort, peers, publicKey } = wireguard.device(index);
switch (verb) {
  case "clear":
    wireguard.change(index, {
      removePeers: peers.map(({ publicKey }) => publicKey),
    });
    break;
  case "add":
    wireguard.change(index, {
      putPeers: [{
        publicKey: new Uint8Array(32).fill(1).toBase64(),
        allowedIps: [
          parseCidr("10.1.0.0/16")!,
          ...peers.flatMap(({ allowedIps }) => allowedIps),
        ],
      }],
    });
    break;
}
console.log(JSON.stringify({
  publicKey,
  listenPort,
  peers: peers.map(({ presharedKey: _, ...peer }) => peer),
}));
