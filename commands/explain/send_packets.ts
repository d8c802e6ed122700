/**
 * The packets that `loden explain --send` sends.
 *
 * @module
 */

import type { PacketSender } from "../../agent/explain/explain.ts";
import {
  asyncFactOf,
  type Fact,
  unseen,
  valueOf,
} from "../../agent/explain/fact.ts";
import { type Flow, FLOW_PROTOCOLS } from "../../agent/explain/flow.ts";
import { hostAddress } from "../../agent/explain/host_address.ts";
import { linkOfRoute } from "../../agent/explain/place.ts";
import type { SendSnapshot } from "../../agent/explain/snapshot.ts";
import type { PacketFate } from "../../host/firewall/trace/parse_trace.ts";
import { tracePacket } from "../../host/firewall/trace/trace_packet.ts";
import { systemClock } from "../../linux/clock.ts";
import { requestEcho } from "../../linux/echo_request.ts";
import { inNetworkNamespace } from "../../linux/network_namespace.ts";
import { systemRandom } from "../../linux/random.ts";
import { sendPacket } from "../../linux/raw_packet.ts";
import { buildFirstPacket } from "../../net/first_packet.ts";
import type { Ipv4 } from "../../net/ipv4.ts";

/** As ping's. */
const SMALL_BYTES = 84;
/** Dynamic ports (RFC 6335), most of which no program has. */
const FIRST_PORT = 49_152;
const PORTS = 16_384;
const WORD = 65_536;

/** Sends real packets. */
export const packetSender: PacketSender = {
  async echoes(peer, { sizeBytes }, { mostBytes, outerRoute, devices }) {
    const overlay = hostAddress(peer);
    const underlayMtu = linkOfRoute(
      valueOf(devices) ?? { links: [] },
      outerRoute && valueOf(outerRoute),
    )?.mtuBytes;
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
  },
  trace,
};

function arrives(address: Ipv4, bytes: number): Promise<Fact<boolean>> {
  return asyncFactOf(async () =>
    await requestEcho(systemClock, address, bytes) === "arrived"
  );
}

/**
 * The packet of the flow, from its sender's own network namespace, through the rules
 * of this host. Its TTL ends on the other host: only that host itself receives it, if
 * it is the destination.
 */
function trace(
  { destination, port, protocol, sizeBytes, source }: Flow,
  { container }: SendSnapshot,
  signal: AbortSignal,
): Promise<Fact<PacketFate>> {
  const { icmp, tcp, udp } = FLOW_PROTOCOLS;
  const isKnown = protocol === icmp || protocol === tcp || protocol === udp;
  if (!isKnown || (protocol !== icmp && port === undefined)) {
    return Promise.resolve(unseen("a packet needs a --port"));
  }
  const pid = container && valueOf(container)?.container?.pid;
  if (container !== undefined && pid === undefined) {
    return Promise.resolve(unseen("no process here has the sender's address"));
  }
  const id = 1 + systemRandom.below(WORD - 1);
  const ttl = pid === undefined ? 1 : 2;
  const packet = buildFirstPacket({
    source,
    destination,
    protocol,
    ports: [FIRST_PORT + systemRandom.below(PORTS), port ?? 1],
    ttl,
    id,
    sizeBytes,
  });
  const send = () => sendPacket(packet, destination);
  return asyncFactOf(() =>
    tracePacket(
      systemClock,
      { source, destination, id, ttl },
      pid === undefined
        ? send
        : () => inNetworkNamespace(`/proc/${pid}/ns/net`, send),
      signal,
    )
  );
}
