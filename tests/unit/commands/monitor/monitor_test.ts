import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { exitCodes } from "../../../../agent/exit_codes.ts";
import { instancePaths } from "../../../../agent/instance/instance.ts";
import { InstanceLock } from "../../../../agent/instance/instance_lock.ts";
import { Monitor } from "../../../../agent/monitor/monitor.ts";
import { REQUEST_LIMITS } from "../../../../agent/status/request_server.ts";
import { StatusServer } from "../../../../agent/status/status_server.ts";
import { monitorRoute } from "../../../../agent/monitor/monitor_route.ts";
import { socketRoutes } from "../../../../commands/agent/routes.ts";
import { dispatch } from "../../../../commands/dispatch.ts";
import { commandTable } from "../../../../commands/table.ts";
import { systemClock } from "../../../../linux/clock.ts";
import type { DroppedPacket } from "../../../../net/dropped_packet.ts";
import { FakeCommandIo } from "../../../fakes/fake_command_io.ts";
import { newAgentState } from "../../../support/agent_state.ts";
import { added, address, peer } from "../../../support/kernel_world.ts";
import { readCapture } from "../../../support/read_capture.ts";

const DROP: DroppedPacket = {
  timeMs: Date.UTC(2026, 0, 1),
  reason: "rx.drop.unknownSender",
  device: "eth0",
  lengthBytes: 60,
  link: "ip",
  bytes: Uint8Array.of(0x45, 2, 3, 4),
  outer: { source: address("192.0.2.9"), destination: address("192.0.2.1") },
};

/** An agent that answers, in a directory of its own. */
class Agent implements AsyncDisposable {
  readonly runDir = Deno.makeTempDirSync();
  readonly paths = instancePaths(this.runDir, "/a");
  readonly state = newAgentState();
  readonly pending: DroppedPacket[] = [];
  isRecording = false;
  readonly monitor = new Monitor({
    state: this.state,
    clock: systemClock,
    observeLog: () => () => {},
  });
  readonly server: StatusServer;

  constructor() {
    this.state.attach({
      dropSources: () => [{
        backendType: "udp",
        kernelAlone: false,
        reader: this,
      }],
    });
    this.server = StatusServer.start(
      this.paths,
      socketRoutes(this.state),
      new Map([["/monitor", monitorRoute(this.monitor, this.paths.socket)]]),
    );
  }

  readonly reasons = ["rx.drop.unknownSender", "rx.drop.short"];
  readonly link = "ip";

  readonly read = (): DroppedPacket[] => {
    this.isRecording = true;
    return this.pending.splice(0);
  };

  readonly end = (): void => {
    this.isRecording = false;
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.monitor.stop();
    await this.server.stop();
    await Deno.remove(this.runDir, { recursive: true });
  }
}

/** `loden monitor` that runs. */
class Command {
  readonly io: FakeCommandIo;
  readonly ended: Promise<number>;

  constructor(runDir: string, ...words: string[]) {
    this.io = new FakeCommandIo([
      "monitor",
      `--run-dir=${runDir}`,
      "--etcd-prefix=/a",
      ...words,
    ]);
    this.ended = dispatch(this.io, commandTable);
  }

