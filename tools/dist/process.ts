/**
 * The programs that a distribution is made with.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import { DistError } from "./errors.ts";

/** The source tree, with a slash at the end. */
export const ROOT: string = fromFileUrl(new URL("../../", import.meta.url));

/** Where and with what a program runs. */
export interface ProcessOptions {
  /** By default the source tree. */
  readonly cwd?: string;
  /** On top of this process's own. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * What a program prints.
 *
 * @throws {DistError} `dist.program` when it ends with another code than 0.
 */
export async function output(
  [program, ...args]: readonly [string, ...string[]],
  { cwd = ROOT, env = {} }: ProcessOptions = {},
): Promise<string> {
  const { code, stderr, stdout } = await new Deno.Command(program, {
    args,
    cwd,
    env: { ...env, LC_ALL: "C.UTF-8" },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  if (code === 0) return text.decode(stdout);
  const said = text.decode(stderr) + text.decode(stdout);
  throw new DistError(
    "dist.program",
    `Cannot continue: ${program} ${args.join(" ")} must end with code 0: ` +
      `current value is ${code}:\n${said.trimEnd()}`,
  );
}
