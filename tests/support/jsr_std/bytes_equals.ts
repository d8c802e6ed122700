/**
 * What `jsr:@std/bytes@1/equals` exports.
 *
 * @module
 */

export declare function equals(a: Uint8Array, b: Uint8Array): boolean;
