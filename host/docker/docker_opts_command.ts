/**
 * `loden docker-opts`: mk-docker-opts.sh's command line (compat 5).
 *
 * @module
 */

import { writeFileAtomically } from "../../linux/atomic_file.ts";
import { FileWriteError } from "../../linux/file_errors.ts";
import { parseDotenv } from "../../linux/dotenv.ts";
import { type DockerOptsContent, renderDockerOpts } from "./docker_opts.ts";
import { DockerOptsError } from "../errors.ts";

/** A parsed command line. */
export interface DockerOptsArguments {
  /** `-f`: the subnet file; it may be absent. */
  readonly subnetFile: string;
  /** `-d`: the file to write. */
  readonly outputFile: string;
  readonly content: DockerOptsContent;
}

/** Printed on stderr for a bad option, `-h` and `-?`; exit code 1. */
export const DOCKER_OPTS_USAGE =
  `loden docker-opts [-f FLANNEL-ENV-FILE] [-d DOCKER-ENV-FILE] [-i] [-c] [-m] [-k COMBINED-KEY]

Generate Docker daemon options based on the subnet file
OPTIONS:
  -f  the subnet file, /run/flannel/subnet.env by default; it may be absent
  -d  the file to write, /run/docker_opts.env by default
  -i  write each option as a variable of its own, e.g. DOCKER_OPT_MTU="--mtu=1472"
  -c  write all options into one variable; without -i and -c, both are written
  -k  the name of that one variable, DOCKER_OPTS by default
  -m  leave --ip-masq out
`;

/**
 * Parses the options like the shell's `getopts`: they may be joined (`-ic`), a
 * value may follow directly (`-kNAME`) or as the next word, and parsing ends at
 * the first other word or `--`; the rest is ignored.
 *
 * @throws {DockerOptsError} with `usage` set, if the script would print its
 * usage: exit code 1, unlike Loden's other commands.
 */
export function parseDockerOptsArguments(
  words: readonly string[],
): DockerOptsArguments {
  const flags = new Set<string>();
  const values: Record<string, string> = {
    f: "/run/flannel/subnet.env",
    d: "/run/docker_opts.env",
    k: "DOCKER_OPTS",
  };
  const rest = [...words];
  for (;;) {
    const word = rest.shift();
    if (word === undefined || !/^-./.test(word) || word === "--") break;
    let letters = word.slice(1);
    while (letters !== "") {
      const letter = letters[0]!;
      letters = letters.slice(1);
      if (letter in values) {
        const value = letters === "" ? rest.shift() : letters;
        if (value === undefined) throw usageError(`-${letter} needs a value`);
        values[letter] = value;
        letters = "";
      } else if ("icm".includes(letter)) {
        flags.add(letter);
      } else if ("h?".includes(letter)) {
        throw usageError(undefined);
      } else {
        throw usageError(`-${letter} is not an option`);
      }
    }
  }
  if (values.d === "") throw usageError("-d must be the path of a file");
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(values.k!)) {
    throw usageError(
      `-k must be the name of a variable: current value is ${
        JSON.stringify(values.k)
      }`,
    );
  }
  const both = !flags.has("i") && !flags.has("c");
  return {
    subnetFile: values.f!,
    outputFile: values.d!,
    content: {
      individual: both || flags.has("i"),
      combined: both || flags.has("c"),
      combinedKey: values.k!,
      ipMasq: !flags.has("m"),
    },
  };
}

function usageError(problem: string | undefined): DockerOptsError {
  const message = problem
    ? `Cannot read the command line: ${problem}`
    : "Help was asked for";
  return new DockerOptsError(message, { usage: DOCKER_OPTS_USAGE });
}

/**
 * The text for `outputFile`. The variables of the subnet file, if there is one,
 * override the environment, as if a shell had sourced the file.
 *
 * @throws {DockerOptsError} for an unreadable or invalid file.
 */
export async function makeDockerOpts(
  options: DockerOptsArguments,
  environment: Readonly<Record<string, string>>,
  readTextFile: (path: string) => Promise<string> = Deno.readTextFile,
): Promise<string> {
  const file = await readIfPresent(options.subnetFile, readTextFile);
  const variables = {
    ...environment,
    ...Object.fromEntries(parseDotenv(file)),
  };
  return renderDockerOpts(variables, options.content);
}

async function readIfPresent(
  path: string,
  readTextFile: (path: string) => Promise<string>,
): Promise<string> {
  try {
    return await readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    const reason = error instanceof Error ? error.message : String(error);
    throw new DockerOptsError(`Cannot read ${path}: ${reason}`, {
      cause: error,
    });
  }
}

/**
 * Writes the text to `path`; a new file has mode 0644. A device or a pipe, such
 * as `/dev/stdout`, is written to and stays.
 *
 * @throws {FileWriteError} naming the path and the reason.
 */
export async function writeDockerOpts(
  path: string,
  text: string,
): Promise<void> {
  if (await isDevice(path)) {
    try {
      await Deno.writeTextFile(path, text);
    } catch (error) {
      throw new FileWriteError(path, error);
    }
  } else {
    await writeFileAtomically(path, text, { mode: 0o644 });
  }
}

async function isDevice(path: string): Promise<boolean> {
  try {
    const info = await Deno.stat(path);
    return !info.isFile && !info.isDirectory;
  } catch {
    // Writing reports whatever is wrong with the path.
    return false;
  }
}
