/**
 * Has the running agent ask the agent of a peer (docs/probes.md).
 *
 * @module
 */

import * as v from "valibot";
import { LodenError } from "../../errors.ts";
import { type Cidr, formatCidr } from "../../net/cidr.ts";
import { AgentAnswerError } from "../errors.ts";
import { fetchPath } from "../status/status_client.ts";

/** The agent cannot ask: probes are off, or the network does not run. */
export class CannotAskError extends LodenError {
  constructor(reason: string) {
    super("explain.ask", `Cannot ask the other agent: ${reason}`);
  }
}

const replySchema = v.object({ answer: v.nullable(v.string()) });

/**
 * The answer; `undefined` if none came within the two seconds that the agent
 * waits.
 *
 * @throws {CannotAskError} if the agent does not ask.
 * @throws {AgentNotRunningError | AgentAccessError | AgentAnswerError}
 */
export async function askPeer(
  socketPath: string,
  subnet: Cidr,
  question: Uint8Array,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const { isOk, text } = await fetchPath(socketPath, "/ask", signal, {
    peer: formatCidr(subnet),
    question: question.toBase64({ alphabet: "base64url" }),
  });
  if (!isOk) throw new CannotAskError(text.trim());
  return readReply(socketPath, text);
}

function readReply(
  socketPath: string,
  text: string,
): Uint8Array | undefined {
  try {
    const { answer } = v.parse(replySchema, JSON.parse(text));
    return answer === null
      ? undefined
      : Uint8Array.fromBase64(answer, { alphabet: "base64url" });
  } catch (error) {
    if (error instanceof SyntaxError || v.isValiError(error)) {
      throw new AgentAnswerError(socketPath, text);
    }
    throw error;
  }
}
