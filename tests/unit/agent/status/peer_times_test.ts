import { assertEquals } from "@std/assert";
import { PeerTimes } from "../../../../agent/status/peer_times.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import type { Peer } from "../../../../net/peer.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";

function peer(publicIp: string, stale = false): Peer {
  return {
    subnet: parseCidr("10.1.6.0/24")!,
    publicIp: parseIpv4(publicIp)!,
    backendType: "udp",
    stale,
  };
}

Deno.test("a peer's time begins when it is added or moves, and not when only its lease changes", async () => {
  const clock = new FakeClock(1_000);
  const times = new PeerTimes(clock);
  const none = { added: [], changed: [], removed: [] };
  const here = peer("192.0.2.12");
  assertEquals(times.sinceMs(here), undefined);
  times.apply({ ...none, added: [here] });
  await clock.advance(1_000);
  times.apply({ ...none, changed: [peer("192.0.2.12", true)] });
  times.apply({ ...none, added: [here] });
  assertEquals(times.sinceMs(here), 1_000);
  times.apply({ ...none, changed: [peer("192.0.2.13")] });
  assertEquals(times.sinceMs(here), 2_000);
  times.apply({ ...none, removed: [peer("192.0.2.13")] });
  assertEquals(times.sinceMs(here), undefined);
});
