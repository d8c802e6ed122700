import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ExtensionCommandError } from "../../../../backend/extension/errors.ts";
import {
  ExtensionBackend,
  type ExtensionCommands,
} from "../../../../backend/extension/extension_backend.ts";
import { runShell } from "../../../../linux/shell_command.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import { CapturedLogs } from "../../../support/capture_logs.ts";
import { kernelWorld, peerOf } from "../kernel_world.ts";

const NONE: ExtensionCommands = {
  preStartup: "",
  postStartup: "",
  subnetAdd: "",
  subnetRemove: "",
};
const PEER = peerOf("10.1.5.0/24", "192.0.2.12", "extension", "key of 12");
const OTHER = peerOf("10.1.6.0/24", "192.0.2.13", "extension");
const { context } = kernelWorld();
const signal = new AbortController().signal;

/** A directory whose scripts the commands are, and what they have written. */
class Scripts implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async create(): Promise<Scripts> {
    return new Scripts(await Deno.makeTempDir());
  }

  /** A command that runs a script of the shell. */
  async script(name: string, text: string): Promise<string> {
    const path = `${this.path}/${name}`;
    await Deno.writeTextFile(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return path;
  }

  /** A command that appends its words, variables and input to the journal. */
  recorder(): Promise<string> {
    return this.script(
      "record",
      `{ echo "$* | $NETWORK $SUBNET $PUBLIC_IP $IPV6SUBNET $PUBLIC_IPV6"
cat; } >>${this.path}/journal`,
    );
  }

  async journal(): Promise<string[]> {
    const text = await Deno.readTextFile(`${this.path}/journal`)
      .catch(() => "");
    return text.trimEnd().split("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

function backendWith(
  commands: Partial<ExtensionCommands>,
  timeLimitMs = 20_000,
  prepared = new Map<string, string>(),
): ExtensionBackend {
  const host = { runShell, timeLimitMs, prepared };
  return new ExtensionBackend(host, { ...NONE, ...commands });
}

async function until(condition: () => Promise<boolean> | boolean) {
  const deadline = performance.now() + 10_000;
  while (!await condition()) {
    if (performance.now() > deadline) throw new Error("it does not happen");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

Deno.test("extension advertises the output of the pre-startup command, and none without one", async () => {
  assertEquals(backendWith({}).advertise(), { backendType: "extension" });
  await using scripts = await Scripts.create();
  const preStartup = await scripts.script(
    "pre",
    `printf ' out <a&b> "q"\\nsecond line\\n'; echo err >&2; echo; cat`,
  );
  const backend = backendWith({ preStartup });
  await backend.prepare(signal);
  assertEquals(backend.advertise(), {
    backendType: "extension",
    backendData: 'out <a&b> "q"\nsecond line\nerr',
  });
  const silent = backendWith({ preStartup: "true" });
  await silent.prepare(signal);
  assertEquals(silent.advertise().backendData, "");
});

Deno.test("the pre-startup command runs once, for the lease and the starts after it", async () => {
  await using scripts = await Scripts.create();
  const preStartup = await scripts.script(
    "pre",
    `echo ran >>${scripts.path}/journal; echo key`,
  );
  const prepared = new Map<string, string>();
  await backendWith({ preStartup }, 20_000, prepared).prepare(signal);
  const backend = backendWith({ preStartup }, 20_000, prepared);
  await backend.start(context, signal);
  assertEquals(backend.advertise().backendData, "key");
  assertEquals(await scripts.journal(), ["ran"]);
  await backend.stop();
});

Deno.test("the post-startup command has flannel's variables", async () => {
  await using scripts = await Scripts.create();
  const postStartup = `${await scripts
    .recorder()} post $NETWORK \${SUBNET} "$SUBNET" $NOSUCH a;b | c && d`;
  const backend = backendWith({ postStartup });
  assertEquals(await backend.start(context, signal), {
    deviceName: undefined,
    mtuBytes: 1500 as never,
  });
  assertEquals(await scripts.journal(), [
    'post 10.1.0.0/16 10.1.27.0/24 "10.1.27.0/24"  a;b | c && d | ' +
    "10.1.0.0/16 10.1.27.0/24 192.0.2.11 ::/0 <nil>",
  ]);
  await backend.stop();
});

Deno.test("a command has the documented variables, and nothing of the agent's", async () => {
  await using scripts = await Scripts.create();
  const record = await scripts.recorder();
  Deno.env.set("FLANNELD_ETCD_PASSWORD", "secret");
  try {
    const postStartup = `${record} [$FLANNELD_ETCD_PASSWORD] $LC_ALL`;
    const backend = backendWith({ postStartup });
    await backend.start(context, signal);
    assertMatch((await scripts.journal())[0]!, /^\[\] C \|/);
    await backend.stop();
  } finally {
    Deno.env.delete("FLANNELD_ETCD_PASSWORD");
  }
});

Deno.test("peers that come, change and go run their commands, one at a time, with their data as input", async () => {
  await using scripts = await Scripts.create();
  const record = await scripts.recorder();
  const backend = backendWith({
    subnetAdd: `${record} add $SUBNET $PUBLIC_IP [$NETWORK]`,
    subnetRemove: `${record} remove`,
  });
  await backend.start(context, signal);
  await backend.apply({ added: [PEER, OTHER], changed: [], removed: [] });
  const moved = { ...OTHER, publicIp: parseIpv4("192.0.2.14")! };
  // A peer that is only stale is the same peer.
  const stale = { ...PEER, stale: true };
  await backend.apply({ added: [], changed: [stale, moved], removed: [] });
  await backend.apply({ added: [], changed: [], removed: [PEER] });
  assertEquals(backend.status().peers, 1);
  const expected = [
    "add 10.1.5.0/24 192.0.2.12 [] |  10.1.5.0/24 192.0.2.12  ",
    "key of 12",
    "add 10.1.6.0/24 192.0.2.13 [] |  10.1.6.0/24 192.0.2.13  ",
    "",
    "add 10.1.6.0/24 192.0.2.14 [] |  10.1.6.0/24 192.0.2.14  ",
    "",
    "remove |  10.1.5.0/24 192.0.2.12  ",
    "key of 12",
  ];
  await until(async () => (await scripts.journal()).length >= 8);
  assertEquals(await scripts.journal(), expected);
  await backend.stop();
});

Deno.test("a peer whose data is no text is named, and the others are served", async () => {
  await using scripts = await Scripts.create();
  using logs = new CapturedLogs();
  const record = await scripts.recorder();
  const backend = backendWith({ subnetAdd: `${record} add` });
  await backend.start(context, signal);
  const bad = peerOf("10.1.9.0/24", "192.0.2.19", "extension", { VNI: 1 });
  await backend.apply({ added: [bad, PEER], changed: [], removed: [] });
  await until(async () => (await scripts.journal()).length >= 2);
  assertEquals(backend.status().details, {
    "not served: 10.1.9.0/24":
      `the lease's BackendData must be a text: current value is {"VNI":1}`,
  });
  assertEquals(logs.events("backend.peer-refused").length, 1);
  await backend.stop();
});

Deno.test("a command for a peer that fails is logged with its output, and shown until it succeeds", async () => {
  await using scripts = await Scripts.create();
  const subnetAdd = await scripts.script(
    "add",
    `test -e ${scripts.path}/fixed || { echo no route >&2; exit 3; }`,
  );
  const backend = backendWith({ subnetAdd });
  await backend.start(context, signal);
  await backend.apply({ added: [PEER], changed: [], removed: [] });
  const details = () => backend.status().details!;
  await until(() => Object.keys(details()).length > 0);
  assertEquals(
    details()["not served: 10.1.5.0/24"],
    "Cannot run the SubnetAddCommand of the network config: it ended with " +
      "code 3: no route",
  );
  await Deno.writeTextFile(`${scripts.path}/fixed`, "");
  const moved = { ...PEER, publicIp: parseIpv4("192.0.2.14")! };
  await backend.apply({ added: [], changed: [moved], removed: [] });
  await until(() => Object.keys(details()).length === 0);
  await backend.stop();
});

Deno.test("a command before or after the start that fails, is missing, takes too long or says too much stops the start", async () => {
  const table: [string, RegExp][] = [
    ["false", /it ended with code 1: /],
    ["/no/such/program", /it ended with code 127: .*not found/],
    ["sleep 60", /it must end within 0.3 seconds$/],
    ["seq 1 20000", /its output must be at most 65536 bytes$/],
  ];
  for (const [command, reason] of table) {
    const limitMs = command.startsWith("sleep") ? 300 : 20_000;
    for (const option of ["preStartup", "postStartup"] as const) {
      const backend = backendWith({ [option]: command }, limitMs);
      const error = await assertRejects(
        () => backend.start(context, signal),
        ExtensionCommandError,
      );
      assertEquals(reason.test(error.message), true, error.message);
      assertEquals(error.retryable, false);
      await backend.stop();
    }
  }
});

Deno.test("the end of the agent ends a running command and what it has started, and the others do not run", async () => {
  await using scripts = await Scripts.create();
  const subnetAdd = await scripts.script(
    "add",
    `trap '' TERM; echo $$ >>${scripts.path}/journal; sleep 60 & wait; sleep 60`,
  );
  const backend = backendWith({ subnetAdd });
  await backend.start(context, signal);
  await backend.apply({ added: [PEER, OTHER], changed: [], removed: [] });
  await until(async () => /^\d+$/.test((await scripts.journal())[0]!));
  await backend.stop();
  const [pid, ...more] = await scripts.journal();
  assertEquals(more, []);
  await assertRejects(() => Deno.stat(`/proc/${pid}/fd/1`));
  await backend.failed;
});
