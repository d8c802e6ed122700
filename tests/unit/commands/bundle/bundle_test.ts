import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { parseTarGzip } from "nanotar";
import { instancePaths } from "../../../../agent/instance/instance.ts";
import { InstanceLock } from "../../../../agent/instance/instance_lock.ts";
import { StatusServer } from "../../../../agent/status/status_server.ts";
import { socketRoutes } from "../../../../commands/agent/routes.ts";
import { run } from "../../../../commands/bundle/bundle.ts";
import { UsageError } from "../../../../config/errors.ts";
import { FileWriteError } from "../../../../linux/file_errors.ts";
import type { CommandRunner } from "../../../../linux/command.ts";
import { systemClock } from "../../../../linux/clock.ts";
import { run as runProgram } from "../../../../tools/command.ts";
import { FakeCommandIo } from "../../../fakes/fake_command_io.ts";
import { FakeCommandRunner } from "../../../fakes/fake_command_runner.ts";
import { bringUp, newAgentState } from "../../../support/agent_state.ts";

const PREFIX = "/a";
/** Nothing is installed. */
const BARE: CommandRunner = new FakeCommandRunner({});

/** A directory of its own for a bundle, and for an agent's files. */
class World implements AsyncDisposable {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  static async make(): Promise<World> {
    return new World(await Deno.makeTempDir());
  }

  get output(): string {
    return `${this.directory}/bundle.tar.gz`;
  }

  io(words: readonly string[] = [], env: Record<string, string> = {}) {
    return new FakeCommandIo([
      `--run-dir=${this.directory}/run`,
      `--state-dir=${this.directory}/state`,
      `--subnet-file=${this.directory}/subnet.env`,
      "--docker-opts-file=/dev/null",
      `--etcd-prefix=${PREFIX}`,
      `--output=${this.output}`,
      ...words,
    ], env);
  }

  bundle(
    io: FakeCommandIo,
    runner: CommandRunner = BARE,
    partLimitMs = 5_000,
  ): Promise<number> {
    return run(io.as("bundle"), {
      clock: systemClock,
      runner,
      doctor: () => Promise.resolve("ok  kernel  6.12\n"),
      partLimitMs,
    });
  }

  /** The texts in the archive, by their names. */
  async texts(): Promise<Record<string, string>> {
    const files = await parseTarGzip(
      (await Deno.readFile(this.output)).buffer,
    );
    return Object.fromEntries(
      files.filter(({ type }) => type === "file")
        .map(({ name, text }) => [name.split("/")[1]!, text]),
    );
  }

