/**
 * The programs' conversation with the benchmark: `ready`, and then an answer in
 * JSON to each line, which is a number of milliseconds to work.
 *
 * @module
 */

/** Returns when standard input ends. */
export function answerLines(work: (milliseconds: number) => unknown): void {
  console.log("ready");
  const buffer = new Uint8Array(64);
  for (;;) {
    const length = Deno.stdin.readSync(buffer);
    if (length === null) return;
    const line = new TextDecoder().decode(buffer.subarray(0, length));
    console.log(JSON.stringify(work(Number(line))));
  }
}
