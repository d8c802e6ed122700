/**
 * What tests may expect of the kernel that they run on.
 *
 * @module
 */

/**
 * Whether this kernel is `version` or later; `version` is `6.6`. For features of
 * the mainline kernel whose absence is no defect of Loden's.
 */
export function linuxSince(
  version: string,
  release: string = Deno.osRelease(),
): boolean {
  const [major, minor] = numbers(version);
  const [ownMajor, ownMinor] = numbers(release);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

function numbers(text: string): [number, number] {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined || minor === undefined) {
    throw new Error(
      `Cannot compare kernels: a release must be like 6.12: it is ${text}`,
    );
  }
  return [Number(major), Number(minor)];
}
