/**
 * An event as a line for people.
 *
 * @module
 */

import { bold, dim, red, yellow } from "@std/fmt/colors";
import type {
  EventOf,
  MonitorEvent,
} from "../../agent/monitor/monitor_event.ts";
import type { Terminal } from "../command.ts";
import { withoutControls } from "../terminal/controls.ts";

type Flow = NonNullable<EventOf<"drop">["inner"]>;

const PROTOCOLS: Readonly<Record<number, string>> = {
  1: "ICMP",
  6: "TCP",
  17: "UDP",
};
/** Of a log event: those that stand elsewhere in the line. */
const OWN_FIELDS = ["type", "time", "level", "category", "message"];
const WORD_COLUMNS = 5;

const PAINTS: Readonly<
  Record<MonitorEvent["type"], (text: string) => string>
> = {
  start: dim,
  source: dim,
  drop: red,
  suppressed: red,
  lost: yellow,
  peer: bold,
  warning: yellow,
  log: dim,
};

/** `TIME WORD TEXT`, with a line feed. */
export function renderEvent(
  event: MonitorEvent,
  terminal: Pick<Terminal, "colors"> | undefined,
): string {
  const paint = terminal?.colors ? PAINTS[event.type] : (text: string) => text;
  const [word, text] = describe(event);
  const line = `${withoutControls(event.time)} ` +
    `${paint(word.padEnd(WORD_COLUMNS))} `;
  // Some texts come from etcd.
  return `${line}${withoutControls(text)}\n`;
}

function describe(event: MonitorEvent): [word: string, text: string] {
  switch (event.type) {
    case "start":
      return ["start", `agent ${event.version} of ${event.instance}`];
    case "source":
      return ["from", describeSource(event)];
    case "drop":
      return ["drop", describeDrop(event)];
    case "suppressed":
      return ["drops", `${event.reason}: ${event.count} more packets`];
    case "lost":
      return [
        "lost",
        `${event.count} events that were not read in time are missing here`,
      ];
    case "peer": {
      const stale = event.stale ? ", stale: its key is gone" : "";
      return [
        "peer",
        `${event.change} ${event.subnet} at ${event.publicIp} ` +
        `(${event.backendType}${stale})`,
      ];
    }
    case "warning":
      return ["warn", `${event.change} ${event.code}: ${event.text}`];
    case "log":
      return [event.level, describeLog(event)];
  }
}

function describeSource(
  { backend, dataPath, drops, why }: EventOf<"source">,
): string {
  const name = backend === null
    ? "no backend"
    : `backend ${backend}, data path ${dataPath}`;
  return drops ? `${name}: drops and changes` : `${name}: changes only, ${why}`;
}

/** Why, where, which packet, and which one in it. */
export function describeDrop(
  { device, inner, lengthBytes, outer, reason }: EventOf<"drop">,
): string {
  const flows = [outer, inner].flatMap((flow) => flow ?? []).map(describeFlow);
  const parts = [
    ...flows.length === 0 ? [] : [flows.join(" with ")],
    ...lengthBytes === 0 ? [] : [`${lengthBytes} bytes`],
  ];
  const where = device === null ? "" : ` on ${device}`;
  return `${reason}${where}${parts.length === 0 ? "" : ": "}${
    parts.join(", ")
  }`;
}

function describeFlow(flow: Flow): string {
  const { destination, destinationPort, protocol, source, sourcePort } = flow;
  const end = (address: string, port: number | null) =>
    port === null ? address : `${address}:${port}`;
  const name = protocol === null
    ? ""
    : ` ${PROTOCOLS[protocol] ?? `protocol ${protocol}`}`;
  return `${end(source, sourcePort)} > ${
    end(destination, destinationPort)
  }${name}`;
}

function describeLog(event: EventOf<"log">): string {
  const fields = Object.entries(event)
    .filter(([name]) => !OWN_FIELDS.includes(name))
    .map(([name, value]) =>
      `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`
    );
  return [event.message, ...fields].join(" ");
}
