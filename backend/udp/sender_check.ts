/**
 * What is done with a packet whose inner source is not its sender's to use.
 *
 * @module
 */

/** `count` lets it pass and counts it, `off` only lets it pass. */
export type SenderCheck = "strict" | "count" | "off";
