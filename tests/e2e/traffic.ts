/**
 * What crosses the overlay in a test, and the proof that all of it arrived.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { ping } from "../../bench/measure/ping.ts";
import type { Container } from "../rig/container.ts";
import type { NetNamespace } from "../rig/namespace.ts";
import type { Rig } from "../rig/rig.ts";
import { eventually, serve } from "./overlay.ts";
import { program } from "./programs/path.ts";

const TCP_PORT = "7000";
const UDP_PORT = "7001";
const BURST_PORT = "7002";

/** A few pings, close together. */
export const QUICK = {
  count: 20,
  intervalSeconds: 0.02,
  deadlineSeconds: 5,
} as const;

/** Two ends of a transfer. */
export interface Ends {
  readonly rig: Rig;
  readonly from: Container;
  readonly to: Container;
}

/** {@linkcode QUICK} pings are all answered. */
export async function assertPings(
  from: NetNamespace,
  address: string,
  args: readonly string[] = [],
): Promise<void> {
  const { received, sent } = await ping(from, address, { ...QUICK, args });
  assertEquals(received, sent);
}

/** Waits until a ping is answered: after something that may cost packets. */
export async function untilAnswered(
  from: NetNamespace,
  address: string,
  timeoutMs = 15_000,
): Promise<void> {
  await eventually(
    `an answer of ${address}`,
    async () =>
      (await from.attempt(["ping", "-n", "-c1", "-W1", address])).stdout,
    (said) => said.includes(" 1 received"),
    timeoutMs,
  );
}

/** Random bytes by TCP arrive as they were sent. */
export async function assertTcp(
  { rig, from, to }: Ends,
  megabytes: number,
): Promise<void> {
  await using server = await serve(
    rig,
    to.namespace,
    program("tcp_digest.ts", TCP_PORT),
  );
  const sent = await from.namespace.run(
    program("tcp_send.ts", to.address, TCP_PORT, String(megabytes)),
  );
  await server.untilLogged(new RegExp(`^${sent.trim()}$`, "m"), 10_000);
}

/** Datagrams of these payloads, in bytes, come back from an echo unchanged. */
export async function assertUdpEcho(
  { rig, from, to }: Ends,
  sizes: readonly number[],
): Promise<void> {
  await using _server = await serve(
    rig,
    to.namespace,
    program("udp_echo.ts", UDP_PORT),
  );
  const answer = await from.namespace.run(
    program("udp_ask.ts", to.address, UDP_PORT, ...sizes.map(String)),
  );
  assertEquals(JSON.parse(answer), {
    asked: sizes.length,
    same: sizes.length,
    late: [],
    changed: [],
  });
}

/**
 * Super-packets (`UDP_SEGMENT`, as QUIC sends) and single datagrams of one flow
 * arrive: each whole, none lost, none before or after its place.
 */
export async function assertUdpBursts(
  { rig, from, to }: Ends,
  rounds: number,
): Promise<void> {
  await using _receiver = await serve(
    rig,
    to.namespace,
    program("udp_bursts_receive.ts", from.address, BURST_PORT),
  );
  const said = await from.namespace.run([
    // What a program sends before and after it moves to another processor may
    // change places on any path: each processor has a queue of its own.
    ...["taskset", "--cpu-list", "0"],
    ...program("udp_bursts.ts", to.address, BURST_PORT, String(rounds)),
  ]);
  const { sent, ...arrived } = JSON.parse(said);
  assertEquals(arrived, { received: sent, damaged: 0, outOfPlace: 0 });
}
