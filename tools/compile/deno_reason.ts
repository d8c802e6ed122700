/**
 * What Deno says when it fails.
 *
 * @module
 */

/**
 * The cause that names an address, or Deno's last two lines; without the numbers
 * of its causes and the stack that follows them.
 */
export function denoReason(stderr: string): string {
  const [words] = stderr.split("\n\nStack backtrace");
  const lines = words!.split("\n")
    .map((line) => line.trim().replace(/^\d+: /, ""))
    .filter((line) => line !== "" && line !== "Caused by:");
  return lines.find((line) => line.includes(" for url (")) ??
    (lines.slice(-2).join(": ") || "it gave no reason");
}
