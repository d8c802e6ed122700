/**
 * The project's files in another place.
 *
 * @module
 */

import { run } from "../../tools/command.ts";

/** Copies the working tree as it is, without what git ignores. */
export async function copyTree(
  target: string,
  signal: AbortSignal,
): Promise<void> {
  await run([
    "sh",
    "-ec",
    "git ls-files -z --cached --others --exclude-standard | " +
    // A file that is deleted and not yet committed is listed, too.
    'xargs -0 sh -c \'for file; do [ ! -e "$file" ] || ' +
    'printf "%s\\0" "$file"; done\' sh | ' +
    'tar --create --null --files-from=- | tar --extract --directory="$1"',
    "sh",
    target,
  ], { signal });
}
