import { assertEquals } from "@std/assert";
import {
  PeerLedger,
  RUNNING_AGENT_MS,
  type TrustTimes,
} from "../../../../lease/peers/peer_ledger.ts";
import { describeUnconfirmed } from "../../../../lease/peers/unconfirmed_peers.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const A = parseCidr("10.1.2.0/24")!;
const B = parseCidr("10.1.3.0/24")!;
/** A lease of an hour and a grace of ten minutes. */
const LEASE_MS = HOUR + 10 * MINUTE;

function make(times: Partial<TrustTimes> = {}) {
  const clock = new FakeClock();
  const ledger = new PeerLedger(clock, {
    ttlSeconds: 3_600,
    graceSeconds: 600,
    savedSeconds: 86_400,
    knownSeconds: 0,
    ...times,
  });
  return { clock, ledger };
}

Deno.test("a peer is as old as etcd's last word about it: a listing, a change, a watch that holds", async () => {
  const { clock, ledger } = make();
  assertEquals(ledger.ageMs(A), Infinity);
  ledger.list([A, B]);
  await clock.advance(MINUTE);
  assertEquals([ledger.ageMs(A), ledger.ageMs(B)], [MINUTE, MINUTE]);
  ledger.confirm();
  assertEquals(ledger.ageMs(A), 0);
  await clock.advance(MINUTE);
  ledger.list([B]);
  await clock.advance(MINUTE);
  assertEquals([ledger.ageMs(A), ledger.ageMs(B)], [2 * MINUTE, MINUTE]);
  ledger.change([A], [B]);
  await clock.advance(MINUTE);
  ledger.confirm();
  assertEquals([ledger.ageMs(A), ledger.ageMs(B)], [0, MINUTE]);
});

Deno.test("without the agent packets flow for what is left of the lease and the grace", async () => {
  const { clock, ledger } = make();
  ledger.list([A]);
  assertEquals(ledger.remainingMs(A), LEASE_MS);
  await clock.advance(10 * MINUTE);
  assertEquals(ledger.remainingMs(A), LEASE_MS - 10 * MINUTE);
  ledger.confirm();
  assertEquals(ledger.remainingMs(A), LEASE_MS);
});

Deno.test("a running agent keeps its peers ahead of the deadline however long etcd is away", async () => {
  const { clock, ledger } = make();
  ledger.list([A]);
  for (let hours = 0; hours < 1_000; hours++) {
    await clock.advance(HOUR);
    assertEquals(ledger.isTrusted(A), true);
    assertEquals(ledger.remainingMs(A) >= RUNNING_AGENT_MS, true);
  }
  assertEquals(ledger.remainingMs(A), RUNNING_AGENT_MS);
});

Deno.test("a limit ends the trust of a running agent, and the deadlines with it", async () => {
  const { clock, ledger } = make({ knownSeconds: 1_800 });
  ledger.list([A]);
  assertEquals(ledger.remainingMs(A), 30 * MINUTE);
  await clock.advance(29 * MINUTE);
  assertEquals([ledger.isTrusted(A), ledger.remainingMs(A)], [true, MINUTE]);
  await clock.advance(MINUTE);
  assertEquals(ledger.isTrusted(A), false);
  ledger.confirm();
  assertEquals(ledger.isTrusted(A), true);
});

Deno.test("a saved peer keeps its age, also when the clock was set back, and until etcd confirms it", async () => {
  const { clock, ledger } = make();
  ledger.restore(A, clock.now() - 23 * HOUR);
  ledger.restore(B, clock.now() + 5 * HOUR);
  assertEquals([ledger.ageMs(A), ledger.ageMs(B)], [23 * HOUR, 0]);
  assertEquals(ledger.remainingMs(A), RUNNING_AGENT_MS);
  assertEquals(ledger.isTrustedAtStart(A), true);
  await clock.advance(2 * HOUR);
  assertEquals(ledger.isTrustedAtStart(A), false);
  assertEquals(ledger.confirmedAtMs(A), clock.now() - 25 * HOUR);
  ledger.list([A]);
  assertEquals([ledger.ageMs(A), ledger.ageMs(B)], [0, 2 * HOUR]);
});

Deno.test("a suspended machine and a clock set back hide no age", async () => {
  const { clock, ledger } = make();
  ledger.list([A]);
  // In a suspend only the wall clock goes on.
  clock.jumpWallClock(3 * HOUR);
  assertEquals(ledger.ageMs(A), 3 * HOUR);
  clock.jumpWallClock(-6 * HOUR);
  await clock.advance(HOUR);
  assertEquals(ledger.ageMs(A), HOUR);
});

Deno.test("the end of trust is told a day ahead, with its times, and not for a short absence of etcd", async () => {
  const { clock, ledger } = make({
    ttlSeconds: 86_400 * 3,
    savedSeconds: 86_400 * 3,
  });
  ledger.list([A, B]);
  const text = () => describeUnconfirmed(ledger, [A, B], clock);
  await clock.advance(9 * MINUTE);
  assertEquals(text(), undefined);
  await clock.advance(47 * HOUR);
  assertEquals(text(), undefined);
  await clock.advance(HOUR);
  const expected =
    "etcd has not confirmed 2 peers since 2026-01-01T00:00:00Z; " +
    "a start without etcd does not use them after 2026-01-04T00:00:00Z " +
    "(--trust-saved-peers); without the agent, packets to them end soon " +
    "after 2026-01-04T00:10:00Z: bring etcd back (loden doctor)";
  assertEquals(text(), expected);
  await clock.advance(30 * HOUR);
  assertEquals(text(), expected);
  ledger.confirm();
  assertEquals(text(), undefined);
});

Deno.test("the time at which a limit takes effect is told", async () => {
  const { clock, ledger } = make({ knownSeconds: 7_200 });
  ledger.list([A]);
  await clock.advance(10 * MINUTE);
  const text = describeUnconfirmed(ledger, [A], clock)!;
  assertEquals(
    text.split("; ").at(-1),
    "this agent stops using them at 2026-01-01T02:00:00Z " +
      "(--trust-known-peers): bring etcd back (loden doctor)",
  );
});