  /** What lies there, hidden files too. */
  names(): string[] {
    return [...Deno.readDirSync(this.directory)].map(({ name }) => name).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}

Deno.test("without an agent and without any tool there is a bundle that says what it lacks", async () => {
  await using world = await World.make();
  const io = world.io();
  assertEquals(await world.bundle(io), 0);
  assertMatch(io.out, /bundle\.tar\.gz \(\d+ kB\)\nnot gathered:\n/);
  assertStringIncludes(io.out, "  status.txt: Cannot ask the agent: nothing");
  assertStringIncludes(io.out, "  nftables.txt: nft: there is no such program");
  assertEquals(io.err, "");
  const texts = await world.texts();
  assertStringIncludes(texts["settings.txt"]!, "etcd-prefix");
  assertStringIncludes(texts["versions.txt"]!, "deno ");
  assertEquals(texts["doctor.txt"], "ok  kernel  6.12\n");
  assertStringIncludes(texts["kernel.txt"]!, "net/ipv4/ip_forward = ");
  const { parts, schema } = JSON.parse(texts["manifest.json"]!);
  assertEquals(schema, 1);
  for (const { file, missing, part } of parts) {
    assert(file !== null || missing.length > 0, part);
    assertEquals(file !== null, part in texts, part);
    if (file !== null) assertStringIncludes(texts["README.txt"]!, `\n${part} `);
  }
});

Deno.test("the archive is the owner's alone, whatever was there, and tar unpacks it", async () => {
  await using world = await World.make();
  await Deno.writeTextFile(world.output, "old", { mode: 0o644 });
  await world.bundle(world.io());
  assertEquals((await Deno.stat(world.output)).mode! & 0o777, 0o600);
  const out = `${world.directory}/out`;
  await Deno.mkdir(out);
  await runProgram([
    ...["tar", "--extract", "--gzip", "--same-permissions"],
    `--directory=${out}`,
    `--file=${world.output}`,
  ]);
  const [top] = [...Deno.readDirSync(out)];
  assertMatch(top!.name, /^loden-bundle-\d{8}T\d{6}Z$/);
  assertEquals(Deno.statSync(`${out}/${top!.name}`).mode! & 0o777, 0o700);
  for (const { name } of Deno.readDirSync(`${out}/${top!.name}`)) {
    const { mode } = Deno.statSync(`${out}/${top!.name}/${name}`);
    assertEquals(mode! & 0o777, 0o600, name);
  }
});

Deno.test("an agent that answers is in it; one that hangs is a note", async () => {
  await using world = await World.make();
  const paths = instancePaths(`${world.directory}/run`, PREFIX);
  {
    using _lock = InstanceLock.acquire(paths, PREFIX);
    const state = bringUp(newAgentState());
    const server = StatusServer.start(paths, socketRoutes(state));
    try {
      await world.bundle(world.io());
    } finally {
      await server.stop();
    }
    const texts = await world.texts();
    assertStringIncludes(texts["status.txt"]!, "10.1.5.0/24");
    assertEquals(JSON.parse(texts["status.json"]!).schema, 1);
  }
  using _lock = InstanceLock.acquire(paths, PREFIX, 4711);
  using _socket = Deno.listen({ transport: "unix", path: paths.socket });
  const io = world.io();
  assertEquals(await world.bundle(io), 0);
  assertMatch(io.out, /status\.txt: .*4711 must answer on .* within 3 s:/);
});

Deno.test("settings that cannot be used are a note, and the bundle is made", async () => {
  await using world = await World.make();
  const io = world.io([], {
    FLANNELD_ETCD_ENDPOINTS: "https://anna:s3cret-word@etcd:2379",
  });
  assertEquals(await world.bundle(io), 0);
  assertStringIncludes(io.out, "settings.txt: Cannot");
  const texts = await world.texts();
  assert(!JSON.stringify(texts).includes("s3cret-word"));
  assert(!io.out.includes("s3cret-word"));
  await assertRejects(
    () => world.bundle(world.io(["word"])),
    UsageError,
  );
});

Deno.test("secrets of the environment, the settings and the files are removed, addresses with --anonymize", async () => {
  await using world = await World.make();
  const { directory } = world;
  await Deno.mkdir(`${directory}/state`);
  await Deno.writeTextFile(
    `${directory}/state/a.json`,
    JSON.stringify({ config: '{"Backend":{"PSK":"psk-of-the-network"}}' }),
  );
  await Deno.writeTextFile(
    `${directory}/state/a.key`,
    JSON.stringify({ privateKey: "a2V5IG9mIHRoaXMgaG9zdCwgaW4gYmFzZTY0" }),
  );
  await Deno.writeTextFile(`${directory}/password`, "file-word\n", {
    mode: 0o600,
  });
  await Deno.writeTextFile(`${directory}/subnet.env`, "A=192.0.2.77\n");
  const secrets = [
    "psk-of-the-network",
    "a2V5IG9mIHRoaXMgaG9zdCwgaW4gYmFzZTY0",
    "file-word",
    "op-name",
    "token-word",
    "curl -H key-word http://x",
  ];
  // A program that repeats everything.
  const runner = new FakeCommandRunner({
    ip: () => ({ stdout: `${secrets.join("\n")}\n192.0.2.77\n` }),
  });
  const io = world.io([
    "--anonymize",
    "--etcd-username=op-name",
    `--etcd-password-file=${directory}/password`,
    "--on-subnet-change=run:curl -H key-word http://x",
  ], { VAULT_TOKEN: "token-word" });
  assertEquals(await world.bundle(io, runner), 0);
  const texts = await world.texts();
  assertStringIncludes(texts["links.txt"]!, "[removed]\n[removed]\n");
  for (const [file, text] of Object.entries(texts)) {
    for (const secret of [...secrets, "key-word", "192.0.2.77"]) {
      assert(!text.includes(secret), `${secret} is in ${file}`);
    }
    assert(!text.includes(Deno.hostname()), file);
  }
  const address = /^A=(\S+)/m.exec(texts["files.txt"]!)![1]!;
  assertStringIncludes(texts["links.txt"]!, `\n${address}\n`);
});

Deno.test("an output that cannot be written is an error with its cause, and nothing is left", async () => {
  await using world = await World.make();
  const io = world.io(["--output=/dev/full"]);
  await assertRejects(() => world.bundle(io), FileWriteError, "/dev/full");
  assertEquals(io.out, "");
  assertEquals(world.names(), []);
});

Deno.test("Ctrl-C ends it at once with code 130 and leaves nothing", async () => {
  await using world = await World.make();
  const hanging: CommandRunner = {
    run: (_command, _words, { signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason))
      ),
  };
  const io = world.io();
  const running = world.bundle(io, hanging, 60_000);
  setTimeout(() => io.send("SIGINT"), 100);
  assertEquals(await running, 130);
  assertEquals(io.out, "");
  assertStringIncludes(io.err, "interrupted: no bundle is written\n");
  assertEquals(world.names(), []);
  assertEquals(io.send("SIGINT"), false);
});
