/**
 * The signature under SHA256SUMS, and with it under everything that is handed out.
 *
 * It is OpenSSH's (`ssh-keygen -Y sign`, PROTOCOL.sshsig), because a Debian host
 * can verify it without another package.
 *
 * @module
 */

import { DistError } from "./errors.ts";
import { output } from "./process.ts";

/** What is signed, and what the signature is called. */
export const SUMS = "SHA256SUMS";
export const SIGNATURE = `${SUMS}.sig`;

/**
 * What the key has signed: a signature that was made for another purpose does not
 * count. `docs/installation.md` has it too.
 */
const NAMESPACE = "loden-release";

/** @throws {DistError} `dist.sign-key` if there is no such file. */
export async function requireSignKey(path: string): Promise<void> {
  try {
    await Deno.stat(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new DistError(
      "dist.sign-key",
      `Cannot sign: --sign-key must be a file: there is no ${path}`,
      { hint: "ssh-keygen -t ed25519 -f FILE makes a key" },
    );
  }
}

/**
 * Signs `SHA256SUMS` in `directory`.
 *
 * @param key a private key, or a public one whose private half ssh-agent has.
 * @throws {DistError} with what ssh-keygen says.
 */
export async function signSums(directory: string, key: string): Promise<void> {
  const sums = `${directory}/${SUMS}`;
  // It asks before it overwrites.
  await removeSignature(directory);
  await output(["ssh-keygen", "-Y", "sign", "-f", key, "-n", NAMESPACE, sums], {
    cwd: Deno.cwd(),
  });
  await Deno.chmod(`${directory}/${SIGNATURE}`, 0o644);
}

/** A signature of an earlier build would be wrong for this one. */
export async function removeSignature(directory: string): Promise<void> {
  try {
    await Deno.remove(`${directory}/${SIGNATURE}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
