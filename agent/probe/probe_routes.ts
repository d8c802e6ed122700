/**
 * Probes on request, on the status socket (docs/probes.md). Parameters are headers:
 *
 * - `GET /probe`, with `peer` (a subnet) and `bytes` (of the packet);
 * - `GET /ask`, with `peer` and `question` (base64url), for `loden explain`.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { formatCidr, parseCidr } from "../../net/cidr.ts";
import { MOST_CONTENT_BYTES } from "../../net/probe_message.ts";
import type { PlainAnswer, PlainRequest } from "../status/http_message.ts";
import type { Routes } from "../status/routes.ts";
import { SMALL_BYTES } from "./peer_probe.ts";
import type { ProbeService } from "./probe_service.ts";

/** The largest packet of IPv4. */
const MOST_BYTES = 65_535;

/** What `/ask` answers; `null`: the peer's agent did not, within two seconds. */
export interface AskReply {
  /** Base64url. */
  readonly answer: string | null;
  readonly rttMs: number | null;
}

/**
 * The routes; `service` is asked for each time, because the agent may not have
 * come so far, and probes may be off.
 */
export function probeRoutes(service: () => ProbeService | undefined): Routes {
  const at = (
    handle: (
      service: ProbeService,
      peer: string,
      headers: PlainRequest["headers"],
    ) => Promise<PlainAnswer>,
  ) =>
  async ({ headers }: PlainRequest): Promise<PlainAnswer> => {
    const probes = service();
    if (probes === undefined) return refusal(503, "probes are off");
    if (probes.address === undefined) {
      const { failure } = probes;
      return refusal(503, failure?.message ?? "the network does not run yet");
    }
    const subnet = parseCidr(headers.get("peer") ?? "");
    const peer = subnet && formatCidr(subnet);
    if (peer === undefined || probes.peers.get(peer) === undefined) {
      return refusal(404, "no peer has that subnet");
    }
    return await handle(probes, peer, headers);
  };
  return new Map([
    ["/probe", at(probeNow)],
    ["/ask", at(ask)],
  ]);
}

async function probeNow(
  service: ProbeService,
  peer: string,
  headers: PlainRequest["headers"],
): Promise<PlainAnswer> {
  const bytes = Number(headers.get("bytes") ?? SMALL_BYTES);
  if (!Number.isInteger(bytes) || bytes < SMALL_BYTES || bytes > MOST_BYTES) {
    return refusal(
      400,
      `bytes must be ${SMALL_BYTES} to ${MOST_BYTES}`,
    );
  }
  const found = await service.probeNow(peer, bytes, NEVER);
  return found === undefined
    ? refusal(503, "the network has stopped")
    : json(found);
}

async function ask(
  service: ProbeService,
  peer: string,
  headers: PlainRequest["headers"],
): Promise<PlainAnswer> {
  const question = Buffer.from(headers.get("question") ?? "", "base64url");
  if (question.length > MOST_CONTENT_BYTES) {
    return refusal(
      400,
      `the question must have at most ${MOST_CONTENT_BYTES} bytes`,
    );
  }
  const found = await service.ask(peer, new Uint8Array(question), NEVER);
  return json(
    {
      answer: found === undefined
        ? null
        : Buffer.from(found.content).toString("base64url"),
      rttMs: found?.rttMs ?? null,
    } satisfies AskReply,
  );
}

/** Both end within two seconds on their own. */
const NEVER = new AbortController().signal;

function json(value: unknown): PlainAnswer {
  return {
    status: 200,
    body: JSON.stringify(value),
    contentType: "application/json",
  };
}

function refusal(status: number, body: string): PlainAnswer {
  return { status, body: `${body}\n` };
}
