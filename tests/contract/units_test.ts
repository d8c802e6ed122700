/**
 * The units, as systemd sees them without a host.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { run } from "../../tools/command.ts";

const PACKAGING = fromFileUrl(new URL("../../packaging/", import.meta.url));
const DOCUMENT = new URL("../../docs/systemd.md", import.meta.url);

/** 0 is the safest, 10 the least safe; they may fall, and the document with them. */
const LIMITS = { agent: 2.8, cleanup: 2.7, withoutKernelPrograms: 2.3 };

/** What systemd says about a unit, with a drop-in. */
async function exposureOf(unit: string, dropIn?: string): Promise<number> {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/${unit}`;
    await Deno.copyFile(`${PACKAGING}systemd/${unit}`, path);
    if (dropIn !== undefined) {
      await Deno.mkdir(`${path}.d`);
      await Deno.copyFile(`${PACKAGING}${dropIn}`, `${path}.d/60-drop-in.conf`);
    }
    const said = await run([
      ...["systemd-analyze", "security", "--offline=true", "--no-pager", path],
    ]);
    return Number(/exposure level for \S+: ([\d.]+)/.exec(said)![1]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("the units are not more exposed than they were, and the agent's figure is the documented one", async () => {
  const agent = await exposureOf("loden.service");
  const cleanup = await exposureOf("loden-cleanup.service");
  const less = await exposureOf(
    "loden.service",
    "examples/60-no-kernel-programs.conf",
  );
  assert(agent <= LIMITS.agent, `${agent}`);
  assert(cleanup <= LIMITS.cleanup, `${cleanup}`);
  assert(less <= LIMITS.withoutKernelPrograms, `${less}`);
  const document = await Deno.readTextFile(DOCUMENT);
  assertStringIncludes(document, `loden.service\` reports ${agent},`);
  assertStringIncludes(document, `the figure is ${less}:`);
});

/** Lines of a unit that are no comments. */
async function settingsOf(unit: string): Promise<string[]> {
  const text = await Deno.readTextFile(`${PACKAGING}systemd/${unit}`);
  return text.split("\n").filter((line) => /^\w+=/.test(line));
}

Deno.test("both units hide the same sockets and allow the same system calls", async () => {
  const shared = async (unit: string) =>
    (await settingsOf(unit)).filter((line) =>
      /^(InaccessiblePaths|SystemCallFilter|RestrictAddressFamilies|CapabilityBoundingSet)=/
        .test(line)
    );
  const agent = await shared("loden.service");
  assert(agent.length > 5);
  assertEquals(await shared("loden-cleanup.service"), agent);
});

Deno.test("the agent sees which modules the kernel has, and cannot load one", async () => {
  const agent = await settingsOf("loden.service");
  const of = (name: string) =>
    agent.filter((line) => line.startsWith(`${name}=`)).join("\n");
  // It would hide /usr/lib/modules.
  assertEquals(of("ProtectKernelModules"), "");
  assert(!/modules/.test(of("InaccessiblePaths")));
  assert(!/CAP_SYS_MODULE/.test(of("CapabilityBoundingSet")));
  assert(!/=.*@module/.test(of("SystemCallFilter")));
  assertStringIncludes(of("SystemCallFilter"), "@system-service");
});
