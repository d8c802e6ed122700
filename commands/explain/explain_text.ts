/**
 * An explanation for people, and as JSON.
 *
 * @module
 */

import { valueOf } from "../../agent/explain/fact.ts";
import { type Flow, FLOW_PROTOCOLS } from "../../agent/explain/flow.ts";
import type { HostFacts } from "../../agent/explain/gather_host.ts";
import { peerOf } from "../../agent/explain/place.ts";
import type {
  Side,
  SidedFinding,
  Verdict,
} from "../../agent/explain/verdict.ts";
import type { Outcome } from "../../net/finding.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import type { Terminal } from "../command.ts";
import { type Line, plain, renderLines } from "../terminal/lines.ts";

/** Everything that is printed. */
export interface Explanation {
  readonly flow: Flow;
  readonly findings: readonly SidedFinding[];
  readonly verdict: Verdict;
  readonly host: HostFacts;
}

const WORDS: Readonly<Record<Outcome, string>> = {
  ok: "OK",
  drop: "DROP",
  unknown: "unknown",
};
const PAINTS: Readonly<Record<Outcome, Line["paint"]>> = {
  ok: undefined,
  drop: "red",
  unknown: "yellow",
};
const WORD_COLUMNS = 9;
const STAGE_COLUMNS = 16;
const INDENT = 2 + WORD_COLUMNS + STAGE_COLUMNS;

/** One stage a line, and the verdict at the end. */
export function renderExplanation(
  explanation: Explanation,
  terminal: Terminal | undefined,
): string {
  const { findings, flow } = explanation;
  const lines: Line[] = [plain(describeFlow(flow))];
  let side: Side | undefined;
  for (const finding of findings) {
    if (finding.side !== side) {
      side = finding.side;
      lines.push({ ...plain(describeSide(side, explanation)), paint: "bold" });
    }
    const { fix, outcome, stage, text } = finding;
    const paint = PAINTS[outcome];
    const head = WORDS[outcome].padEnd(WORD_COLUMNS) +
      stage.padEnd(STAGE_COLUMNS);
    lines.push({
      text: `  ${head}${text}`,
      indent: INDENT,
      ...paint !== undefined && { paint },
    });
    // That of the stage that decides stands at the end.
    if (fix !== undefined && outcome === "ok") {
      lines.push({ text: `${" ".repeat(INDENT)}${fix}`, indent: INDENT });
    }
  }
  return renderLines([...lines, ...verdictLines(explanation)], terminal);
}

function verdictLines(explanation: Explanation): Line[] {
  const { fix, side, stage, text, verdict } = explanation.verdict;
  const where = side === null || stage === null
    ? ""
    : ` ${placeOf(side, stage, explanation)}`;
  const lines: Line[] = [{
    text: `${verdict}${where}: ${text}`,
    indent: 2,
    paint: verdict === "dropped" ? "red" : "bold",
  }];
  if (fix !== null) {
    lines.push(plain(`to do${onHost(explanation)}: ${fix}`));
  }
  return lines;
}

function placeOf(
  side: Side,
  stage: string,
  explanation: Explanation,
): string {
  switch (side) {
    case "this host":
      return `by this host, ${stage}`;
    case "way":
      return "on the way";
    case "other host":
      return `by the other host ${otherHost(explanation) ?? ""}, ${stage}`;
  }
}

function onHost(explanation: Explanation): string {
  const host = otherHost(explanation);
  return explanation.verdict.side === "other host" && host !== undefined
    ? ` on ${host}`
    : "";
}

function describeSide(side: Side, explanation: Explanation): string {
  const host = otherHost(explanation);
  return side === "other host" && host !== undefined ? `${side} ${host}` : side;
}

function otherHost({ flow, host }: Explanation): string | undefined {
  const peer = peerOf(valueOf(host.peers) ?? [], flow.destination);
  return peer && formatIpv4(peer.publicIp);
}

function describeFlow(
  { destination, port, protocol, sizeBytes, source }: Flow,
): string {
  const kind = [
    protocolName(protocol),
    ...port === undefined ? [] : [`port ${port}`],
  ].join(" ");
  return `${formatIpv4(source)} to ${formatIpv4(destination)}, ${kind}, ` +
    `${sizeBytes} bytes`;
}

function protocolName(protocol: number): string {
  return Object.entries(FLOW_PROTOCOLS)
    .find(([, number]) => number === protocol)?.[0] ?? `protocol ${protocol}`;
}

/** Fields are only ever added (`schema`). */
export function toJson(explanation: Explanation): unknown {
  const { findings, flow, verdict } = explanation;
  return {
    schema: 1,
    source: formatIpv4(flow.source),
    destination: formatIpv4(flow.destination),
    protocol: protocolName(flow.protocol),
    port: flow.port ?? null,
    sizeBytes: flow.sizeBytes,
    otherHost: otherHost(explanation) ?? null,
    findings: findings.map(({ fix, outcome, side, stage, text }) => ({
      ...{ side, stage, outcome, text },
      fix: fix ?? null,
    })),
    ...verdict,
  };
}
