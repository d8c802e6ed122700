/**
 * The trace of a packet, by the kernel's own.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { tracePacket } from "../../host/firewall/trace/trace_packet.ts";
import { systemClock } from "../../linux/clock.ts";
import { sendPacket } from "../../linux/raw_packet.ts";
import { buildFirstPacket } from "../../net/first_packet.ts";
import { parseIpv4 } from "../../net/ipv4.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";

const PACKET = {
  source: parseIpv4("127.0.0.1")!,
  destination: parseIpv4("127.0.0.9")!,
  id: 4_711,
};
const { signal } = new AbortController();

testInNamespace("the trace of a packet", import.meta.url, () => {
  const nft = (line: string) => runSync("nft", [line]);
  const packet = buildFirstPacket({
    ...PACKET,
    protocol: 17,
    ports: [50_000, 53],
    ttl: 1,
    sizeBytes: 84,
  });
  const send = () => sendPacket(packet, PACKET.destination);
  const trace = () => tracePacket(systemClock, PACKET, send, signal);
  const tables = () =>
    new TextDecoder().decode(
      new Deno.Command("nft", { args: ["list", "tables"] }).outputSync().stdout,
    );

  Deno.test("a packet leaves, and nothing of the trace stays", async () => {
    assertEquals(await trace(), { kind: "left" });
    assertEquals(tables(), "");
  });

  Deno.test("the rule that drops it is named", async () => {
    nft("add table ip mine");
    nft("add chain ip mine out { type filter hook output priority 0; }");
    nft("add rule ip mine out udp dport 54 drop");
    assertEquals(await trace(), { kind: "left" });
    nft("add rule ip mine out udp dport 53 drop");
    assertEquals(await trace(), {
      kind: "dropped",
      by: { table: "nft ip mine", chain: "out", rule: "udp dport 53 drop" },
    });
    assertEquals(tables(), "table ip mine\n");
    nft("delete table ip mine");
  });

  Deno.test("a packet that is not sent is lost", async () => {
    assertEquals(
      await tracePacket(systemClock, PACKET, () => {}, signal),
      { kind: "lost", chains: [] },
    );
  });

  Deno.test("an end before the time leaves nothing", async () => {
    const ending = new AbortController();
    const over = new DOMException("over", "AbortError");
    await assertRejects(
      () =>
        tracePacket(
          systemClock,
          PACKET,
          () => ending.abort(over),
          ending.signal,
        ),
      DOMException,
      "over",
    );
    assertEquals(tables(), "");
  });
});
