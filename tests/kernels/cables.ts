/**
 * Cables between the Ethernet cards of two virtual machines.
 *
 * @module
 */

import { NetNamespace } from "../rig/namespace.ts";
import { uniqueRigName } from "../rig/names.ts";
import { type CardKind, type CardName, CARDS } from "./cards.ts";
import type { Card } from "./virtual_machine.ts";

/** A card in it can be unplugged; QEMU puts others onto the board. */
const SLOT = ["-device", "pcie-root-port,id=plug,chassis=1"];

/** A card with QEMU's arguments for its cable. */
type MakeCard = (end: CableEnd, cable: readonly string[]) => Card;

/** The two ends of a cable. */
export type CableEnd = 1 | 2;

/** Disposed after the machines. */
export interface Cable extends AsyncDisposable {
  card(end: CableEnd): Card;
}

/**
 * A cable for two such cards.
 *
 * @param path For a socket; no file may be there.
 */
export async function makeCable(
  name: CardName,
  path: string,
  signal: AbortSignal,
): Promise<Cable> {
  const { cable, model, queues, trials }: CardKind = CARDS[name];
  const isPluggable = trials.includes("replug");
  const card = (end: CableEnd, cable: readonly string[]) => ({
    arguments: [...cable, ...isPluggable ? SLOT : []],
    device: `${model},netdev=net0,mac=02:00:00:00:00:0${end}` +
      (isPluggable ? ",id=card,bus=plug" : ""),
    commandPrefix: [],
  });
  return cable === "socket"
    ? socketCable(path, card)
    : await tapCable(queues, card, signal);
}

/** No offload of the host passes a socket: packets cross one by one. */
function socketCable(
  path: string,
  card: MakeCard,
): Cable {
  return {
    card: (end) =>
      card(end, [
        "-netdev",
        `stream,id=net0,addr.type=unix,addr.path=${path},` +
        // The machines boot together, in either order.
        (end === 1 ? "server=on" : "server=off,reconnect-ms=200"),
      ]),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/**
 * Two taps on a bridge, in a network namespace: what a hypervisor does. The taps
 * pass super-packets, and distribute packets over the card's queues by a hash of
 * their headers.
 */
async function tapCable(
  queues: number,
  card: MakeCard,
  signal: AbortSignal,
): Promise<Cable> {
  const namespace = await NetNamespace.create(uniqueRigName(), signal);
  const remove = () => namespace.destroy();
  const kind = queues > 1 ? "multi_queue vnet_hdr" : "vnet_hdr";
  try {
    // Nothing but the machines' packets.
    await namespace.sysctl({ "net/ipv6/conf/all/disable_ipv6": "1" }, signal);
    await namespace.ip([
      "link add cable type bridge",
      "link set cable up",
      ...[1, 2].flatMap((end) => [
        `tuntap add dev tap${end} mode tap ${kind}`,
        `link set tap${end} master cable up`,
      ]),
    ], signal);
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    card: (end) => ({
      ...card(end, [
        "-netdev",
        `tap,id=net0,ifname=tap${end},script=no,downscript=no,queues=${queues}`,
      ]),
      commandPrefix: namespace.commandPrefix,
    }),
    [Symbol.asyncDispose]: remove,
  };
}
