/**
 * The events of `loden monitor`: docs/monitor.md. Each is one JSON object in a
 * line. Fields are only ever added.
 *
 * @module
 */

import * as v from "valibot";
import type { LogRecord } from "@logtape/logtape";
import { formatCidr } from "../../net/cidr.ts";
import type { DroppedPacket, PacketFlow } from "../../net/dropped_packet.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import type { Peer } from "../../net/peer.ts";
import { jsonIn } from "../../net/schemas.ts";
import { jsonFormatter } from "../logging/log_line.ts";
import type { Warning } from "../status/health.ts";
import { formatTime } from "../status/status_snapshot.ts";

const flowSchema = v.object({
  source: v.string(),
  destination: v.string(),
  protocol: v.nullable(v.number()),
  sourcePort: v.nullable(v.number()),
  destinationPort: v.nullable(v.number()),
});

const EVENTS = {
  /** The first one. */
  start: v.object({
    type: v.literal("start"),
    time: v.string(),
    schema: v.literal(1),
    version: v.string(),
    instance: v.string(),
    /** Whether drops have their first bytes: for root only. */
    bytes: v.boolean(),
  }),
  /** What is listened to; again whenever that changes. */
  source: v.object({
    type: v.literal("source"),
    time: v.string(),
    backend: v.nullable(v.string()),
    dataPath: v.nullable(v.string()),
    drops: v.boolean(),
    /** Why drops are not shown. */
    why: v.nullable(v.string()),
    reasons: v.array(v.string()),
    /** The header with which the bytes of drops begin. */
    link: v.nullable(v.picklist(["ethernet", "ip"])),
  }),
  /** One packet. */
  drop: v.object({
    type: v.literal("drop"),
    time: v.string(),
    reason: v.string(),
    device: v.nullable(v.string()),
    lengthBytes: v.number(),
    outer: v.nullable(flowSchema),
    inner: v.nullable(flowSchema),
    link: v.picklist(["ethernet", "ip"]),
    bytes: v.optional(v.string()),
  }),
  /** Drops that were counted and are not shown one by one. */
  suppressed: v.object({
    type: v.literal("suppressed"),
    time: v.string(),
    reason: v.string(),
    count: v.number(),
  }),
  /** Events that this listener did not read in time. */
  lost: v.object({
    type: v.literal("lost"),
    time: v.string(),
    count: v.number(),
  }),
  /** Another host. */
  peer: v.object({
    type: v.literal("peer"),
    time: v.string(),
    change: v.picklist(["added", "changed", "removed"]),
    subnet: v.string(),
    publicIp: v.string(),
    backendType: v.string(),
    stale: v.boolean(),
  }),
  /** Raised, or cleared. */
  warning: v.object({
    type: v.literal("warning"),
    time: v.string(),
    change: v.picklist(["raised", "changed", "cleared"]),
    code: v.string(),
    severity: v.string(),
    text: v.string(),
  }),
  /** A line of the agent's log, with its fields. */
  log: v.looseObject({
    type: v.literal("log"),
    time: v.string(),
    level: v.string(),
    message: v.string(),
  }),
} as const;

const eventSchema = v.variant("type", [
  EVENTS.start,
  EVENTS.source,
  EVENTS.drop,
  EVENTS.suppressed,
  EVENTS.lost,
  EVENTS.peer,
  EVENTS.warning,
  EVENTS.log,
]);

/** One of them. */
export type MonitorEvent = v.InferOutput<typeof eventSchema>;

/** The event of a type. */
export type EventOf<Type extends MonitorEvent["type"]> = Extract<
  MonitorEvent,
  { readonly type: Type }
>;

/** The event in a line; `undefined` if it is none that this version knows. */
export function parseMonitorEvent(line: string): MonitorEvent | undefined {
  const value = jsonIn(line);
  return v.is(eventSchema, value) ? value : undefined;
}

/** The event of a packet, with its first bytes. */
export function dropEvent(packet: DroppedPacket): EventOf<"drop"> {
  const { bytes, device, inner, lengthBytes, link, outer, reason } = packet;
  return {
    type: "drop",
    time: formatTime(packet.timeMs),
    reason,
    device: device ?? null,
    lengthBytes,
    outer: outer === undefined ? null : describeFlow(outer),
    inner: inner === undefined ? null : describeFlow(inner),
    link,
    bytes: bytes.toHex(),
  };
}

function describeFlow(
  { destination, destinationPort, protocol, source, sourcePort }: PacketFlow,
): v.InferOutput<typeof flowSchema> {
  return {
    source: formatIpv4(source),
    destination: formatIpv4(destination),
    protocol: protocol ?? null,
    sourcePort: sourcePort ?? null,
    destinationPort: destinationPort ?? null,
  };
}

/** The event of another host. */
export function peerEvent(
  change: EventOf<"peer">["change"],
  { backendType, publicIp, stale, subnet }: Peer,
  nowMs: number,
): EventOf<"peer"> {
  return {
    type: "peer",
    time: formatTime(nowMs),
    change,
    subnet: formatCidr(subnet),
    publicIp: formatIpv4(publicIp),
    backendType,
    stale,
  };
}

/** The event of a warning. */
export function warningEvent(
  change: EventOf<"warning">["change"],
  { code, severity, text }: Pick<Warning, "code" | "severity" | "text">,
  nowMs: number,
): EventOf<"warning"> {
  return {
    type: "warning",
    time: formatTime(nowMs),
    change,
    code,
    severity,
    text,
  };
}

const formatRecord = jsonFormatter({ stacks: false });

/** The line of a log event, with the fields that `--log-format=json` gives it. */
export function logLine(record: LogRecord): string {
  return `{"type":"log",${formatRecord(record).slice(1)}`;
}
