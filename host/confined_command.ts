/**
 * Commands that have other services do something, in a unit that hides their
 * sockets.
 *
 * @module
 */

/** Lists a directory. @throws if it cannot. */
export type ListDirectory = (path: string) => Iterable<unknown>;

/** Programs that speak with D-Bus, systemd or Docker. */
const ASKING = /(?:^|[\s;&|(/])(?:systemctl|service|busctl|docker)\b/;
/** `InaccessiblePaths=` of `loden.service` hides it, with the other sockets. */
const HIDDEN = "/run/dbus";

/**
 * Why a shell command will fail under this unit; `undefined` if nothing speaks
 * against it.
 */
export function whyConfined(
  command: string,
  list: ListDirectory = Deno.readDirSync,
): string | undefined {
  if (!ASKING.test(command)) return undefined;
  try {
    for (const _ of list(HIDDEN)) break;
    return undefined;
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) return undefined;
    return `"${command}" cannot reach systemd or Docker from this unit: see ` +
      "docs/systemd.md, What you may have to add";
  }
}
