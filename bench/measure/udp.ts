/**
 * Small UDP packets: how many a second arrive at a socket.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import { type MeasuredLink, startServer } from "./link.ts";
import { onCpu, type ProgramCpus } from "./placement.ts";

const PORT = 5999;
/** The receiver counts this much after its first packet, and a little waits. */
const END_TIMEOUT_MS = 5_000;

/** What was sent and what arrived. */
export interface UdpResult {
  readonly packetsPerSecond: number;
  /** Arrived in the window, of those that were sent meanwhile; 0 to 1. */
  readonly delivered: number;
}

/** How to send. */
export interface UdpOptions {
  readonly seconds: number;
  /** One buffer that the kernel cuts (`UDP_SEGMENT`), instead of 64 messages. */
  readonly segmented?: boolean;
  readonly cpus?: ProgramCpus;
}

/** One sender, 64 bytes of payload, 64 packets with a system call. */
export async function measureUdp(
  link: MeasuredLink,
  { cpus, seconds, segmented = false }: UdpOptions,
  signal: AbortSignal,
): Promise<UdpResult> {
  const receiver = await startServer(
    link,
    [
      ...onCpu(cpus?.server),
      ...program("udp_receive.ts", link.server.address, String(seconds)),
    ],
    /^listening$/m,
    signal,
  );
  try {
    const { sent } = JSON.parse(
      await link.client.namespace.run(
        [
          ...onCpu(cpus?.client),
          ...program(
            "udp_send.ts",
            link.server.address,
            String(seconds),
            segmented ? "segmented" : "messages",
          ),
        ],
        { signal },
      ),
    ) as { sent: number };
    await receiver.ended(END_TIMEOUT_MS, signal);
    const lastLine = receiver.log().trimEnd().split("\n").at(-1)!;
    const { received } = JSON.parse(lastLine) as { received: number };
    return {
      packetsPerSecond: received / seconds,
      delivered: sent === 0 ? 0 : received / sent,
    };
  } finally {
    await receiver.stop();
  }
}

function program(
  name: string,
  address: string,
  ...words: readonly string[]
): string[] {
  return [
    Deno.execPath(),
    "run",
    "-A",
    fromFileUrl(new URL(`../programs/${name}`, import.meta.url)),
    address,
    String(PORT),
    ...words,
  ];
}
