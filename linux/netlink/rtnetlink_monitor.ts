/**
 * Notifies of changes of links, addresses and routes in a network namespace.
 *
 * @module
 */

/**
 * What may be different from what a list said before. `neighbours`: of a device
 * that the monitor was asked to watch, with its forwarding entries.
 */
export type RtnetlinkTable = "links" | "addresses" | "routes" | "neighbours";

/**
 * What every monitor reports; everything if the kernel had to drop a
 * notification.
 */
export const RTNETLINK_TABLES: readonly RtnetlinkTable[] = [
  "links",
  "addresses",
  "routes",
];

/**
 * Notices every change from its making on, also before `changes` is called and
 * between two rounds of its loop.
 */
export interface RtnetlinkMonitor extends Disposable {
  /**
   * Tables that changed, as often as there is something new, many changes at
   * once; ends when `signal` is aborted. Our own changes count as well, unless
   * the creator of the monitor excluded some. Routes that disappeared with
   * their device are reported as a change of links only, as the kernel does.
   * One loop at a time; dispose of the monitor after it.
   *
   * Throws {@linkcode SystemCallError}.
   */
  changes(signal: AbortSignal): AsyncGenerator<ReadonlySet<RtnetlinkTable>>;
}
