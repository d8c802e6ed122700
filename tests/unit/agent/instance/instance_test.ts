import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  AgentRunningError,
  RunDirectoryError,
} from "../../../../agent/errors.ts";
import {
  instanceName,
  instancePaths,
} from "../../../../agent/instance/instance.ts";
import { InstanceLock } from "../../../../agent/instance/instance_lock.ts";

Deno.test("an instance is named by its etcd prefix, as systemd-escape would", () => {
  const names: [prefix: string, name: string][] = [
    ["/coreos.com/network", "coreos.com-network"],
    ["coreos.com/network/", "coreos.com-network"],
    ["/a//b", "a-b"],
    ["/a-b", "a%2Db"],
    ["/", "-"],
    ["", "-"],
    ["/root", "root"],
    ["/../etc", "%2E.-etc"],
    ["/.hidden", "%2Ehidden"],
    ["/grün", "gr%C3%BCn"],
  ];
  for (const [prefix, name] of names) assertEquals(instanceName(prefix), name);
});

Deno.test("two prefixes never share a name, and a name is one short file name", () => {
  const segment = fc.string({ minLength: 1, maxLength: 30, unit: "binary" })
    .filter((text) => !text.includes("/"));
  const prefix = fc.array(segment, { maxLength: 5 });
  fc.assert(fc.property(prefix, prefix, (a, b) => {
    const [nameA, nameB] = [a, b].map((each) => instanceName(each.join("/")));
    assert(/^[A-Za-z0-9_%-][A-Za-z0-9_.%-]{0,59}$/.test(nameA!));
    // Lone surrogates have no UTF-8; etcd has no such keys.
    const [textA, textB] = [a, b].map((each) => each.join("/").toWellFormed());
    assertEquals(nameA === nameB, textA === textB);
  }));
});

Deno.test("a second agent of the network is refused with the first one's pid", async () => {
  const directory = await Deno.makeTempDir();
  const paths = instancePaths(`${directory}/run`, "/a/b");
  assertEquals(InstanceLock.holder(paths), undefined);
  {
    using _lock = InstanceLock.acquire(paths, "/a/b", 4711);
    assertEquals(InstanceLock.holder(paths), { pid: 4711 });
    const error = assertThrows(
      () => InstanceLock.acquire(paths, "/a/b"),
      AgentRunningError,
      "process 4711 holds",
    );
    assertEquals(error.pid, 4711);
    using _other = InstanceLock.acquire(
      instancePaths(paths.runDir, "/c"),
      "/c",
    );
  }
  assertEquals(InstanceLock.holder(paths), undefined);
  using _again = InstanceLock.acquire(paths, "/a/b", 99);
  assertEquals(InstanceLock.holder(paths), { pid: 99 });
  assertEquals(await Deno.readTextFile(paths.lock), "99\n");
  await Deno.remove(directory, { recursive: true });
});

Deno.test("a run directory that cannot be made is one clear error", async () => {
  const file = await Deno.makeTempFile();
  assertThrows(
    () => InstanceLock.acquire(instancePaths(`${file}/run`, "/a"), "/a"),
    RunDirectoryError,
    `Cannot create the directory ${file}/run`,
  );
  await Deno.remove(file);
});

Deno.test("a lock whose process id cannot be written, as on a full disk, holds all the same", async () => {
  const runDir = await Deno.makeTempDir();
  try {
    const paths = instancePaths(runDir, "/full");
    await Deno.symlink("/dev/full", paths.lock);
    {
      using _lock = InstanceLock.acquire(paths, "/full");
      assertEquals(InstanceLock.holder(paths), { pid: undefined });
    }
    assertEquals(InstanceLock.holder(paths), undefined);
  } finally {
    await Deno.remove(runDir, { recursive: true });
  }
});
