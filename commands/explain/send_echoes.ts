/**
 * The packets that `loden explain --send` sends.
 *
 * @module
 */

import { lookLater } from "../../agent/explain/look.ts";
import type { Fact } from "../../agent/explain/fact.ts";
import { valueOf } from "../../agent/explain/fact.ts";
import type { Flow } from "../../agent/explain/flow.ts";
import { hostAddress } from "../../agent/explain/host_address.ts";
import type {
  Echoes,
  PeerSight,
  SendSnapshot,
} from "../../agent/explain/snapshot.ts";
import { systemClock } from "../../linux/clock.ts";
import { requestEcho } from "../../linux/echo_request.ts";
import type { Ipv4 } from "../../net/ipv4.ts";

/** As ping's. */
const SMALL_BYTES = 84;

/**
 * Echo requests with DF set, small ones and ones of the packet's size, to the
 * peer's PublicIP and through the overlay to its host.
 */
export async function sendEchoes(
  peer: PeerSight,
  { sizeBytes }: Flow,
  { mostBytes, outerRoute, devices }: SendSnapshot,
): Promise<Echoes> {
  const overlay = hostAddress(peer);
  const route = outerRoute && valueOf(outerRoute);
  const underlayMtu = route?.kind === "found"
    ? valueOf(devices)?.links.find(({ index }) =>
      index === route.answer.interfaceIndex
    )?.mtuBytes
    : undefined;
  const overhead = underlayMtu === undefined || mostBytes === undefined
    ? 0
    : Math.max(0, underlayMtu - mostBytes);
  const large = Math.max(SMALL_BYTES, sizeBytes);
  const [underlay, underlayLarge, small, overlayLarge] = await Promise.all([
    arrives(peer.publicIp, SMALL_BYTES),
    arrives(peer.publicIp, large + overhead),
    arrives(overlay, SMALL_BYTES),
    arrives(overlay, large),
  ]);
  return { underlay, underlayLarge, overlay: small, overlayLarge };
}

function arrives(address: Ipv4, bytes: number): Promise<Fact<boolean>> {
  return lookLater(async () =>
    await requestEcho(systemClock, address, bytes) === "arrived"
  );
}
