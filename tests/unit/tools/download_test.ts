import { assertEquals, assertRejects } from "@std/assert";
import { CommandError } from "../../../tools/command.ts";
import { download } from "../../../tools/download.ts";

const PAUSES_MS = [1, 1];

/** A program that appends a line to `log` and fails while it has fewer than `n`. */
function failsUntil(n: number, log: string): string[] {
  const script = 'echo >>"$1"; echo "no $1" >&2; [ $(wc -l <"$1") -ge "$2" ]';
  return ["sh", "-c", script, "sh", log, `${n}`];
}

Deno.test("a download that fails twice is tried a third time", async () => {
  const log = await Deno.makeTempFile();
  await download(failsUntil(3, log), {}, PAUSES_MS);
  assertEquals(await Deno.readTextFile(log), "\n\n\n");
  await Deno.remove(log);
});

Deno.test("a download that fails three times is an error with the program's words", async () => {
  const log = await Deno.makeTempFile();
  await assertRejects(
    () => download(failsUntil(4, log), {}, PAUSES_MS),
    CommandError,
    `current value is 1: no ${log}`,
  );
  assertEquals(await Deno.readTextFile(log), "\n\n\n");
  await Deno.remove(log);
});

Deno.test("an abort ends the pause before the next attempt", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  setTimeout(() => controller.abort(reason), 50);
  const error = await assertRejects(() =>
    download(["false"], { signal: controller.signal }, [60_000])
  );
  assertEquals(error, reason);
});
