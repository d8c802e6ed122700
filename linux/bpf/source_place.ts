/**
 * Finds the source line of an instruction.
 *
 * Reading the stack for each of hundreds of instructions takes longer than
 * assembling and loading them. It therefore happens only after a refusal: the
 * program is then built again with {@linkcode withPlaces}.
 *
 * @module
 */

const ROOT = new URL("../../", import.meta.url).href;
/** Frames in these files belong to the DSL, not to the program. */
const OWN_FOLDER = new URL("./", import.meta.url).href;

let capturing = false;

/** The value of `build`, whose instructions know their places. */
export function withPlaces<Value>(build: () => Value): Value {
  const before = capturing;
  capturing = true;
  try {
    return build();
  } finally {
    capturing = before;
  }
}

/** {@linkcode currentPlace} inside of {@linkcode withPlaces}, otherwise nothing. */
export function placeIfAsked(): string | undefined {
  return capturing ? currentPlace() : undefined;
}

/**
 * The innermost caller outside of this folder, as `backend/udp/tx.ts:12`;
 * nothing when the stack does not say.
 */
export function currentPlace(): string | undefined {
  return placeInStack(new Error().stack ?? "");
}

/** As {@linkcode currentPlace}, for the text of a stack. */
export function placeInStack(stack: string): string | undefined {
  for (const line of stack.split("\n")) {
    const [, url, lineNumber] = /\(?(file:\/\/[^\s)]+?):(\d+):\d+\)?$/.exec(
      line,
    ) ?? [];
    if (url === undefined || url.startsWith(OWN_FOLDER)) continue;
    return `${
      url.startsWith(ROOT) ? url.slice(ROOT.length) : url
    }:${lineNumber}`;
  }
  return undefined;
}
