/**
 * The sending side, stage by stage, in the order in which a packet meets them.
 *
 * @module
 */

import type { Finding, Judgement } from "../../../net/finding.ts";
import type { SendSnapshot } from "../snapshot.ts";
import { judgeBridge } from "./send_bridge.ts";
import { judgeContainer } from "./send_container.ts";
import { judgeDevice } from "./send_device.ts";
import { judgeFilter } from "./send_firewall.ts";
import {
  judgeNeighbour,
  judgeOuterFilter,
  judgeOuterRoute,
  judgeSize,
} from "./send_outer.ts";
import { judgePeer } from "./send_peer.ts";
import { judgeRoute } from "./send_route.ts";
import { judgeSource } from "./send_source.ts";
import { judgeForwarding } from "./shared.ts";
import { isOwn, linkOf } from "../place.ts";
import { valueOf } from "../fact.ts";

/** `undefined`: the packet does not meet this stage. */
type Stage = (snapshot: SendSnapshot) => Judgement | undefined;

/** The names are an interface: docs/explain.md. */
const BEFORE_BACKEND: Readonly<Record<string, Stage>> = {
  "source": judgeSource,
  "container": judgeContainer,
  "bridge": judgeBridge,
  "forwarding": judgeArrival,
  "route": judgeRoute,
  "firewall": judgeFilter,
  "overlay device": judgeDevice,
  "peer": judgePeer,
};
const BEHIND_BACKEND: Readonly<Record<string, Stage>> = {
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
    ...backendFindings(snapshot),
    ...findings(BEHIND_BACKEND, snapshot),
  ]);
}

/** A packet that is dropped meets nothing more. */
export function untilDropped(findings: readonly Finding[]): Finding[] {
  const end = findings.findIndex(({ outcome }) => outcome === "drop");
  return end < 0 ? [...findings] : findings.slice(0, end + 1);
}

function findings(
  stages: Readonly<Record<string, Stage>>,
  snapshot: SendSnapshot,
): Finding[] {
  return Object.entries(stages).flatMap(([stage, judge]) => {
    const judgement = judge(snapshot);
    return judgement === undefined ? [] : [{ stage, ...judgement }];
  });
}

function backendFindings({ inspection }: SendSnapshot): readonly Finding[] {
  if (inspection === undefined) return [];
  return inspection.seen ? inspection.value.findings : [{
    stage: "peer entry",
    outcome: "unknown",
    text: `what the backend has set up cannot be seen: ${inspection.why}`,
  }];
}

function judgeArrival(
  { container, devices, flow, isBridged, settings }: SendSnapshot,
): Judgement | undefined {
  const link = container === undefined || isBridged
    ? undefined
    : linkOf(valueOf(devices) ?? { addresses: [], links: [] }, flow.source);
  return link && judgeForwarding(settings, link.name);
}
