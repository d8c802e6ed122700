/**
 * Follows a made-up packet through the real state of this host and, by asking its
 * agent, of the other one.
 *
 * @module
 */

import { contains } from "../../net/cidr.ts";
import type { PacketFate } from "../../host/firewall/trace/parse_trace.ts";
import type { Finding } from "../../net/finding.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import { asyncFactOf, type Fact, seen, unseen, valueOf } from "./fact.ts";
import type { Flow } from "./flow.ts";
import { gatherLocal, gatherReceiving } from "./gather_receiving.ts";
import { gatherSending, withAnswer } from "./gather_sending.ts";
import type { HostFacts } from "./gather_host.ts";
import type { HostReader } from "./host_reader.ts";
import { isOwn, linkOf, peerOf } from "./place.ts";
import { decodeAnswer, encodeQuestion } from "./question.ts";
import type { Echoes, PeerFacts, SendSnapshot } from "./snapshot.ts";
import { judgeLocal, judgeReceiving } from "./stages/receive.ts";
import { judgeSending } from "./stages/send.ts";
import { judgeWay } from "./stages/way.ts";
import type { Side, SidedFinding } from "./verdict.ts";

/** What an explanation needs beside {@linkcode HostReader}. */
export interface ExplainParts {
  readonly reader: HostReader;
  /**
   * Asks the agent of a peer; `undefined` if no answer came in time.
   *
   * @throws {LodenError} if nothing could be asked.
   */
  readonly askPeer: (
    peer: PeerFacts,
    question: Uint8Array,
    signal: AbortSignal,
  ) => Promise<Uint8Array | undefined>;
  /** Absent without `--send`. */
  readonly sender?: PacketSender;
}

/** Sends packets, to see what becomes of them. */
export interface PacketSender {
  /** To a peer. */
  echoes(
    peer: PeerFacts,
    flow: Flow,
    snapshot: SendSnapshot,
  ): Promise<Echoes>;
  /** Through the rules of this host. */
  trace(
    flow: Flow,
    snapshot: SendSnapshot,
    signal: AbortSignal,
  ): Promise<Fact<PacketFate>>;
}

/** All stages that the packet meets, up to the one that drops it. */
export async function explain(
  parts: ExplainParts,
  host: HostFacts,
  flow: Flow,
  signal: AbortSignal,
): Promise<SidedFinding[]> {
  const { reader } = parts;
  const first = await gatherSending(reader, host, flow, signal);
  const findings = judgeSending(first);
  if (isDropped(findings)) return on("this host", findings);
  if (isFromPeer(first)) {
    const receiving = await gatherReceiving(
      reader,
      host,
      flow,
      undefined,
      signal,
    );
    return on("this host", [...findings, ...judgeReceiving(receiving)]);
  }
  const { peer } = first;
  if (first.inspection === undefined || peer === undefined) {
    return on("this host", [...findings, ...await judgeEnd(reader, first)]);
  }
  const [answer, echoes, trace] = await Promise.all([
    peer.isSaved
      ? unseen("no agent of this host can ask it")
      : ask(parts, peer, first, signal),
    parts.sender?.echoes(peer, flow, first),
    parts.sender?.trace(flow, first, signal),
  ]);
  const snapshot = withAnswer(reader, { ...first, answer, echoes, trace });
  const sending = judgeSending(snapshot);
  if (isDropped(sending)) return on("this host", sending);
  const way = judgeWay(snapshot);
  const here = [
    ...on("this host", sending),
    ...way === undefined ? [] : on("way", [{ stage: "way", ...way }]),
  ];
  return way?.outcome === "drop"
    ? here
    : [...here, ...on("other host", valueOf(answer) ?? [])];
}

/** Whether another host sends it to this one. */
function isFromPeer({ devices, flow, overlay, peers }: SendSnapshot): boolean {
  const host = valueOf(devices);
  const subnet = valueOf(overlay)?.subnet;
  return host !== undefined && subnet !== undefined &&
    linkOf(host, flow.source) === undefined && !isOwn(host, flow.source) &&
    peerOf(valueOf(peers) ?? [], flow.source) !== undefined &&
    contains(subnet, flow.destination);
}

/** Between two addresses of this host. */
async function judgeEnd(
  reader: HostReader,
  snapshot: SendSnapshot,
): Promise<Finding[]> {
  return snapshot.way?.kind === "link"
    ? judgeLocal(await gatherLocal(reader, snapshot))
    : [];
}

async function ask(
  { askPeer }: ExplainParts,
  peer: PeerFacts,
  { flow, overlay }: SendSnapshot,
  signal: AbortSignal,
): Promise<Fact<readonly Finding[]>> {
  const question = encodeQuestion({
    flow,
    outerSource: outerSourceOf(valueOf(overlay)?.underlay),
  });
  const content = await asyncFactOf(() => askPeer(peer, question, signal));
  if (!content.seen) return content;
  if (content.value === undefined) return unseen("no answer within 2 s");
  const findings = decodeAnswer(content.value);
  return findings === undefined
    ? unseen("its answer cannot be read: it may have another version")
    : seen(findings);
}

/** Behind a NAT the outer packets arrive from an address that only it knows. */
function outerSourceOf(
  underlay: { readonly address: Ipv4; readonly publicIp: Ipv4 } | undefined,
): Ipv4 | undefined {
  return underlay?.address === underlay?.publicIp
    ? underlay?.address
    : undefined;
}

function on(side: Side, findings: readonly Finding[]): SidedFinding[] {
  return findings.map((finding) => ({ side, ...finding }));
}

function isDropped(findings: readonly Finding[]): boolean {
  return findings.some(({ outcome }) => outcome === "drop");
}
