import { assertEquals, assertRejects } from "@std/assert";
import { Monitor } from "../../kernels/monitor.ts";
import { linesOf, writeLine } from "../../kernels/socket_lines.ts";

/** A QEMU that answers each question with the next of these lines. */
async function withMonitor(
  answers: readonly (readonly string[])[],
  use: (monitor: Monitor) => Promise<void>,
): Promise<string[]> {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/monitor`;
  const asked: string[] = [];
  using listener = Deno.listen({ transport: "unix", path });
  const serving = (async () => {
    const connection = await listener.accept();
    await writeLine(connection, '{"QMP": {}}');
    const left = [['{"return": {}}'], ...answers];
    for await (const line of linesOf(connection.readable)) {
      asked.push(JSON.parse(line).arguments["command-line"]);
      for (const answer of left.shift()!) await writeLine(connection, answer);
    }
  })();
  {
    using monitor = await Monitor.open(path, new AbortController().signal);
    await use(monitor);
  }
  await serving;
  await Deno.remove(directory, { recursive: true });
  return asked.slice(1);
}

Deno.test("an event is seen before the answer and after it", async () => {
  const asked = await withMonitor([
    ['{"event": "EARLY"}', '{"return": ""}', '{"event": "LATE"}'],
  ], async (monitor) => {
    await monitor.command("device_del card");
    await monitor.untilEvent("LATE");
    await monitor.untilEvent("EARLY");
  });
  assertEquals(asked, ["device_del card"]);
});

Deno.test("what QEMU refuses is an error with its words", async () => {
  await withMonitor([
    ['{"return": "Error: no such card\\r\\n"}'],
    ['{"error": {"desc": "no such command"}}'],
  ], async (monitor) => {
    await assertRejects(
      () => monitor.command("device_del card"),
      Error,
      'Cannot run "device_del card" in QEMU: Error: no such card',
    );
    await assertRejects(
      () => monitor.command("device_del card"),
      Error,
      "no such command",
    );
  });
});
