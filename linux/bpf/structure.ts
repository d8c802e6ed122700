/**
 * Memory shared with the kernel for one call.
 *
 * @module
 */

import { addressOf } from "../libc.ts";
import { ATTRIBUTE_BYTES, type Layout, NAME_BYTES } from "./layouts.ts";

/**
 * Zeroed memory that never moves: V8 keeps small arrays inside its heap, where
 * they may move, unless they are made from a buffer.
 */
export function fixedBytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length));
}

/** A copy that never moves. */
export function fixedCopy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = fixedBytes(bytes.length);
  copy.set(bytes);
  return copy;
}

/** A structure as the kernel sees it. */
export interface Shared {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly address: number;
}

/** The fields of one structure. It keeps alive what it points to. */
export class Structure<Fields extends Layout> implements Shared {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly address: number;
  readonly #layout: Fields;
  readonly #view: DataView<ArrayBuffer>;
  readonly #pointedTo = new Map<keyof Fields, ArrayBufferView>();

  constructor(layout: Fields, length: number = ATTRIBUTE_BYTES) {
    this.#layout = layout;
    this.bytes = fixedBytes(length);
    this.address = addressOf(this.bytes);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** Puts a number; of a negative one its two's complement. */
  set(field: keyof Fields, value: number | bigint): this {
    const { offset, bytes } = this.#layout[field]!;
    if (bytes === 8) this.#view.setBigUint64(offset, BigInt(value), true);
    else this.#view.setUint32(offset, Number(value), true);
    return this;
  }

  /** Puts the address of `memory`, 0 for none. */
  point(field: keyof Fields, memory: Uint8Array<ArrayBuffer>): this {
    if (memory.length === 0) return this.set(field, 0);
    this.#pointedTo.set(field, memory);
    return this.set(field, addressOf(memory));
  }

  /** Puts an object's name of 15 bytes or less. */
  setName(field: keyof Fields, name: string): this {
    this.bytes.set(
      new TextEncoder().encode(name).subarray(0, NAME_BYTES - 1),
      this.#layout[field]!.offset,
    );
    return this;
  }

  /** A 32-bit number. */
  get(field: keyof Fields): number {
    return this.#view.getUint32(this.#layout[field]!.offset, true);
  }

  getName(field: keyof Fields): string {
    const name = this.getBytes(field, NAME_BYTES);
    const end = name.indexOf(0);
    return new TextDecoder().decode(end < 0 ? name : name.subarray(0, end));
  }

  getBytes(field: keyof Fields, length: number): Uint8Array {
    const { offset } = this.#layout[field]!;
    return this.bytes.slice(offset, offset + length);
  }
}
