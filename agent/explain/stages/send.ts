/**
 * The sending side, stage by stage, in the order in which a packet meets them.
 *
 * @module
 */

import type { Finding, Judgement } from "../../../net/finding.ts";
import { NO_DEVICES } from "../../instance/own_devices.ts";
import { valueOf } from "../fact.ts";
import { isOwn, linkOf } from "../place.ts";
import type { SendSnapshot } from "../snapshot.ts";
import { judgeOuterFilter } from "./outer_firewall.ts";
import { judgeBridge } from "./send_bridge.ts";
import { judgeContainer } from "./send_container.ts";
import { judgeDevice } from "./send_device.ts";
import { judgeFilter } from "./send_firewall.ts";
import { judgeNeighbour, judgeOuterRoute, judgeSize } from "./send_outer.ts";
import { judgePeer } from "./send_peer.ts";
import { judgeRoute } from "./send_route.ts";
import { judgeSource } from "./send_source.ts";
import { judgeForwarding } from "./shared.ts";
import {
  backendFindings,
  findings,
  type Stages,
  untilDropped,
} from "./stage.ts";

/** The names are an interface: docs/explain.md. */
const BEFORE_BACKEND: Stages<SendSnapshot> = {
  "source": judgeSource,
  "container": judgeContainer,
  "bridge": judgeBridge,
  "forwarding": judgeArrival,
  "route": judgeRoute,
  "firewall": judgeFilter,
  "overlay device": judgeDevice,
  "peer": judgePeer,
};
const BEHIND_BACKEND: Stages<SendSnapshot> = {
  "underlay route": judgeOuterRoute,
  "outer firewall": judgeOuterFilter,
  "neighbour": judgeNeighbour,
  "underlay MTU": judgeSize,
};

/** What the packet meets, up to the stage that drops it. */
export function judgeSending(snapshot: SendSnapshot): Finding[] {
  const host = valueOf(snapshot.devices);
  const isHere = host !== undefined &&
    (snapshot.container !== undefined || isOwn(host, snapshot.flow.source));
  // Of a packet that another host sends, this one knows nothing.
  if (!isHere) return [{ stage: "source", ...judgeSource(snapshot) }];
  return untilDropped([
    ...findings(BEFORE_BACKEND, snapshot),
    ...backendFindings(snapshot.inspection),
    ...findings(BEHIND_BACKEND, snapshot),
  ]);
}

function judgeArrival(
  { container, devices, flow, isBridged, settings }: SendSnapshot,
): Judgement | undefined {
  const link = container === undefined || isBridged
    ? undefined
    : linkOf(valueOf(devices) ?? NO_DEVICES, flow.source);
  return link && judgeForwarding(settings, link.name);
}
