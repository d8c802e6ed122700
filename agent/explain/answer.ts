/**
 * What this host's agent answers to another one that asks about a packet.
 *
 * @module
 */

import { contains } from "../../net/cidr.ts";
import type { Peer } from "../../net/peer.ts";
import { valueOf } from "./fact.ts";
import { gatherReceiving } from "./gather_receiving.ts";
import { gatherHost } from "./gather_host.ts";
import type { HostReader } from "./host_reader.ts";
import { decodeQuestion, encodeAnswer } from "./question.ts";
import { judgeReceiving } from "./stages/receive.ts";

export { hostReader } from "./kernel_host_reader.ts";

/** A tool that hangs must not keep the agent busy; the asker waits two seconds. */
const LIMIT_MS = 1_500;

/**
 * Answers only about packets from the asker's subnet to this host's: no more is
 * said than the asker could find out by sending them.
 *
 * @returns `undefined`: no answer.
 */
export async function answerQuestion(
  reader: HostReader,
  content: Uint8Array,
  asker: Pick<Peer, "subnet">,
  spaceBytes: number,
): Promise<Uint8Array | undefined> {
  const question = decodeQuestion(content);
  if (question === undefined) return undefined;
  const { flow, outerSource } = question;
  if (!contains(asker.subnet, flow.source)) return undefined;
  const host = await gatherHost(reader);
  const subnet = valueOf(host.overlay)?.subnet;
  if (subnet === undefined || !contains(subnet, flow.destination)) {
    return undefined;
  }
  const snapshot = await gatherReceiving(
    reader,
    host,
    flow,
    outerSource,
    AbortSignal.timeout(LIMIT_MS),
  );
  return encodeAnswer(judgeReceiving(snapshot), spaceBytes);
}
