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
 * @param signal ends the stream.
 * @param limit ends the wait for the beginning alone.
 * @throws {AgentNotRunningError} if nothing listens on the socket.
 * @throws {AgentAccessError} if this user may not open it.
 * @throws {TooManyListenersError} if there are too many.
 * @throws {AgentAnswerError} if the agent is of a version without events.
 */
export async function listenToAgent(
  socketPath: string,
  signal: AbortSignal,
  limit: AbortSignal,
): Promise<EventLines> {
  signal.throwIfAborted();
  using owned = new DisposableStack();
  const client = owned.use(Deno.createHttpClient({
    proxy: { transport: "unix", path: socketPath },
  }));
  const leaving = new AbortController();
  let reader: ReadableStreamDefaultReader<string> | undefined = undefined;
  const leave = () => {
    leaving.abort();
    // Deno 2.7 forgets the signal of a fetch when it collects garbage. If it has
    // ended the stream, this fails.
    reader?.cancel().catch(() => {});
  };
  signal.addEventListener("abort", leave, { once: true });
  owned.defer(() => signal.removeEventListener("abort", leave));
  limit.addEventListener("abort", leave, { once: true });
  let response: Response;
  try {
    // An address, because a name would be resolved: see `status_client.ts`.
    response = await fetch("http://127.0.0.1/monitor", {
      client,
      signal: leaving.signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    throw connectionError(socketPath, error);
  } finally {
    limit.removeEventListener("abort", leave);
  }
  if (response.status === 503) throw new TooManyListenersError(socketPath);
  if (!response.ok || response.body === null) {
    throw new AgentAnswerError(socketPath, await response.text());
  }
  reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const kept = owned.move();
  return {
    lines: linesOf(reader),
    [Symbol.asyncDispose]: () => {
      leave();
      kept[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}

async function* linesOf(
  reader: ReadableStreamDefaultReader<string>,
): AsyncGenerator<string> {
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop()!;
      yield* lines;
    }
  } catch {
    // The agent was killed, or the listener has left: a connection that breaks
    // is the end, as one that is closed.
  }
}
