/**
 * The control group in which a booted host lives: two hosts in one would take
 * each other's units for their own.
 *
 * Everything that takes down is synchronous, see `teardown.ts`.
 *
 * @module
 */

/** How long killed processes may take to be gone. */
const END_MS = 5_000;

/** Mount points of the hierarchies in which systemd makes groups. */
export function hierarchies(
  mounts: string = Deno.readTextFileSync("/proc/self/mounts"),
): { unified: string; all: string[] } {
  const found = mounts.split("\n").map((line) => line.split(" "));
  const unified = found.find(([, , type]) => type === "cgroup2")?.[1];
  if (unified === undefined) {
    throw new Error(
      "Cannot make a booted host: the machine must have control groups of " +
        "version 2: /proc/self/mounts names none",
    );
  }
  const named = found.filter(([, , type, options]) =>
    type === "cgroup" && options?.split(",").includes("name=systemd")
  ).map(([, path]) => path!);
  return { unified, all: [unified, ...named] };
}

/**
 * Kills what runs in the groups at the top whose name is wanted, and removes
 * them.
 */
export function destroyControlGroups(wanted: (name: string) => boolean): void {
  let all: string[];
  let unified: string;
  try {
    ({ all, unified } = hierarchies());
  } catch {
    // No such groups on this machine: nothing was made in them.
    return;
  }
  for (const hierarchy of all) {
    for (const name of directories(hierarchy).filter(wanted)) {
      const group = `${hierarchy}/${name}`;
      try {
        if (hierarchy === unified) kill(group);
        removeTree(group);
      } catch (error) {
        // Another process has removed the same leftover meanwhile.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }
}

function kill(group: string): void {
  Deno.writeTextFileSync(`${group}/cgroup.kill`, "1");
  const deadline = performance.now() + END_MS;
  while (
    /^populated 1$/m.test(Deno.readTextFileSync(`${group}/cgroup.events`)) &&
    performance.now() < deadline
  ) pause(10);
}

/** A group with processes that are about to be gone is busy for a moment. */
function removeTree(group: string): void {
  for (const name of directories(group)) removeTree(`${group}/${name}`);
  const deadline = performance.now() + END_MS;
  for (;;) {
    try {
      return Deno.removeSync(group);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      if (performance.now() > deadline) throw error;
      pause(10);
    }
  }
}

function directories(path: string): string[] {
  return [...Deno.readDirSync(path)].filter((entry) => entry.isDirectory)
    .map((entry) => entry.name);
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
