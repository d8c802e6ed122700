/**
 * The loop of the programs that send what they read.
 *
 * @module
 */

/** Sends each line of standard input, hexadecimal, and answers it with a dot. */
export async function sendLines(
  send: (bytes: Uint8Array) => void | Promise<void>,
): Promise<void> {
  const sendOne = async (line: string) => {
    await send(Uint8Array.fromHex(line));
    await Deno.stdout.write(new Uint8Array([0x2e]));
  };
  let rest = "";
  const input = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  for await (const text of input) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) await sendOne(line);
  }
  if (rest !== "") await sendOne(rest);
}
