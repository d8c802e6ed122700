/**
 * The binary: one file, which needs nothing beside it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Rig } from "../rig/rig.ts";
import { recoveredRuntimeOf } from "../../tools/compile/denort_recovery.ts";
import { attempt, run } from "../../tools/command.ts";
import { binaryIn, compile } from "../support/binary.ts";
import { DATA_PATHS } from "./data_paths.ts";
import { CONFIG } from "./overlay.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
/** A tenth above the present size, so that an unwanted package shows. */
const PROGRAM_LIMIT_MB = 3.0;

Deno.test("the same sources give the same bytes, wherever they lie", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const copy = `${directory}/elsewhere/loden`;
    await Deno.mkdir(`${directory}/elsewhere`);
    await run(["cp", "-r", ROOT, copy]);
    const [here, there] = [`${directory}/here`, `${directory}/there`];
    const printed = await compile(ROOT, here);
    await compile(copy, there);
    const { stdout } = await attempt(["cmp", here, there]);
    assertEquals(stdout, "");
    const [, megabytes] = /the program is ([\d.]+) MB/.exec(printed)!;
    assert(Number(megabytes) < PROGRAM_LIMIT_MB, printed);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("where the official runtime cannot be had, compiling fails, names the other one and makes nothing", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const { npmCache } = JSON.parse(
      await run([Deno.execPath(), "info", "--json"]),
    );
    // The packages are there, the runtime is not, and there is no network.
    await Deno.symlink(npmCache, `${directory}/npm`);
    const { exitCode, stderr } = await attempt([
      ...["env", "-C", ROOT, "unshare", "--net"],
      ...[Deno.execPath(), "run", "-A", "tools/compile.ts"],
      `--output=${directory}/loden`,
    ], { env: { DENO_DIR: directory } });
    assertEquals(exitCode, 1);
    assertMatch(stderr, /^Cannot compile with Deno /m);
    assertMatch(stderr, /--runtime=recovered/);
    await assertRejects(
      () => Deno.stat(`${directory}/loden`),
      Deno.errors.NotFound,
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("it says version, commit and Deno's version, and leaves no file behind", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const binary = await binaryIn(directory);
    const temporary = `${directory}/tmp`;
    await Deno.mkdir(temporary);
    const env = { TMPDIR: temporary };
    const { exitCode, stderr } = await attempt([binary, "--version"], { env });
    assertEquals(exitCode, 0);
    assertMatch(
      stderr,
      /^\d+\.\d+\.\d+\ncommit ([0-9a-f]{40}(-dirty)?|unknown), Deno \d+\.\d+\.\d+\n$/,
    );
    const { commit, runtime } = JSON.parse(
      await run([binary, "version", "--json"], {
        env,
      }),
    );
    assertMatch(stderr, new RegExp(`^commit ${commit},`, "m"));
    // It is what the binary really begins with.
    const recovered = await recoveredRuntimeOf(binary);
    assertEquals(runtime, recovered?.origin ?? "official");
    // Above all no code cache: a user who creates one would run code as root.
    assertEquals([...Deno.readDirSync(temporary)], []);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

for (const dataPath of DATA_PATHS) {
  Deno.test(`${dataPath}: an agent runs without the sources, without a home and without Deno's cache`, async () => {
    await using rig = await Rig.create({ hosts: 1 });
    await rig.startEtcd();
    await rig.publish(CONFIG);
    const binary = `${rig.directory}/loden`;
    await Deno.copyFile(await binaryIn(rig.directory), `${binary}.copy`);
    await Deno.rename(`${binary}.copy`, binary);
    const { denoDir } = JSON.parse(
      await run([Deno.execPath(), "info", "--json"]),
    );
    const home = Deno.env.get("HOME") ?? "/root";
    const agent = await rig.startAgent(rig.host(0), {
      flags: [`--datapath=${dataPath}`],
      prepare: [ROOT, denoDir, home].map((path) =>
        `if [ -d ${path} ]; then mount -t tmpfs none ${path}; fi`
      ),
      program: [binary],
    });
    await agent.ready();
    const { FLANNEL_SUBNET } = await agent.subnetEnv();
    assertMatch(FLANNEL_SUBNET!, /\/24$/);
    assertEquals(await agent.stop(), 0);
  });
}
