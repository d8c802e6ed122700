/**
 * Which kinds of devices the kernel that tests run on has.
 *
 * @module
 */

/**
 * Whether this kernel makes devices of a kind, such as `wireguard`; it loads the
 * module if there is one. For kinds whose absence is no defect of Loden's.
 */
export function hasLinkKind(kind: string): boolean {
  const { success } = new Deno.Command("unshare", {
    args: ["--net", "ip", "link", "add", "probe0", "type", kind],
    stdout: "null",
    stderr: "null",
  }).outputSync();
  return success;
}
