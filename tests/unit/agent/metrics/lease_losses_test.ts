import { assertEquals } from "@std/assert";
import {
  LeaseLosses,
  LOSS_CAUSES,
} from "../../../../agent/metrics/lease_losses.ts";
import type { LeaseStatus } from "../../../../agent/status/status_snapshot.ts";

function status(state: string, causeCode: string | null = null): LeaseStatus {
  return {
    subnet: "10.1.5.0/24",
    state,
    cause: causeCode,
    causeCode,
    since: "2026-01-01T00:00:00.000Z",
    expires: null,
  };
}

function counts(losses: LeaseLosses): number[] {
  return LOSS_CAUSES.map((cause) => losses.count(cause));
}

Deno.test("each loss of the lease is counted once, by its cause", () => {
  const losses = new LeaseLosses();
  for (
    const each of [
      status("held"),
      status("renewing"),
      status("held"),
      status("renewing", "lease.deleted"),
      status("renewing", "lease.deleted"),
      status("held"),
      status("renewing", "lease.unreadable"),
      status("conflict", "lease.taken"),
      status("conflict", "registry.refused"),
      status("held"),
      status("degraded", "registry.refused"),
      status("expired-but-serving", "registry.refused"),
    ]
  ) losses.follow(each);
  assertEquals(counts(losses), [1, 1, 1, 1]);
});

Deno.test("a renewal on schedule and an absent etcd are no loss", () => {
  const losses = new LeaseLosses();
  for (
    const each of [
      status("acquiring", "registry.refused"),
      status("held"),
      status("renewing"),
      status("degraded", "registry.refused"),
      status("held"),
    ]
  ) losses.follow(each);
  assertEquals(counts(losses), [0, 0, 0, 0]);
});
