/**
 * Extracts from the verifier's log the text for an operator and the refused
 * instruction.
 *
 * The log follows the verifier through the program, one line `12: (85) call …`
 * for each instruction it looks at, and ends with the reason and a line of
 * statistics. Instructions refused before that are named `insn 12` in the text.
 * Source: `kernel/bpf/verifier.c`, `kernel/bpf/log.c`.
 *
 * @module
 */

/** Enough of the end to show the path to the refusal. */
const SHOWN_LINES = 12;

/** The index of the refused instruction in slots of 8 bytes, where it is named. */
export function refusedSlot(log: string): number | undefined {
  let slot: number | undefined;
  for (const [, walked] of log.matchAll(/^(\d+): \([0-9a-f]{2}\) /gm)) {
    slot = Number(walked);
  }
  if (slot !== undefined) return slot;
  const named = /\binsn (\d+)/.exec(log)?.[1];
  return named === undefined ? undefined : Number(named);
}

/** The last lines, without the statistics, joined by ` | `. */
export function lastLines(log: string, count: number = SHOWN_LINES): string {
  return log
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^processed \d+ insns/.test(line))
    .slice(-count)
    .join(" | ");
}
