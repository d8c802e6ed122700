import { assertEquals } from "@std/assert";

const MODULE = new URL("../../../tools/interrupt.ts", import.meta.url).href;

/** Runs a program that waits for its clean-up; each signal has a time in ms. */
async function interrupted(
  signals: readonly (readonly [Deno.Signal, number])[],
  cleanUpMs: number,
): Promise<{ code: number; output: string }> {
  const script = `
    import { onInterrupt } from ${JSON.stringify(MODULE)};
    using interrupt = onInterrupt(() => console.log("last resort"));
    console.log("up");
    await new Promise((resolve) => {
      const timer = setInterval(() => {}, 1000);
      interrupt.signal.addEventListener("abort", () => {
        clearInterval(timer);
        resolve();
      });
    });
    console.log("cleaning up");
    await new Promise((resolve) => setTimeout(resolve, ${cleanUpMs}));
    console.log("clean");
    Deno.exit(interrupt.signal.reason.exitCode);
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", script],
    stdout: "piped",
  }).spawn();
  let output = "";
  for await (
    const text of child.stdout.pipeThrough(new TextDecoderStream())
  ) {
    output += text;
    if (output !== "up\n") continue;
    for (const [signal, afterMs] of signals) {
      setTimeout(() => child.kill(signal), afterMs);
    }
  }
  return { code: (await child.status).code, output };
}

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test(`one ${signal} lets the program clean up, and the exit code tells of it`, async () => {
    const result = await interrupted([[signal, 0]], 50);
    assertEquals(result.output, "up\ncleaning up\nclean\n");
    assertEquals(result.code, code);
  });
}

Deno.test("the same key press that comes twice is one", async () => {
  const result = await interrupted([["SIGINT", 0], ["SIGINT", 10]], 100);
  assertEquals(result.output, "up\ncleaning up\nclean\n");
  assertEquals(result.code, 130);
});

Deno.test("a second signal ends the clean-up by the last resort, at once", async () => {
  const result = await interrupted([["SIGINT", 0], ["SIGINT", 400]], 60_000);
  assertEquals(result.output, "up\ncleaning up\nlast resort\n");
  assertEquals(result.code, 130);
});
