/**
 * Which kinds of devices the kernel that tests run on has.
 *
 * @module
 */

/**
 * Whether this kernel makes devices of a kind, such as `wireguard`; it loads the
 * module if there is one; `words` follow the kind. For kinds whose absence is no defect of Loden's.
 */
export function hasLinkKind(kind: string, ...words: string[]): boolean {
  const { success } = new Deno.Command("unshare", {
    args: ["--net", "ip", "link", "add", "probe0", "type", kind, ...words],
    stdout: "null",
    stderr: "null",
  }).outputSync();
  return success;
}
