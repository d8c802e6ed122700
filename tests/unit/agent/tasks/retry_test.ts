import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  retryUntilDone,
  waitingMayCure,
} from "../../../../agent/tasks/retry.ts";
import { LodenError } from "../../../../errors.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeRandom } from "../../../fakes/fake_random.ts";

class FinalError extends LodenError {
  readonly retryable = false;
}

Deno.test("pauses double up to the longest one, each spread over its upper half", async () => {
  const clock = new FakeClock();
  const at: number[] = [];
  const ending = new AbortController();
  const running = retryUntilDone(
    () => {
      at.push(clock.monotonic());
      throw new LodenError("x", "no");
    },
    { clock, random: new FakeRandom() },
    { signal: ending.signal, firstMs: 100, maxMs: 400, onFailure: () => {} },
  );
  running.catch(() => {});
  await clock.advance(2_000);
  ending.abort(new Error("enough"));
  await assertRejects(() => running, Error, "enough");
  const pauses = at.slice(1).map((time, index) => time - at[index]!);
  for (const [index, expected] of [100, 200, 400, 400].entries()) {
    assert(
      pauses[index]! >= expected / 2 && pauses[index]! <= expected,
    );
  }
  assertEquals(clock.sleepers, 0);
});

Deno.test("an error that waiting cannot cure is thrown at once and not reported", async () => {
  const told: unknown[] = [];
  await assertRejects(
    () =>
      retryUntilDone(
        () => {
          throw new FinalError("x", "never");
        },
        { clock: new FakeClock(), random: new FakeRandom() },
        {
          signal: new AbortController().signal,
          onFailure: (error) => told.push(error),
        },
      ),
    FinalError,
  );
  assertEquals(told, []);
});

Deno.test("defects of the program are not waited for; faults of the world are", () => {
  assertEquals(
    waitingMayCure(new TypeError("undefined is not a function")),
    false,
  );
  assertEquals(waitingMayCure(new RangeError("offset")), false);
  assertEquals(waitingMayCure("text"), false);
  assertEquals(waitingMayCure(new FinalError("x", "never")), false);
  assertEquals(waitingMayCure(new LodenError("x", "later")), true);
  assertEquals(waitingMayCure(new Deno.errors.ConnectionRefused("x")), true);
});
