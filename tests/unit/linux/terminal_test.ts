import { assertEquals } from "@std/assert";

/** What a process with such an environment says. */
async function says(env: Record<string, string>): Promise<string> {
  const module = new URL("../../../linux/terminal.ts", import.meta.url);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { isDumbTerminal, mayHaveColors } from "${module}";
       console.log(isDumbTerminal(), mayHaveColors());`,
    ],
    clearEnv: true,
    env: { HOME: Deno.env.get("HOME") ?? "/", ...env },
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

Deno.test("colours are off by NO_COLOR and on a dumb terminal", async () => {
  assertEquals(await says({ TERM: "xterm" }), "false true");
  assertEquals(await says({ TERM: "xterm", NO_COLOR: "1" }), "false false");
  assertEquals(await says({ TERM: "dumb" }), "true false");
});
