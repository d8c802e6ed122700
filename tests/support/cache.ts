/**
 * Large files that are made once and kept outside the source tree.
 *
 * @module
 */

import { attempt } from "../../tools/command.ts";

/** `$XDG_CACHE_HOME/loden`, as the XDG Base Directory Specification has it. */
export function cacheDirectory(): string {
  const home = Deno.env.get("HOME") ?? "/root";
  return `${Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`}/loden`;
}

/**
 * The cached file or directory `kind`-DIGEST. `make` writes it to the path that
 * it is given; the result gets its name only when it is complete, so an
 * interrupted run leaves nothing that a later run would take.
 *
 * @param key What the content depends on, as a JSON value.
 */
export async function cached(
  kind: string,
  key: unknown,
  make: (path: string) => Promise<void>,
): Promise<string> {
  const path = `${cacheDirectory()}/${kind}-${await digest(key)}`;
  if (await exists(path)) return path;
  await Deno.mkdir(cacheDirectory(), { recursive: true });
  const unfinished = await Deno.makeTempDir({
    dir: cacheDirectory(),
    prefix: "unfinished-",
  });
  try {
    await make(`${unfinished}/content`);
    await publish(`${unfinished}/content`, path);
  } finally {
    await attempt(["rm", "-rf", "--one-file-system", unfinished]);
  }
  return path;
}

/** Another process may have made the same meanwhile: its result is as good. */
async function publish(unfinished: string, path: string): Promise<void> {
  try {
    await Deno.rename(unfinished, path);
  } catch (error) {
    if (!await exists(path)) throw error;
  }
}

async function digest(key: unknown): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(key));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return hash.toHex().slice(0, 16);
}

/** Whether there is something at the path. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
