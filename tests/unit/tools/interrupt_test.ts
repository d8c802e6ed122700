import { assertEquals } from "@std/assert";

const MODULE = new URL("../../../tools/interrupt.ts", import.meta.url).href;

/** A signal, the output that it follows, and by how many milliseconds. */
type Sent = readonly [Deno.Signal, after: "up\n" | "cleaning up\n", ms: number];

/** Runs a program that waits for its clean-up. */
async function interrupted(
  signals: readonly Sent[],
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
    for (const [signal, after, ms] of signals) {
      if (output.endsWith(`\n${after}`) || output === after) {
        setTimeout(() => child.kill(signal), ms);
      }
    }
  }
  return { code: (await child.status).code, output };
}

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test(`one ${signal} lets the program clean up, and the exit code tells of it`, async () => {
    const result = await interrupted([[signal, "up\n", 0]], 50);
    assertEquals(result.output, "up\ncleaning up\nclean\n");
    assertEquals(result.code, code);
  });
}

Deno.test("the same key press that comes twice is one", async () => {
  const result = await interrupted([
    ["SIGINT", "up\n", 0],
    ["SIGINT", "up\n", 10],
  ], 500);
  assertEquals(result.output, "up\ncleaning up\nclean\n");
  assertEquals(result.code, 130);
});

Deno.test("a second signal ends the clean-up by the last resort, at once", async () => {
  const result = await interrupted([
    ["SIGINT", "up\n", 0],
    ["SIGINT", "cleaning up\n", 400],
  ], 60_000);
  assertEquals(result.output, "up\ncleaning up\nlast resort\n");
  assertEquals(result.code, 130);
});
