import { assertEquals } from "@std/assert";
import { IcmpResponder } from "../../../../../backend/udp/tun/icmp_responder.ts";
import * as layout from "../../../../../backend/udp/tun/layout.ts";
import { ERRNO } from "../../../../../linux/errno.ts";
import { FakeClock } from "../../../../fakes/fake_clock.ts";
import { address, KernelWorld } from "../../../../support/kernel_world.ts";
import { somePayload, udpPacket } from "../../../../support/packet_builder.ts";
import { MemoryIcmp } from "../../../../support/path_world.ts";

function makeWorld() {
  const world = new KernelWorld();
  const port = new MemoryIcmp();
  const clock = new FakeClock();
  const responder = new IcmpResponder({
    memory: world.memory,
    port,
    clock,
    addCount: world.kernel.addCount,
  });
  const place = (destination = "10.1.2.7", payloadBytes = 20) => {
    const packet = udpPacket({
      source: address("10.1.1.5"),
      destination: address(destination),
      sourcePort: 1,
      destinationPort: 2,
      payload: somePayload(payloadBytes),
    });
    world.memory.bytes.set(packet, layout.TX_BUFFER);
    return packet;
  };
  return { world, port, clock, responder, place };
}

Deno.test("each error is sent to the packet's sender, with the packet in it", () => {
  const { world, port, responder, place } = makeWorld();
  const packet = place();
  responder.netUnreachable(layout.TX_BUFFER, packet.length);
  responder.timeExceeded(layout.TX_BUFFER, packet.length);
  responder.fragmentationNeeded(layout.TX_BUFFER, packet.length, 1_400);
  assertEquals(
    port.sent.map(({ destination, message }) => [
      destination,
      message.slice(0, 2).toHex(),
      message.slice(8).toHex(),
    ]),
    ["0300", "0b00", "0304"].map((type) => [
      address("10.1.1.5"),
      type,
      packet.toHex(),
    ]),
  );
  assertEquals(world.counters(), { "icmp.sent": 3 });
});

Deno.test("of a large packet only the beginning is sent back", () => {
  const { port, responder, place } = makeWorld();
  const packet = place("10.1.2.7", 3_000);
  responder.netUnreachable(layout.TX_BUFFER, packet.length);
  assertEquals(port.sent[0]!.message.length, 576 - 20);
});

Deno.test("a packet that must not be answered is not answered and uses no rate limit", () => {
  const { world, port, responder, place } = makeWorld();
  const packet = place("224.0.0.251");
  for (let i = 0; i < 200; i++) {
    responder.netUnreachable(layout.TX_BUFFER, packet.length);
  }
  place();
  responder.netUnreachable(layout.TX_BUFFER, packet.length);
  assertEquals(port.sent.length, 1);
  assertEquals(world.counters(), { "icmp.sent": 1 });
});

Deno.test("fifty answers at once, then a thousand a second; the others are counted", async () => {
  const { world, port, clock, responder, place } = makeWorld();
  const packet = place();
  const answer = (times: number) => {
    for (let i = 0; i < times; i++) {
      responder.netUnreachable(layout.TX_BUFFER, packet.length);
    }
    return port.sent.length;
  };
  assertEquals(answer(60), 50);
  await clock.advance(10);
  assertEquals(answer(60), 60);
  // What is saved up while nothing happens has an end.
  await clock.advance(60_000);
  assertEquals(answer(60), 110);
  assertEquals(world.counters(), {
    "icmp.sent": 110,
    "icmp.rateLimited": 70,
  });
});

Deno.test("a message that cannot be sent is counted", () => {
  const { world, port, responder, place } = makeWorld();
  port.refusal = ERRNO.ENETUNREACH;
  responder.netUnreachable(layout.TX_BUFFER, place().length);
  assertEquals(world.counters(), { "icmp.failed": 1 });
});
