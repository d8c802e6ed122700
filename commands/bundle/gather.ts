/**
 * Gathers the parts of a bundle. Nothing that fails or hangs stops the rest.
 *
 * @module
 */

import { abortable } from "@std/async/abortable";
import { describeError } from "../../errors.ts";
import type { Clock } from "../../linux/clock.ts";
import {
  CommandMissingError,
  type CommandRunner,
} from "../../linux/command.ts";

/** One file of the bundle. */
export interface Part {
  readonly file: string;
  /** One line for the README. */
  readonly about: string;
  /** Its text, and notes on what is missing in it. */
  readonly gather: (signal: AbortSignal) => Promise<Gathered> | Gathered;
}

/** What there is of a part. */
export interface Gathered {
  readonly text: string;
  /** Sentences such as `nft: there is no such program`. */
  readonly missing?: readonly string[];
}

/** A part as it goes into the bundle. */
export interface GatheredPart extends Pick<Part, "file" | "about"> {
  /** `undefined`: nothing could be gathered. */
  readonly text: string | undefined;
  readonly missing: readonly string[];
  readonly milliseconds: number;
}

/** How to gather. */
export interface GatherOptions {
  readonly clock: Clock;
  /** Of each part. */
  readonly limitMs: number;
  /** Ends everything; rejects with its reason. */
  readonly signal: AbortSignal;
  /** Called with the files that are waited for. */
  readonly onWait: (files: readonly string[]) => void;
}

/** So many parts at a time: a host in trouble has other things to do. */
const AT_ONCE = 4;
/** Of one part; the end of a longer text is cut off, and that is said. */
const LARGEST_CHARACTERS = 16 * 1024 * 1024;

/** In the order of `parts`. */
export async function gather(
  parts: readonly Part[],
  { clock, limitMs, onWait, signal }: GatherOptions,
): Promise<GatheredPart[]> {
  const results = new Map<Part, GatheredPart>();
  const waiting: Part[] = [];
  const queue = [...parts];
  const tell = () => onWait(waiting.map(({ file }) => file));
  const work = async () => {
    for (let part = queue.shift(); part !== undefined; part = queue.shift()) {
      waiting.push(part);
      tell();
      results.set(part, await gatherOne(part, clock, limitMs, signal));
      waiting.splice(waiting.indexOf(part), 1);
      tell();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return parts.map((part) => results.get(part)!);
}

async function gatherOne(
  part: Part,
  clock: Clock,
  limitMs: number,
  signal: AbortSignal,
): Promise<GatheredPart> {
  const { about, file } = part;
  const begin = clock.monotonic();
  const late = new AbortController();
  const done = new AbortController();
  clock.sleep(limitMs, done.signal).then(
    () => late.abort(new DOMException("it takes too long", "TimeoutError")),
    () => {},
  );
  const ending = AbortSignal.any([signal, late.signal]);
  let gathered: Partial<Gathered>;
  try {
    ending.throwIfAborted();
    // The work may not heed the signal.
    gathered = await abortable(Promise.try(() => part.gather(ending)), ending);
  } catch (error) {
    signal.throwIfAborted();
    const reason = late.signal.aborted
      ? `not gathered within ${limitMs / 1_000} seconds`
      : describeError(error);
    gathered = { missing: [reason] };
  } finally {
    done.abort();
  }
  const { missing = [], text } = gathered;
  const isCut = text !== undefined && text.length > LARGEST_CHARACTERS;
  return {
    file,
    about,
    text: isCut ? wholeLines(text.slice(0, LARGEST_CHARACTERS)) : text,
    missing: isCut
      ? [...missing, `cut off after ${LARGEST_CHARACTERS} characters`]
      : missing,
    milliseconds: Math.round(clock.monotonic() - begin),
  };
}

/** Half of a secret would not be recognised. */
function wholeLines(text: string): string {
  return text.slice(0, text.lastIndexOf("\n") + 1);
}

/** Shorter than the limit of a part, so that what the others said is kept. */
const COMMAND_MS = 5_000;

/** The outputs of programs, each below its command line. */
export async function outputs(
  runner: CommandRunner,
  commands: readonly string[],
  signal: AbortSignal,
): Promise<Gathered> {
  const blocks: string[] = [];
  const missing: string[] = [];
  for (const command of commands) {
    const [program, ...words] = command.split(" ");
    const name = `${program} ${words[0]}`;
    const late = AbortSignal.timeout(COMMAND_MS);
    try {
      const { code, stderr, stdout } = await runner.run(program!, words, {
        signal: AbortSignal.any([signal, late]),
      });
      blocks.push(`$ ${command}\n${stdout}${stderr}`);
      if (code !== 0) {
        const [said = ""] = stderr.trim().split("\n");
        missing.push(`${name}: exit code ${code}: ${said}`);
      }
    } catch (error) {
      if (late.aborted) {
        missing.push(
          `${name}: not ended within ${COMMAND_MS / 1_000} seconds`,
        );
        break;
      }
      if (!(error instanceof CommandMissingError)) throw error;
      missing.push(`${program}: there is no such program`);
    }
  }
  return { text: blocks.join("\n"), missing };
}
