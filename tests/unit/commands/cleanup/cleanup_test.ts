import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { RunDirectoryError } from "../../../../agent/errors.ts";
import {
  deviceAlias,
  type Footprint,
  footprintPath,
  readFootprint,
  writeFootprint,
} from "../../../../agent/instance/footprint.ts";
import { instancePaths } from "../../../../agent/instance/instance.ts";
import { InstanceLock } from "../../../../agent/instance/instance_lock.ts";
import { claimNamespace } from "../../../../agent/instance/namespace_claim.ts";
import { planCleanup } from "../../../../commands/cleanup/cleanup_plan.ts";
import { dispatch } from "../../../../commands/dispatch.ts";
import { commandTable } from "../../../../commands/table.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { FakeCommandIo } from "../../../fakes/fake_command_io.ts";
import { FakeFirewall } from "../../../fakes/fake_firewall.ts";
import { FakeRtnetlink } from "../../../fakes/fake_rtnetlink.ts";

const network = parseCidr("10.1.0.0/16")!;
const subnet = parseCidr("10.1.5.0/24")!;
const footprint: Footprint = {
  network,
  subnet,
  files: ["/run/flannel/subnet.env", "/run/gone.env"],
};
const noSignal = new AbortController().signal;

async function host() {
  const rtnetlink = new FakeRtnetlink();
  rtnetlink.addLink({ name: "flannel0", alias: deviceAlias("/a") });
  rtnetlink.addLink({ name: "flannel1", alias: deviceAlias("/a/b") });
  rtnetlink.addLink({ name: "flannel.1", alias: "" });
  rtnetlink.replaceRoute({
    destination: network,
    type: "unreachable",
    metric: 0xffff_0000,
  });
  rtnetlink.replaceRoute({
    destination: network,
    type: "unreachable",
    metric: 5,
  });
  const firewall = new FakeFirewall();
  for (const each of [network, parseCidr("10.2.0.0/16")!]) {
    await firewall.ensure({
      network: each,
      subnet,
      masquerade: true,
      forward: true,
      randomFully: true,
    }, noSignal);
  }
  const programs = ["/a", "/a/b"].map((prefix) => ({
    name: "loden_rx",
    alias: deviceAlias(prefix),
  }));
  const files = new Set(["/run/flannel/subnet.env"]);
  const components = {
    rtnetlink,
    planPrograms: (alias: string) => {
      const of = programs.filter((program) => program.alias === alias);
      return of.map((program) => ({
        what: `program ${program.name} of eth0`,
        remove: () => {
          assert(
            rtnetlink.links().some((link) => link.alias === alias),
            "the device that it hands packets to is still there",
          );
          programs.splice(programs.indexOf(program), 1);
        },
      }));
    },
    firewalls: [firewall],
    exists: (path: string) => Promise.resolve(files.has(path)),
    removeFile: (path: string) => {
      files.delete(path);
      return Promise.resolve();
    },
  };
  return { rtnetlink, firewall, files, programs, components };
}

Deno.test("a plan names all that is this network's, and changes nothing", async () => {
  const { rtnetlink, components, programs } = await host();
  const steps = await planCleanup("/a", footprint, components, noSignal);
  assertEquals(steps.map(({ what }) => what), [
    "file /run/flannel/subnet.env",
    "program loden_rx of eth0",
    "device flannel0 (alias loden:/a)",
    "iptables rules of 10.1.0.0/16: remove rules of 10.1.0.0/16",
    "route unreachable 10.1.0.0/16",
  ]);
  assertEquals(rtnetlink.links().length, 4);
  assertEquals(programs.length, 2);
});