  async until(condition: () => boolean): Promise<void> {
    const deadline = performance.now() + 5_000;
    while (!condition()) {
      if (performance.now() > deadline) {
        throw new Error(`it never came: ${this.io.out}${this.io.err}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

Deno.test("drops and changes are shown as they happen, until Ctrl-C", async () => {
  await using agent = new Agent();
  const command = new Command(agent.runDir);
  await command.until(() => command.io.out.includes("drops and changes"));
  agent.pending.push(DROP);
  agent.state.tellPeers(added(peer("10.1.2.0/24", "192.0.2.2")));
  agent.state.raise("etcd.unavailable", "etcd is away");
  await command.until(() => command.io.out.includes("unknownSender on eth0"));
  assertStringIncludes(command.io.out, "peer  added 10.1.2.0/24 at 192.0.2.2");
  assertStringIncludes(command.io.out, "warn  raised etcd.unavailable");
  assert(agent.isRecording);
  assert(command.io.send("SIGINT"));
  assertEquals(await command.ended, exitCodes.ok);
  await command.until(() => !agent.isRecording);
  assertEquals(command.io.err, "");
});

Deno.test("--json prints one object a line, as the agent sends it", async () => {
  await using agent = new Agent();
  const command = new Command(agent.runDir, "--json", "--reason=unknownSender");
  await command.until(() => agent.isRecording);
  agent.pending.push(DROP, { ...DROP, reason: "rx.drop.short" });
  await command.until(() => command.io.out.includes('"drop"'));
  command.io.send("SIGTERM");
  assertEquals(await command.ended, exitCodes.ok);
  const events = command.io.out.trimEnd().split("\n").map((line) =>
    JSON.parse(line)
  );
  assertEquals(events.map(({ type }) => type), ["start", "source", "drop"]);
  assertEquals(events[2].bytes, Deno.uid() === 0 ? "45020304" : undefined);
});

Deno.test("--pcap writes the drops that are shown, whole at Ctrl-C", async () => {
  await using agent = new Agent();
  const path = `${agent.runDir}/drops.pcap`;
  const command = new Command(
    agent.runDir,
    `--pcap=${path}`,
    "--reason=unknownSender",
  );
  await command.until(() => agent.isRecording);
  agent.pending.push({ ...DROP, reason: "rx.drop.short" }, DROP);
  await command.until(() => command.io.out.includes("unknownSender on"));
  command.io.send("SIGINT");
  assertEquals(await command.ended, exitCodes.ok);
  const { link, packets } = readCapture(await Deno.readFile(path));
  assertEquals(link, 101);
  assertEquals(packets.map(({ bytes, comment }) => [bytes, comment]), [[
    DROP.bytes,
    "rx.drop.unknownSender on eth0: 192.0.2.9 > 192.0.2.1, 60 bytes",
  ]]);
  const again = new Command(agent.runDir, `--pcap=${path}`);
  assertEquals(await again.ended, exitCodes.failed);
  assertStringIncludes(again.io.err, "remove that file");
});

Deno.test("--peer knows the peers that there are", async () => {
  await using agent = new Agent();
  agent.state.attach({
    peers: () => [{
      subnet: "10.1.9.0/24",
      publicIp: "192.0.2.9",
      backendType: "udp",
      dataPath: null,
      stale: false,
      confirmed: null,
      since: null,
      probe: null,
    }],
  });
  const command = new Command(agent.runDir, "--peer=10.1.9.0/24");
  await command.until(() => command.io.out.includes("drops and changes"));
  agent.state.tellPeers(added(peer("10.1.2.0/24", "192.0.2.2")));
  agent.pending.push(DROP);
  await command.until(() => command.io.out.includes("unknownSender"));
  assert(!command.io.out.includes("10.1.2.0/24"));
  command.io.send("SIGINT");
  await command.ended;
});

Deno.test("a reader that has gone ends the command", async () => {
  await using agent = new Agent();
  const command = new Command(agent.runDir);
  await command.until(() => agent.isRecording);
  command.io.hasReader = false;
  agent.pending.push(DROP);
  assertEquals(await command.ended, exitCodes.ok);
});

Deno.test("an agent that ends is told, with the exit code of one that does not run", async () => {
  await using agent = new Agent();
  const command = new Command(agent.runDir);
  await command.until(() => agent.isRecording);
  agent.monitor.stop();
  assertEquals(await command.ended, exitCodes.notRunning);
  assertStringIncludes(command.io.err, "nothing answers");
});

Deno.test("no agent, and one that hangs, are told within a second", async () => {
  const runDir = await Deno.makeTempDir();
  const paths = instancePaths(runDir, "/a");
  try {
    const none = new Command(runDir);
    assertEquals(await none.ended, exitCodes.notRunning);
    using _lock = InstanceLock.acquire(paths, "/a", 4711);
    using _socket = Deno.listen({ transport: "unix", path: paths.socket });
    const begin = performance.now();
    const silent = new Command(runDir);
    assertEquals(await silent.ended, exitCodes.notRunning);
    assert(performance.now() - begin < 3_000);
    assertStringIncludes(silent.io.err, "process 4711 must answer");
  } finally {
    await Deno.remove(runDir, { recursive: true });
  }
});

Deno.test("words that mean nothing are refused before the agent is asked", async () => {
  for (
    const [word, part] of [
      ["--peer=host1", "must be a subnet or an address"],
      ["now", "takes flags only"],
    ] as const
  ) {
    const command = new Command("/nowhere", word);
    assertEquals(await command.ended, exitCodes.usage);
    assertStringIncludes(command.io.err, part);
  }
});

Deno.test("a reason that the agent does not know is refused", async () => {
  await using agent = new Agent();
  const command = new Command(agent.runDir, "--reason=unknownsender");
  assertEquals(await command.ended, exitCodes.usage);
  assertStringIncludes(command.io.err, "did you mean unknownSender?");
});

Deno.test("one listener too many is told so, and there is room when one has gone", async () => {
  await using agent = new Agent();
  const commands = Array.from(
    { length: REQUEST_LIMITS.streams },
    () => new Command(agent.runDir),
  );
  for (const command of commands) {
    await command.until(() => command.io.out.includes("from"));
  }
  const late = new Command(agent.runDir);
  assertEquals(await late.ended, exitCodes.failed);
  assertStringIncludes(late.io.err, "must have room for one more");
  commands[0]!.io.send("SIGINT");
  await commands[0]!.ended;
  await late.until(() => agent.monitor.listeners < REQUEST_LIMITS.streams);
  const next = new Command(agent.runDir);
  await next.until(() => next.io.out.includes("from"));
  for (const command of [...commands, next]) command.io.send("SIGINT");
  await Promise.all([...commands, next].map(({ ended }) => ended));
});

Deno.test("an agent of an earlier version, without events, is named", async () => {
  const runDir = await Deno.makeTempDir();
  const paths = instancePaths(runDir, "/a");
  const server = StatusServer.start(paths, socketRoutes(newAgentState()));
  try {
    const command = new Command(runDir);
    assertEquals(await command.ended, exitCodes.failed);
    assertStringIncludes(command.io.err, "another version");
  } finally {
    await server.stop();
    await Deno.remove(runDir, { recursive: true });
  }
});
