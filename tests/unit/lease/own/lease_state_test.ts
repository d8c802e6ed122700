import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import {
  initialLeaseState,
  isNews,
  type LeasePhase,
  type LeaseState,
  type LeaseTransition,
  nextLeaseState,
} from "../../../../lease/own/lease_state.ts";

const refused = { code: "registry.refused", message: "nothing listens" };
const dns = { code: "registry.dns", message: "no such name" };
const deleted = { code: "lease.deleted", message: "the key is gone" };
const taken = { code: "lease.taken", message: "somebody has it" };

const H = {
  acquired: { type: "acquired" },
  begun: { type: "renewal-begun" },
  confirmed: { type: "confirmed" },
  failed: { type: "failed", cause: refused },
  otherwise: { type: "failed", cause: dns },
  ttl: { type: "ttl-passed" },
  lost: { type: "lost", cause: deleted },
  taken: { type: "taken", cause: taken },
} satisfies Record<string, LeaseTransition>;

/** What happens, then the phase and the cause that it leads to. */
const STORIES: [(keyof typeof H)[], LeasePhase, string | undefined][] = [
  [[], "acquiring", undefined],
  [["failed"], "acquiring", "registry.refused"],
  [["failed", "otherwise"], "acquiring", "registry.dns"],
  [["failed", "acquired"], "held", undefined],
  [["acquired", "begun"], "renewing", undefined],
  [["acquired", "begun", "confirmed"], "held", undefined],
  [["acquired", "begun", "failed"], "degraded", "registry.refused"],
  [["acquired", "failed", "begun"], "degraded", "registry.refused"],
  [["acquired", "failed", "confirmed"], "held", undefined],
  [["acquired", "failed", "ttl"], "expired-but-serving", "registry.refused"],
  [
    ["acquired", "failed", "ttl", "lost"],
    "expired-but-serving",
    "registry.refused",
  ],
  [["acquired", "failed", "ttl", "lost", "confirmed"], "held", undefined],
  [["acquired", "lost"], "renewing", "lease.deleted"],
  [["acquired", "lost", "failed"], "degraded", "registry.refused"],
  [["acquired", "taken"], "conflict", "lease.taken"],
  [["acquired", "failed", "ttl", "taken"], "conflict", "lease.taken"],
  [["acquired", "taken", "failed"], "conflict", "registry.refused"],
  [["acquired", "taken", "failed", "taken"], "conflict", "registry.refused"],
  [["acquired", "taken", "failed", "acquired"], "held", undefined],
  [["acquired", "taken", "ttl"], "conflict", "lease.taken"],
  [["acquired", "taken", "lost"], "conflict", "lease.taken"],
  [["acquired", "taken", "acquired"], "held", undefined],
  [["taken", "lost", "confirmed", "ttl"], "acquiring", undefined],
];

for (const [happenings, phase, cause] of STORIES) {
  Deno.test(`${happenings.join(", ") || "nothing"} leads to ${phase}`, () => {
    const state = happenings.reduce<LeaseState>(
      (state, name) => nextLeaseState(state, H[name], 5),
      initialLeaseState(1),
    );
    assertEquals(state.phase, phase);
    if (happenings[0] !== "taken") assertEquals(state.cause?.code, cause);
  });
}

Deno.test("a phase keeps its beginning while its cause changes", () => {
  const held = nextLeaseState(initialLeaseState(1), H.acquired, 2);
  const degraded = nextLeaseState(held, H.failed, 3);
  const otherwise = nextLeaseState(degraded, H.otherwise, 4);
  assertEquals(otherwise, { phase: "degraded", sinceMs: 3, cause: dns });
});

Deno.test("who has the subnet stays readable while the search for another one fails", () => {
  const state = [H.acquired, H.taken, H.failed, H.otherwise].reduce<LeaseState>(
    (state, happening) => nextLeaseState(state, happening, 1),
    initialLeaseState(0),
  );
  assertEquals(
    state.cause?.message,
    "somebody has it; no other subnet yet: no such name",
  );
  const other = { code: "lease.taken", message: "somebody else has it" };
  assertEquals(
    nextLeaseState(state, { type: "taken", cause: other }, 2).cause,
    other,
  );
});

const happening = fc.constantFrom(...Object.values(H));

Deno.test("once there is a lease no happening leads back to acquiring, and a lease that is held has no cause", () => {
  fc.assert(fc.property(fc.array(happening), (happenings) => {
    let state = nextLeaseState(initialLeaseState(0), H.acquired, 0);
    for (const [time, next] of happenings.entries()) {
      state = nextLeaseState(state, next, time);
      assert(state.phase !== "acquiring");
      if (state.phase === "held") assertEquals(state.cause, undefined);
    }
  }));
});

Deno.test("the same trouble again is no change", () => {
  fc.assert(fc.property(fc.array(happening), happening, (before, next) => {
    const state = before.reduce<LeaseState>(
      (state, happening) => nextLeaseState(state, happening, 1),
      initialLeaseState(0),
    );
    const once = nextLeaseState(state, next, 2);
    assertStrictEquals(nextLeaseState(once, next, 3), once);
  }));
});

Deno.test("the same cause in other words is shown, and no news", () => {
  const held = nextLeaseState(initialLeaseState(1), H.acquired, 2);
  const before = nextLeaseState(held, H.failed, 3);
  const cause = { ...before.cause!, message: "in other words" };
  const after = nextLeaseState(before, { type: "failed", cause }, 4);
  assertEquals(after, { phase: "degraded", sinceMs: 3, cause });
  assert(!isNews(before, after));
  assert(isNews(held, before));
  assert(isNews(before, nextLeaseState(before, H.otherwise, 4)));
});

Deno.test("confirmation cures everything but the lack of a lease", () => {
  fc.assert(fc.property(fc.array(happening), (happenings) => {
    const state = happenings.reduce<LeaseState>(
      (state, happening) => nextLeaseState(state, happening, 1),
      nextLeaseState(initialLeaseState(0), H.acquired, 0),
    );
    const cured = nextLeaseState(state, H.confirmed, 2);
    assertEquals(cured.phase, "held");
    assertEquals(cured.cause, undefined);
  }));
});
