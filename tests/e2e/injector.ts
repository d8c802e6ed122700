/**
 * A process in a namespace of a rig that sends what it is given, as long as the
 * rig exists.
 *
 * @module
 */

import type { NetNamespace } from "../rig/namespace.ts";
import { program } from "./programs/path.ts";

/** See the module's text. */
export class Injector {
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;

  private constructor(namespace: NetNamespace, command: readonly string[]) {
    const [first, ...args] = [...namespace.commandPrefix, ...command];
    const child = new Deno.Command(first!, {
      args,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = child.stdin.getWriter();
    this.#answers = child.stdout
      .pipeThrough(new TextDecoderStream()).getReader();
  }

  /**
   * Sends frames out of a device, each behind ten bytes of `struct
   * virtio_net_hdr`.
   */
  static frames(namespace: NetNamespace, device: string): Injector {
    return new Injector(namespace, program("frame_inject.ts", device));
  }

  /** Sends datagrams to an address, from and to the same port. */
  static datagrams(
    namespace: NetNamespace,
    address: string,
    port: number,
  ): Injector {
    const command = program("udp_inject.ts", address, String(port));
    return new Injector(namespace, command);
  }

  /** Returns when the kernel has taken all of them, in order. */
  async send(packets: readonly Uint8Array[]): Promise<void> {
    const lines = packets.map((bytes) => `${bytes.toHex()}\n`).join("");
    await this.#input.write(new TextEncoder().encode(lines));
    let answers = "";
    while (answers.length < packets.length) {
      const { done, value } = await this.#answers.read();
      if (done) throw new Error("Cannot send packets: the program has ended");
      answers += value;
    }
  }
}
