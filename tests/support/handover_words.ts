/**
 * Where the threads of the hand-over's test note what they do: words in a part
 * of the memory that no packet uses there.
 *
 * @module
 */

import { TX_HEADERS } from "../../backend/udp/tun/layout.ts";

const FIRST = TX_HEADERS >> 2;

/** Not 0 while a thread receives. */
export const OCCUPIED: number = FIRST;
/** How often a thread began to receive while another did. */
export const COLLISIONS: number = FIRST + 1;
/** What each has received. */
export const BY_PRIMARY: number = FIRST + 2;
export const BY_HELPER: number = FIRST + 3;
