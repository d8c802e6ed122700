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
import { keepAnswer } from "../status/kept_answer.ts";
import type { PlainAnswer } from "../status/http_message.ts";
import type { Handler } from "../status/request_server.ts";
import type { AgentState } from "../status/state.ts";
import type { StatusSnapshot } from "../status/status_snapshot.ts";

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

/** Answers `/status` with a copy, see {@linkcode keepAnswer}. */
export function dataHandler(
  state: Pick<AgentState, "snapshot">,
  clock: Pick<Clock, "monotonic">,
  countersOf?: typeof deviceCounters,
): Handler {
  return keepAnswer(clock, () =>
    Promise.resolve({
      status: 200,
      body: new TextEncoder().encode(
        JSON.stringify(pageData(state.snapshot(), countersOf)),
      ),
      contentType: "application/json",
    }));
}

function pageData(
  status: StatusSnapshot,
  countersOf: typeof deviceCounters | undefined,
): PageData {
  return { ...status, counters: trafficCounters(status.backend, countersOf) };
}
