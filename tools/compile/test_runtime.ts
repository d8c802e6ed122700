/**
 * Which runtime the tests compile with.
 *
 * @module
 */

import type { RuntimeKind } from "./compile_runtime.ts";

const SITE = "https://dl.deno.land";
/** Where there is no network, the answer comes at once. */
const ANSWER_LIMIT_MS = 5_000;

/** What {@linkcode findTestRuntime} asks. */
export interface RuntimeSources {
  /** Whether Deno's cache has the file: a path below the site. */
  isCached(path: string): Promise<boolean>;
  /** Whether the site has it. @throws when it does not answer. */
  isOffered(url: string, signal: AbortSignal): Promise<boolean>;
}

/**
 * The official runtime of this Deno for `target`; only where neither Deno's cache
 * nor its site has it, the recovered one. That is reported: such tests run another
 * Deno than a release has.
 */
export async function findTestRuntime(
  target: string,
  report: (line: string) => void,
  signal: AbortSignal,
  sources: RuntimeSources = { isCached, isOffered },
): Promise<RuntimeKind> {
  const path = `release/v${Deno.version.deno}/denort-${target}.zip`;
  if (await sources.isCached(path)) return "official";
  const limit = AbortSignal.timeout(ANSWER_LIMIT_MS);
  let why: string;
  try {
    const either = AbortSignal.any([signal, limit]);
    if (await sources.isOffered(`${SITE}/${path}`, either)) return "official";
    why = `${SITE} does not have ${path}`;
  } catch (error) {
    signal.throwIfAborted();
    why = `${SITE} does not answer (${(error as Error).message})`;
  }
  report(`${why}: compiling with --runtime=recovered`);
  return "recovered";
}

async function isCached(path: string): Promise<boolean> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json"],
  }).output();
  const { denoDir } = JSON.parse(new TextDecoder().decode(stdout));
  try {
    await Deno.stat(`${denoDir}/dl/${path}`);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function isOffered(url: string, signal: AbortSignal): Promise<boolean> {
  const response = await fetch(url, { method: "HEAD", signal });
  await response.body?.cancel();
  return response.ok;
}
