/**
 * What happens to an agent under traffic, and what that costs.
 *
 * @module
 */

import type { LinkMode } from "../../tests/rig/link_mode.ts";

/** `none` is for comparison: what the traffic loses without a restart. */
export type Action = "none" | "kill" | "restart" | "upgrade";

/** What happens, and whether etcd can be reached meanwhile. */
export interface Disturbance {
  /**
   * `kill` is SIGKILL, a pause without agent, and a start; `restart` is SIGTERM
   * and a start; `upgrade` is the same into an agent that carries packets in
   * another way.
   */
  readonly action: Action;
  readonly etcd: "up" | "away";
}

/** What a ping and a TCP stream went through. */
export interface TrafficCourse {
  /** Echo requests, one every 5 ms, and how many of them had no answer. */
  readonly pingSent: number;
  readonly pingLost: number;
  /** The longest time without answers: lost ones in a row, 5 ms each. */
  readonly pingOutageMs: number;
  /** Whether the TCP stream moved data at the end. */
  readonly streamAlive: boolean;
  /** The longest time in which it moved none, in steps of 100 ms. */
  readonly streamPauseMs: number;
}

/** One disturbance of the receiving host's agent. */
export interface RestartFigures extends Disturbance, TrafficCourse {
  readonly mode: LinkMode;
}

/** In this order. */
export const DISTURBANCES: readonly Disturbance[] = [
  { action: "none", etcd: "up" },
  { action: "kill", etcd: "up" },
  { action: "restart", etcd: "up" },
  { action: "upgrade", etcd: "up" },
  { action: "kill", etcd: "away" },
  { action: "restart", etcd: "away" },
  { action: "upgrade", etcd: "away" },
];

/** Those of a quick look. */
export const FEW_DISTURBANCES: readonly Disturbance[] = DISTURBANCES.filter(
  ({ action, etcd }) =>
    (action === "kill" && etcd === "up") ||
    (action === "upgrade" && etcd === "away"),
);
