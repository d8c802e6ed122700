import { assertEquals } from "@std/assert";

/** Deno listens for the signal only after half a second (denoland/deno#35738). */
const GRACE_MS = 800;

Deno.test("SIGUSR1 leaves no debugger listening", async () => {
  const guard = new URL(
    "../../../../agent/process/debugger_guard.ts",
    import.meta.url,
  );
  const program = `
    import { url } from "node:inspector";
    import { closeDebugger } from ${JSON.stringify(guard.href)};
    const signal = Promise.withResolvers();
    Deno.addSignalListener("SIGUSR1", signal.resolve);
    setTimeout(() => console.log("listening"), ${GRACE_MS});
    await signal.promise;
    await closeDebugger();
    // Long enough for a debugger that would come later.
    await new Promise((resolve) => setTimeout(resolve, 200));
    console.log(url() ?? "closed");
    Deno.exit(0);
  `;
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(path, program);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", path],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  assertEquals((await lines.read()).value, "listening\n");
  child.kill("SIGUSR1");
  assertEquals((await lines.read()).value, "closed\n");
  await lines.cancel();
  await child.status;
  await Deno.remove(path);
});
