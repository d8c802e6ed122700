/**
 * Files that may be missing, as in `/proc` and `/sys`.
 *
 * @module
 */

/** Its text; `undefined` if it is missing or this user may not read it. */
export function readIfThere(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}
