// The data path's byte work: the module that `tools/build_wasm.ts` compiles.

import { count } from "./shared.as";

export { isPeerAddress, peerOf, useTable } from "./peers.as";
export { beginReceive, endReceive, receive } from "./receive.as";
export { gather, recordDrop, setMemoryBase } from "./shared.as";
export { cut, transmit } from "./transmit.as";

/** Adds to a counter, for what happens outside of the module. */
export function addCount(counter: u32, by: u32): void {
  count(counter, by);
}
