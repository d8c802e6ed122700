/**
 * Follows a made-up packet through the real state of this host and, by asking its
 * agent, of the other one.
 *
 * @module
 */

import { contains } from "../../net/cidr.ts";
import type { Finding } from "../../net/finding.ts";
import type { Ipv4 } from "../../net/ipv4.ts";
import { type Fact, seen, unseen, valueOf } from "./fact.ts";
import type { Flow } from "./flow.ts";
import { gatherLocal, gatherReceiving } from "./gather_receiving.ts";
import { gatherSending, withAnswer } from "./gather_sending.ts";
import type { HostSight } from "./host_sight.ts";
import { lookLater } from "./look.ts";
import type { Looks } from "./looks.ts";
import { isOwn, linkOf, peerOf } from "./place.ts";
import { decodeAnswer, encodeQuestion } from "./question.ts";
import type { Echoes, PeerSight, SendSnapshot } from "./snapshot.ts";
import { judgeLocal, judgeReceiving } from "./stages/receive.ts";
import { judgeSending } from "./stages/send.ts";
import { judgeWay } from "./stages/way.ts";
import type { Side, SidedFinding } from "./verdict.ts";

/** What an explanation needs beside {@linkcode Looks}. */
export interface ExplainParts {
  readonly looks: Looks;
  /**
   * Asks the agent of a peer; `undefined` if no answer came in time.
   *
   * @throws {LodenError} if nothing could be asked.
   */
  readonly askPeer: (
    peer: PeerSight,
    question: Uint8Array,
    signal: AbortSignal,
  ) => Promise<Uint8Array | undefined>;
  /** Sends packets to a peer; absent without `--send`. */
  readonly sendEchoes?: (
    peer: PeerSight,
    flow: Flow,
    snapshot: SendSnapshot,
  ) => Promise<Echoes>;
}

/** All stages that the packet meets, up to the one that drops it. */
export async function explain(
  parts: ExplainParts,
  host: HostSight,
  flow: Flow,
  signal: AbortSignal,
): Promise<SidedFinding[]> {
  const { looks } = parts;
  const first = await gatherSending(looks, host, flow, signal);
  const findings = judgeSending(first);
  if (isDropped(findings)) return on("this host", findings);
  if (isFromPeer(first)) {
    const receiving = await gatherReceiving(
      looks,
      host,
      flow,
      undefined,
      signal,
    );
    return on("this host", [...findings, ...judgeReceiving(receiving)]);
  }
  const { peer } = first;
  if (first.inspection === undefined || peer === undefined) {
    return on("this host", [...findings, ...await judgeEnd(looks, first)]);
  }
  const [answer, echoes] = await Promise.all([
    peer.isSaved
      ? unseen("no agent of this host can ask it")
      : ask(parts, peer, first, signal),
    parts.sendEchoes?.(peer, flow, first),
  ]);
  const snapshot = withAnswer(looks, first, answer, echoes);
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
  looks: Looks,
  snapshot: SendSnapshot,
): Promise<Finding[]> {
  return snapshot.way?.kind === "link"
    ? judgeLocal(await gatherLocal(looks, snapshot))
    : [];
}

async function ask(
  { askPeer }: ExplainParts,
  peer: PeerSight,
  { flow, overlay }: SendSnapshot,
  signal: AbortSignal,
): Promise<Fact<readonly Finding[]>> {
  const question = encodeQuestion({
    flow,
    outerSource: outerSourceOf(valueOf(overlay)?.underlay),
  });
  const content = await lookLater(() => askPeer(peer, question, signal));
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
