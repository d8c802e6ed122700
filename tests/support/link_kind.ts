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
  return makesLink(["probe0", "type", kind, ...words]);
}

/** The same of kinds that are made above another device, such as `vlan`. */
export function hasUpperKind(kind: string, ...words: string[]): boolean {
  return makesLink(["link", "base0", "name", "probe0", "type", kind, ...words]);
}

function makesLink(words: readonly string[]): boolean {
  const script = 'ip link add base0 type bridge && ip link add "$@"';
  const { success } = new Deno.Command("unshare", {
    args: ["--net", "sh", "-c", script, "sh", ...words],
    stdout: "null",
    stderr: "null",
  }).outputSync();
  return success;
}
