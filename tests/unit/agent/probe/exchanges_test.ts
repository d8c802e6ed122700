import { assertEquals } from "@std/assert";
import { Exchanges } from "../../../../agent/probe/exchanges.ts";
import { systemRandom } from "../../../../linux/random.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";

const ASKED = parseIpv4("10.1.6.0")!;
const OTHER = parseIpv4("10.1.7.0")!;
const content = Uint8Array.of(7);

function begin() {
  const clock = new FakeClock();
  const exchanges = new Exchanges(clock, systemRandom);
  const heard: [number, Uint8Array][] = [];
  const nonce = exchanges.open({
    address: ASKED,
    way: "udp",
    kind: "answer",
    onResponse: (rttMs, content) => heard.push([rttMs, content]),
  });
  const response = {
    address: ASKED,
    way: "udp",
    kind: "answer",
    nonce,
    content,
  } as const;
  return { clock, exchanges, heard, nonce, response };
}

Deno.test("a response is believed once, with the time that it took by the monotonic clock", async () => {
  const { clock, exchanges, heard, response } = begin();
  await clock.advance(30);
  clock.jumpWallClock(-3_600_000);
  assertEquals(exchanges.accept(response), true);
  assertEquals(exchanges.accept(response), false);
  assertEquals(heard, [[30, content]]);
  assertEquals(exchanges.size, 0);
});

Deno.test("a response of another host, kind or way, with another nonce, or too late is not believed", () => {
  const { exchanges, heard, nonce, response } = begin();
  const otherNonce = nonce.slice();
  otherNonce[7]! ^= 1;
  for (
    const other of [
      { address: OTHER },
      { kind: "echo" },
      { way: "icmp" },
      { nonce: otherNonce },
    ] as const
  ) assertEquals(exchanges.accept({ ...response, ...other }), false);
  exchanges.close(nonce);
  assertEquals(exchanges.accept(response), false);
  assertEquals(heard, []);
});
