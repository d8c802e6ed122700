/**
 * The files of one package of npm, as its authors packed them.
 *
 * @module
 */

import { run } from "./command.ts";

/**
 * Unpacks a package below `directory`, where its files are in `package/`. It is
 * not installed: nothing that it depends on is fetched, and none of its scripts
 * run.
 *
 * @param name with a version: `esbuild@0.28.1`.
 */
export async function unpackNpmArchive(
  name: string,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const target = ["--pack-destination", directory];
  await run(["npm", "pack", "--loglevel=error", name, ...target], { signal });
  const archive = [...Deno.readDirSync(directory)].find(({ name }) =>
    name.endsWith(".tgz")
  );
  const path = `${directory}/${archive!.name}`;
  await run(["tar", "-xzf", path, "-C", directory], { signal });
  await Deno.remove(path);
}
