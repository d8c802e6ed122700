/**
 * The published JSON Schema of `loden status --json`. The tests hold it against the
 * type of the status and against what a running agent says.
 *
 * @module
 */

import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const time = v.pipe(
  v.string(),
  v.isoTimestamp(),
  v.description("RFC 3339, UTC"),
);
const text = v.string();
const maybeText = v.nullable(text);

function described<Schema extends v.GenericSchema>(
  schema: Schema,
  description: string,
) {
  return v.pipe(schema, v.description(description));
}

const peerProbe = v.looseObject({
  state: v.picklist(["unknown", "reachable", "unreachable"]),
  since: described(time, "since when it is in that state"),
  way: described(
    v.nullable(v.picklist(["udp", "icmp"])),
    "how it answers; null before the first answer",
  ),
  rttMs: described(v.nullable(v.number()), "round trip, smoothed"),
  lossRatio: described(
    v.nullable(v.number()),
    "the share of the last 32 turns without an answer, 0 to 1",
  ),
  mtuBytes: described(
    v.nullable(count),
    "the largest packet that passed unfragmented",
  ),
  lastAnswer: v.nullable(time),
});

const peer = v.looseObject({
  subnet: text,
  publicIp: described(text, "the underlay address of the host"),
  backendType: text,
  dataPath: described(maybeText, "from its lease; null for flannel"),
  stale: described(v.boolean(), "its key is gone"),
  confirmed: described(
    v.nullable(time),
    "when etcd last confirmed it; null if unknown",
  ),
  since: described(
    v.nullable(time),
    "since when this agent has served the subnet at this address",
  ),
  probe: described(
    v.nullable(peerProbe),
    "what probes have found (docs/probes.md); null without them",
  ),
});

const probes = v.looseObject({
  port: count,
  address: described(maybeText, "where they are answered; null: nowhere"),
  failure: described(
    maybeText,
    "why they are not answered although the network runs",
  ),
  reachable: count,
  unreachable: count,
  unknown: count,
  counters: described(v.record(text, count), "since the start of the agent"),
});

const warning = v.looseObject({
  code: described(text, "docs/cli.md lists them"),
  severity: v.picklist(["error", "warning"]),
  text: described(text, "what is wrong and what to do"),
  impairs: text,
  since: time,
  dependsOn: described(
    v.array(text),
    "the raised warnings of which this one is a consequence",
  ),
  visible: described(
    v.boolean(),
    "whether it has lasted long enough to be shown to people",
  ),
});

const statusSchema = v.looseObject({
  schema: v.literal(1),
  time: described(time, "the agent's clock at this moment"),
  version: text,
  pid: count,
  instance: text,
  etcdPrefix: text,
  etcdEndpoints: v.array(text),
  phase: v.picklist([
    "starting",
    "reading-config",
    "finding-underlay",
    "acquiring-lease",
    "starting-data-path",
    "setting-firewall",
    "writing-files",
    "running",
    "stopping",
    "stopped",
  ]),
  phaseSince: time,
  ready: described(v.boolean(), "whether the agent has sent READY"),
  fromSavedState: v.boolean(),
  waitingFor: maybeText,
  network: maybeText,
  subnet: maybeText,
  underlay: v.nullable(v.looseObject({
    interface: text,
    address: text,
    publicIp: text,
    mtuBytes: count,
  })),
  overlay: v.nullable(v.looseObject({
    device: maybeText,
    mtuBytes: count,
  })),
  lease: v.nullable(v.looseObject({
    subnet: maybeText,
    state: text,
    cause: maybeText,
    causeCode: maybeText,
    since: time,
    expires: described(v.nullable(time), "null for a reservation"),
  })),
  backend: v.nullable(v.looseObject({
    type: text,
    dataPath: text,
    reason: text,
    device: v.optional(text),
    peers: count,
    outlivesAgent: v.optional(v.boolean()),
    details: v.optional(v.record(text, text)),
    counters: v.record(text, v.number()),
  })),
  backendRestarts: count,
  peers: v.array(peer),
  probes: described(v.nullable(probes), "null with --probe-port=0"),
  firewall: maybeText,
  docker: v.nullable(v.looseObject({
    version: maybeText,
    bridge: maybeText,
    firewall: maybeText,
  })),
  files: v.array(v.looseObject({ path: text, written: v.boolean() })),
  web: described(
    maybeText,
    "the URL of the page on this host; null if no port is set for it",
  ),
  warnings: v.array(warning),
});

/** The schema as JSON text. Its objects are loose: later versions add fields. */
export function renderStatusSchema(): string {
  const schema = {
    ...toJsonSchema(statusSchema, { target: "draft-2020-12" }),
    title: "Output of loden status --json",
    description: "While schema is 1, fields are only added. docs/cli.md says " +
      "what they mean.",
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}
