/**
 * TCP request/response of one byte, one request at a time, as netperf's TCP_RR.
 *
 * @module
 */

import type { ShortTurn } from "../turns.ts";
import { Conversation } from "./conversation.ts";
import type { MeasuredLink } from "./link.ts";
import { onCpuAlone, ONE_CPU } from "./placement.ts";

const PROGRAM = "request_response.ts";
const PORT = "5998";

/** One connection. */
export async function openRequestResponse(
  { client, server }: MeasuredLink,
  programs: AsyncDisposableStack,
): Promise<ShortTurn> {
  const start = async (role: "client" | "server", word: string) =>
    programs.use(
      await Conversation.start(
        { client, server }[role].namespace,
        onCpuAlone(ONE_CPU[role]),
        [PROGRAM, word, server.address, PORT],
      ),
    );
  await start("server", "serve");
  const asking = await start("client", "ask");
  return async (milliseconds) => {
    const { p50Us, p99Us, perSecond } = await asking.ask<{
      perSecond: number;
      p50Us: number;
      p99Us: number;
    }>(milliseconds);
    return { rrPerSecond: perSecond, rrP50Us: p50Us, rrP99Us: p99Us };
  };
}
