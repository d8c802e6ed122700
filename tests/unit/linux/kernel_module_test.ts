import { assertEquals } from "@std/assert";
import { hasKernelModule } from "../../../linux/kernel_module.ts";

const RELEASE = "6.12.1-test";

async function found(files: Readonly<Record<string, string>>) {
  const root = await Deno.makeTempDir();
  try {
    for (const [path, text] of Object.entries(files)) {
      const directory = path.slice(0, path.lastIndexOf("/"));
      await Deno.mkdir(`${root}/${directory}`, { recursive: true });
      await Deno.writeTextFile(`${root}/${path}`, text);
    }
    return hasKernelModule("wireguard", RELEASE, root);
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
