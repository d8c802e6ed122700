/**
 * A request of a message family.
 *
 * @module
 */

/** A request, before it gets a sequence number and the flags of every request. */
export interface NetlinkRequest {
  /** `RTM_*`. */
  readonly type: number;
  /** Flags that change its meaning, such as `REQUEST_FLAG.CREATE`. */
  readonly flags: number;
  /** The family's header and attributes. */
  readonly payload: Uint8Array;
}

/** AF_INET: all addresses and routes here are IPv4. */
export const AF_INET = 2;
