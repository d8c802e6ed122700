/**
 * `loden status --web`.
 *
 * @module
 */

import type { StatusSnapshot } from "../../agent/status/status_snapshot.ts";
import { LodenError } from "../../errors.ts";

/** There is no page to look at. */
export class NoPageError extends LodenError {
  constructor(why: string, hint?: string) {
    super(
      "status.no-page",
      `Cannot say where the page is: ${why}`,
      hint === undefined ? {} : { hint },
    );
  }
}

/** While one of these is raised, the agent does not listen. */
const NOT_SERVED: readonly string[] = [
  "health.not-served",
  "metrics.not-served",
];

/**
 * The address of the page.
 *
 * @throws {NoPageError} if there is none.
 */
export function pageAddress(
  { warnings, web }: Pick<StatusSnapshot, "warnings" | "web">,
): string {
  // An agent of an earlier version says nothing.
  if (web === null || web === undefined) {
    throw new NoPageError(
      "the agent must have a port for it: none is set",
      "start the agent with --healthz-port=PORT or --metrics-port=PORT",
    );
  }
  const warning = warnings.find(({ code }) => NOT_SERVED.includes(code));
  if (warning !== undefined) throw new NoPageError(warning.text);
  return web;
}
