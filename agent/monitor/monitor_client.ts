/**
 * Listens to the events of a running agent.
 *
 * @module
 */

import { AgentAnswerError, TooManyListenersError } from "../errors.ts";
import { connectionError } from "../status/status_client.ts";

/** The lines that the agent sends. */
export interface EventLines extends AsyncDisposable {
  /** Ends with the agent. */
  readonly lines: AsyncIterable<string>;
}

/**
 * Resolves once the agent has begun to answer.
 *
 * @throws {AgentNotRunningError} if nothing listens on the socket.
 * @throws {AgentAccessError} if this user may not open it.
 * @throws {TooManyListenersError} if there are too many.
 * @throws {AgentAnswerError} if the agent is of a version without events.
 */
export async function listenToAgent(
  socketPath: string,
  signal: AbortSignal,
): Promise<EventLines> {
  using owned = new DisposableStack();
  const client = owned.use(Deno.createHttpClient({
    proxy: { transport: "unix", path: socketPath },
  }));
  const leaving = new AbortController();
  let response: Response;
  try {
    // An address, because a name would be resolved: see `status_client.ts`.
    response = await fetch("http://127.0.0.1/monitor", {
      client,
      signal: AbortSignal.any([signal, leaving.signal]),
    });
  } catch (error) {
    signal.throwIfAborted();
    throw connectionError(socketPath, error);
  }
  if (response.status === 503) throw new TooManyListenersError(socketPath);
  if (!response.ok || response.body === null) {
    throw new AgentAnswerError(socketPath, await response.text());
  }
  const kept = owned.move();
  return {
    lines: linesOf(response.body),
    [Symbol.asyncDispose]: () => {
      leaving.abort();
      kept[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}

async function* linesOf(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string> {
  let rest = "";
  try {
    for await (const text of body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      yield* lines;
    }
  } catch {
    // The agent was killed, or the listener has left: a connection that breaks
    // is the end, as one that is closed.
  }
}
