/**
 * How much of everything, and how long.
 *
 * @module
 */

/** See the module. */
export interface ControlSizes {
  /** Leases of other hosts. */
  readonly leases: number;
  readonly changes: number;
  /** Lease keepers that join at once. */
  readonly joiners: number;
  /** Before memory is read and the idle time begins. */
  readonly settleSeconds: number;
  readonly idleSeconds: number;
}

/** What the figures in docs/bench.md are about. */
export const FULL_SIZES: ControlSizes = {
  leases: 10_000,
  changes: 200,
  joiners: 200,
  // Until the start is over and the page cache has given back what is needed.
  settleSeconds: 35,
  idleSeconds: 30,
};

/** To see that it works. */
export const QUICK_SIZES: ControlSizes = {
  leases: 1_000,
  changes: 20,
  joiners: 20,
  settleSeconds: 2,
  idleSeconds: 3,
};