Deno.test("what is removed is this network's alone", async () => {
  const { rtnetlink, firewall, files, programs, components } = await host();
  for (
    const { remove } of await planCleanup("/a", footprint, components, noSignal)
  ) {
    await remove();
  }
  assertEquals(rtnetlink.links().map(({ name }) => name), [
    "lo",
    "flannel1",
    "flannel.1",
  ]);
  const left = rtnetlink.routes().filter(({ type }) => type === "unreachable");
  assertEquals(left.map(({ metric }) => metric), [5]);
  assertEquals([...firewall.sets.keys()], ["10.2.0.0/16"]);
  assertEquals(files.size, 0);
  assertEquals(programs.map(({ alias }) => alias), ["loden:/a/b"]);
  assertEquals(await planCleanup("/a", footprint, components, noSignal), []);
});

Deno.test("a pair of devices is one item to remove, whichever end is listed first", async () => {
  const { rtnetlink, components } = await host();
  const alias = deviceAlias("/pair");
  rtnetlink.createVethPair({
    name: "flannel7",
    peerName: "flannel7p",
    mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
    peerMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
    mtuBytes: 1472,
    peerMtuBytes: 65535,
    alias,
  });
  const steps = await planCleanup("/pair", undefined, components, noSignal);
  assertEquals(steps.map(({ what }) => what), [
    `devices flannel7p and flannel7 (alias ${alias})`,
  ]);
  await steps[0]!.remove();
  assertEquals(
    rtnetlink.links().filter((link) => link.alias === alias),
    [],
  );
});

Deno.test("an end whose other end is not ours goes alone", async () => {
  const { rtnetlink, components } = await host();
  const alias = deviceAlias("/one");
  rtnetlink.addLink({ name: "eth9", index: 90, peerIndex: 91, kind: "veth" });
  rtnetlink.addLink({
    name: "flannel9",
    index: 91,
    peerIndex: 90,
    kind: "veth",
    alias,
  });
  const steps = await planCleanup("/one", undefined, components, noSignal);
  assertEquals(steps.map(({ what }) => what), [
    `device flannel9 (alias ${alias})`,
  ]);
});

Deno.test("without a record, programs and devices are still known by their alias", async () => {
  const { components } = await host();
  const steps = await planCleanup("/a", undefined, components, noSignal);
  assertEquals(steps.map(({ what }) => what), [
    "program loden_rx of eth0",
    "device flannel0 (alias loden:/a)",
  ]);
});

Deno.test("a record is read back; a damaged one counts as none", async () => {
  const paths = instancePaths(await Deno.makeTempDir(), "/a");
  assertEquals(await readFootprint(paths), undefined);
  await writeFootprint(paths, footprint);
  assertEquals(await readFootprint(paths), footprint);
  const named = {
    ...footprint,
    etcdPrefix: "/a",
    backends: [
      { type: "vxlan", options: { VNI: 7 } },
      { type: "udp", options: {} },
    ],
    firewall: {
      masquerade: true,
      forward: true,
      randomFully: true,
      enableNftables: false,
      antiSpoofing: true,
    },
  };
  await writeFootprint(paths, named);
  assertEquals(await readFootprint(paths), named);
  assertMatch(
    await Deno.readTextFile(footprintPath(paths)),
    /"etcdPrefix":"\/a",/,
  );
  for (
    const text of ["", "null", '{"network":"x"}', '{"network":"10.1.0.0/16"']
  ) {
    await Deno.writeTextFile(footprintPath(paths), text);
    assertEquals(await readFootprint(paths), undefined);
  }
  await Deno.remove(paths.runDir, { recursive: true });
});

Deno.test("a record that cannot be read is an error of its own", async () => {
  const paths = instancePaths(await Deno.makeTempDir(), "/a");
  // Root is refused nothing; a directory can be read by nobody.
  await Deno.mkdir(footprintPath(paths));
  await assertRejects(
    () => readFootprint(paths),
    RunDirectoryError,
    `Cannot read ${footprintPath(paths)}`,
  );
  await Deno.remove(paths.runDir, { recursive: true });
});

