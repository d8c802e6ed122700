/**
 * The rig itself: it must be honest about what crosses, and leave nothing.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
} from "@std/assert";
import { fromFileUrl } from "@std/path";
import { measureTcp } from "../../bench/measure/tcp.ts";
import { ping } from "../../bench/measure/ping.ts";
import { attempt } from "../../tools/command.ts";
import { RigExistsError } from "../rig/errors.ts";
import { belongsTo } from "../rig/names.ts";
import { Rig } from "../rig/rig.ts";
import { namespaceNames } from "../rig/teardown.ts";
import { createUnderlayRoutes } from "../rig/underlay_routes.ts";
import { createVxlan } from "../rig/vxlan.ts";

const never = new AbortController().signal;

for (
  const [name, make] of [
    ["the underlay's routes", createUnderlayRoutes],
    ["the kernel's VXLAN", createVxlan],
  ] as const
) {
  Deno.test(`containers reach each other by ${name}, in both modes`, async () => {
    await using rig = await Rig.create();
    const containers = [];
    for (const node of await make(rig.hosts)) {
      containers.push(await node.host.addContainer(node));
    }
    const [client, server] = containers;
    for (const mode of ["super", "software"] as const) {
      await rig.setLinkMode(mode);
      const echo = await ping(client!.namespace, server!.address, {
        count: 5,
        intervalSeconds: 0.02,
        deadlineSeconds: 5,
      });
      assertEquals(echo.received, echo.sent);
      const link = {
        client: client!,
        server: server!,
        directory: rig.directory,
      };
      const tcp = await measureTcp(link, { seconds: 1, streams: 2 }, never);
      assert(tcp.bytes > 0);
    }
  });
}

Deno.test("in mode software, packets cross one by one; in mode super, as they are", async () => {
  await using rig = await Rig.create();
  const containers = [];
  for (const node of await createUnderlayRoutes(rig.hosts)) {
    containers.push(await node.host.addContainer(node));
  }
  const [client, server] = containers;
  const link = { client: client!, server: server!, directory: rig.directory };
  const bytesAPacket = async () => {
    const read = async (name: string) =>
      Number(
        await rig.host(0).namespace.run([
          "cat",
          `/sys/class/net/eth0/statistics/${name}`,
        ]),
      );
    const before = [await read("tx_bytes"), await read("tx_packets")];
    await measureTcp(link, { seconds: 1, streams: 1 }, never);
    return (await read("tx_bytes") - before[0]!) /
      (await read("tx_packets") - before[1]!);
  };
  await rig.setLinkMode("software");
  assert(await bytesAPacket() <= 1514);
  await rig.setLinkMode("super");
  assert(await bytesAPacket() > 3_000);
});

Deno.test("the switch keeps its hardware address, whatever is plugged in", async () => {
  await using rig = await Rig.create({ hosts: 3 });
  const read = () => rig.switch.run(["cat", "/sys/class/net/underlay/address"]);
  const before = await read();
  const ports: string[] = [];
  for (const host of rig.hosts) {
    await host.replug();
    assertEquals(await read(), before);
    ports.push(
      await rig.switch.run([
        ...["ip", "-json", "link", "show", "master", "underlay"],
      ]),
    );
  }
  assert(!ports.join().includes(before.trim()));
});

Deno.test("a rig that is disposed of leaves no namespace and no file", async () => {
  let name: string;
  let directory: string;
  {
    await using rig = await Rig.create();
    await rig.startEtcd();
    ({ name, directory } = rig);
    assertEquals(
      namespaceNames((part) => belongsTo(part, name)).length,
      3,
    );
  }
  assertEquals(namespaceNames((part) => belongsTo(part, name)), []);
  assertEquals(await exists(directory), false);
});

Deno.test("a rig of a name that is taken is refused, and the first one stays", async () => {
  await using first = await Rig.create({ hosts: 0 });
  await assertRejects(
    () => Rig.create({ hosts: 0, name: first.name }),
    RigExistsError,
  );
  assertEquals(
    namespaceNames((part) => belongsTo(part, first.name)).length,
    1,
  );
});

Deno.test("what a killed owner left is found and removed by the next rig, processes and all", async () => {
  const script = `
    import { Rig } from ${JSON.stringify(rigUrl())};
    const rig = await Rig.create();
    await rig.startEtcd();
    console.log(rig.name + " " + rig.directory);
    await new Promise(() => setInterval(() => {}, 1000));
  `;
  const owner = new Deno.Command(Deno.execPath(), {
    args: ["eval", `--config=${configPath()}`, script],
    stdout: "piped",
  }).spawn();
  const reader = owner.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const [name, directory] = (await reader.read()).value!.trim().split(" ");
  await reader.cancel();
  const left = () => namespaceNames((part) => belongsTo(part, name!));
  // Before the end: from then on, another suite may remove them, too.
  assertEquals(left().length, 3);
  owner.kill("SIGKILL");
  await owner.status;
  {
    await using _next = await Rig.create({ hosts: 0 });
    assertEquals(left(), []);
    assertEquals(await exists(directory!), false);
  }
});

Deno.test("where a test of a suite fails, the next one has hosts of its own, and those after it share them", async () => {
  const { exitCode, stdout } = await attempt([
    ...[Deno.execPath(), "test", "--allow-all", "--no-check"],
    ...[`--config=${configPath()}`, fromFileUrl(failingSuite())],
  ], { env: { NO_COLOR: "1" } });
  assertEquals(exitCode, 1);
  const [first, second, third, ...more] = [...stdout.matchAll(/^rig: (.*)$/gm)]
    .map(([, name]) => name);
  assertNotEquals(first, second);
  assertEquals(second, third);
  assertEquals(more, []);
  assertMatch(stdout, /\(2 steps\).*\(1 step\)/);
});

function failingSuite(): URL {
  return new URL("./programs/failing_suite.ts", import.meta.url);
}

function rigUrl(): string {
  return new URL("../rig/rig.ts", import.meta.url).href;
}

function configPath(): string {
  return fromFileUrl(new URL("../../deno.json", import.meta.url));
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
