/**
 * What a browser asks for: the page, and again and again the state that it shows.
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";
import {
  type deviceCounters,
  trafficCounters,
} from "../metrics/device_counters.ts";
import type { Handler, PlainAnswer } from "../status/request_server.ts";
import type { AgentState, StatusSnapshot } from "../status/state.ts";

/** However many pages are open, the state is read once in this time. */
const COPY_MS = 1_000;

/** The state as the page shows it. */
export interface PageData extends StatusSnapshot {
  /** Of the backend; for one that counts nothing, those of its device. */
  readonly counters: Readonly<Record<string, number>>;
}

/** Answers `/`. The document is put together when it is first asked for. */
export function documentHandler(): Handler {
  let answer: Promise<PlainAnswer> | undefined;
  return () => answer ??= makeAnswer();
}

async function makeAnswer(): Promise<PlainAnswer> {
  const { composePage } = await import("./page.ts");
  const { html, policy } = await composePage();
  return {
    status: 200,
    body: new TextEncoder().encode(html),
    contentType: "text/html; charset=utf-8",
    headers: { "content-security-policy": policy },
  };
}

/** Answers `/status` with a copy that is at most one second old. */
export function dataHandler(
  state: Pick<AgentState, "snapshot">,
  clock: Pick<Clock, "monotonic">,
  countersOf?: typeof deviceCounters,
): Handler {
  let copy:
    | { readonly madeAtMs: number; readonly body: Uint8Array }
    | undefined;
  return () => {
    const nowMs = clock.monotonic();
    if (copy === undefined || nowMs - copy.madeAtMs >= COPY_MS) {
      const data = pageData(state.snapshot(), countersOf);
      const body = new TextEncoder().encode(JSON.stringify(data));
      copy = { madeAtMs: nowMs, body };
    }
    return { status: 200, body: copy.body, contentType: "application/json" };
  };
}

function pageData(
  status: StatusSnapshot,
  countersOf: typeof deviceCounters | undefined,
): PageData {
  return { ...status, counters: trafficCounters(status.backend, countersOf) };
}