Deno.test("cleanup refuses while the agent runs, and says which process", async () => {
  const runDir = await Deno.makeTempDir();
  const paths = instancePaths(runDir, "/x/y");
  {
    using _lock = InstanceLock.acquire(paths, "/x/y", 4711);
    for (const argv of [["cleanup"], ["cleanup", "--dry-run"]]) {
      const io = new FakeCommandIo([
        ...argv,
        "--etcd-prefix=/x/y",
        `--run-dir=${runDir}`,
      ]);
      assertEquals(await dispatch(io, commandTable), 4);
      assertStringIncludes(io.err, "process 4711");
    }
  }
  await Deno.remove(runDir, { recursive: true });
});

Deno.test("cleanup names the state that it keeps, and removes it with --state", async () => {
  const directory = await Deno.makeTempDir();
  const prefix = `/cleanup-${Deno.pid}`;
  const { name } = instancePaths(directory, prefix);
  const state = `${directory}/${name}.json`;
  const aside = `${state}.unreadable`;
  const key = `${directory}/${name}.key`;
  const cleanup = async (...argv: string[]) => {
    const io = new FakeCommandIo([
      "cleanup",
      ...argv,
      `--etcd-prefix=${prefix}`,
      `--run-dir=${directory}/run`,
      `--state-dir=${directory}`,
    ]);
    return { code: await dispatch(io, commandTable), out: io.out };
  };
  try {
    await Deno.writeTextFile(state, "{}");
    await Deno.writeTextFile(aside, "{");
    await Deno.writeTextFile(key, "{}");
    const planned = await cleanup("--dry-run");
    assertEquals(planned.code, 0);
    assertStringIncludes(planned.out, "nothing to remove\n");
    assertStringIncludes(planned.out, `would keep file ${state}`);
    assertStringIncludes(
      planned.out,
      `would keep file ${key}, with this host's private key (--state)\n`,
    );
    assertStringIncludes((await cleanup()).out, `kept file ${aside}`);
    assertEquals((await Deno.stat(state)).isFile, true);
    assertEquals(
      (await cleanup("--state", "--dry-run")).out,
      [
        `would remove file ${state}\n`,
        `would remove file ${aside}\n`,
        `would remove file ${key}\n`,
      ].join(""),
    );
    assertEquals((await cleanup("--state")).code, 0);
    assertEquals((await cleanup("--state")).out, "nothing to remove\n");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a state directory that is a file holds nothing; an unreadable one is an error, not a bug", async () => {
  const directory = await Deno.makeTempDir();
  const file = `${directory}/file`;
  const cleanup = async (stateDir: string) => {
    const io = new FakeCommandIo([
      "cleanup",
      "--dry-run",
      `--etcd-prefix=/state-${Deno.pid}`,
      `--run-dir=${directory}/run`,
      `--state-dir=${stateDir}`,
    ]);
    return { code: await dispatch(io, commandTable), out: io.out, err: io.err };
  };
  try {
    await Deno.writeTextFile(file, "");
    assertEquals((await cleanup(file)).out, "nothing to remove\n");
    const { code, err } = await cleanup(`${directory}/${"a".repeat(300)}`);
    assertEquals(code, 1);
    assertMatch(err, /^loden: Cannot read .*choose a shorter path\)\n$/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("cleanup refuses what another process serves in this network namespace", async () => {
  const directory = await Deno.makeTempDir();
  const prefix = `/claimed-${Deno.pid}`;
  try {
    using _claim = claimNamespace(
      instancePaths(`${directory}/elsewhere`, prefix),
      prefix,
    );
    for (const flags of [[], ["--dry-run"]]) {
      const io = new FakeCommandIo([
        "cleanup",
        ...flags,
        `--etcd-prefix=${prefix}`,
        `--run-dir=${directory}`,
      ]);
      assertEquals(await dispatch(io, commandTable), 4);
      assertStringIncludes(io.err, "--run-dir");
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
