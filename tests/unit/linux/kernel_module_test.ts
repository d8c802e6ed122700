import { assertEquals } from "@std/assert";
import {
  canLoadModules,
  hasKernelModule,
  kernelModuleState,
} from "../../../linux/kernel_module.ts";

const RELEASE = "6.12.1-test";

function found(files: Readonly<Record<string, string>>) {
  return inRoot(files, (root) => hasKernelModule("wireguard", RELEASE, root));
}

async function inRoot<T>(
  files: Readonly<Record<string, string>>,
  look: (root: string) => T,
): Promise<T> {
  const root = await Deno.makeTempDir();
  try {
    for (const [path, text] of Object.entries(files)) {
      const directory = path.slice(0, path.lastIndexOf("/"));
      await Deno.mkdir(`${root}/${directory}`, { recursive: true });
      await Deno.writeTextFile(`${root}/${path}`, text);
    }
    return look(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("a module is found where it is loaded, can be loaded, or is built in", async () => {
  const directory = `lib/modules/${RELEASE}`;
  const path = "kernel/drivers/net/wireguard/wireguard.ko";
  assertEquals(await found({ "sys/module/wireguard/version": "1" }), true);
  assertEquals(
    await found({ [`${directory}/modules.dep`]: `a.ko:\n${path}.xz: b.ko\n` }),
    true,
  );
  assertEquals(
    await found({ [`${directory}/modules.builtin`]: `${path}\n` }),
    true,
  );
  assertEquals(
    await found({ [`${directory}/modules.dep`]: "kernel/net/tun.ko:\n" }),
    false,
  );
  // As in a container: there may be one.
  assertEquals(await found({}), undefined);
});

Deno.test("a module that can be loaded is told from one that is there", async () => {
  const directory = `lib/modules/${RELEASE}`;
  const path = "kernel/net/sched/sch_ingress.ko";
  const state = (files: Readonly<Record<string, string>>) =>
    inRoot(files, (root) => kernelModuleState("sch_ingress", RELEASE, root));
  const loadable = { [`${directory}/modules.dep`]: `${path}.zst:\n` };
  assertEquals(await state(loadable), "loadable");
  assertEquals(
    await state({ ...loadable, "sys/module/sch_ingress/refcnt": "0" }),
    "present",
  );
  assertEquals(
    await state({ [`${directory}/modules.builtin`]: `${path}\n` }),
    "present",
  );
  assertEquals(
    await state({ [`${directory}/modules.dep`]: "kernel/net/tun.ko:\n" }),
    "absent",
  );
  assertEquals(await state({}), undefined);
});

Deno.test("a kernel without modules, or one that takes no more, loads none", async () => {
  const can = (files: Readonly<Record<string, string>>) =>
    inRoot(files, canLoadModules);
  assertEquals(await can({}), false);
  assertEquals(await can({ "proc/modules": "" }), true);
  const off = "proc/sys/kernel/modules_disabled";
  assertEquals(await can({ "proc/modules": "", [off]: "0\n" }), true);
  assertEquals(await can({ "proc/modules": "", [off]: "1\n" }), false);
});
