/**
 * What can go wrong while programs are assembled, loaded and attached.
 *
 * @module
 */

import { LodenError } from "../../errors.ts";

/**
 * An instruction that cannot be encoded, or a program that does not hold
 * together. A fault of the code that wrote the program. Its code is
 * `bpf.instruction`.
 */
export class BadInstructionError extends LodenError {
  /**
   * @param what What was attempted, after "Cannot": "assemble r1 += 7".
   * @param rule "the offset must be …".
   * @param place File and line of the program, where known.
   */
  constructor(
    what: string,
    rule: string,
    value: number | bigint | string,
    place: string | undefined,
  ) {
    super(
      "bpf.instruction",
      `Cannot ${what}: ${rule}: current value is ${value}${
        place === undefined ? "" : `, at ${place}`
      }`,
    );
  }
}
