/**
 * Warnings: what is wrong right now, as registered data.
 *
 * Each warning has one code, severity and meaning, registered here. Status, the
 * log, `/healthz` and `/readyz` all use this set (after tailscale's
 * `health/health.go`).
 *
 * @module
 */

import type { Clock } from "../../linux/clock.ts";

/**
 * `error`: packets or Docker are affected; `warning`: they work, but a
 * safeguard is missing.
 */
export type WarningSeverity = "error" | "warning";

/** The meaning of a code; the text of an occurrence has the details. */
export interface WarningDefinition {
  readonly severity: WarningSeverity;
  /** What does not work while this warning is raised. */
  readonly impairs: string;
  /** Whether a restart of the agent may solve it; `/healthz` fails then. */
  readonly restartMayCure: boolean;
}

/** Every warning that the agent can raise. The codes are an interface. */
export const warningDefinitions = {
  "config.missing": {
    severity: "error",
    impairs: "this host has no subnet",
    restartMayCure: false,
  },
  "config.invalid": {
    severity: "error",
    impairs: "this host has no subnet",
    restartMayCure: false,
  },
  "config.refused": {
    severity: "warning",
    impairs: "the published network config has no effect on this host",
    restartMayCure: false,
  },
  "etcd.unavailable": {
    severity: "warning",
    impairs: "this host does not see changes of peers or renew its lease",
    restartMayCure: false,
  },
  "underlay.missing": {
    severity: "error",
    impairs: "packets to and from other hosts",
    restartMayCure: false,
  },
  "underlay.shared-address": {
    severity: "warning",
    impairs: "other hosts may hold the same address and the same lease",
    restartMayCure: false,
  },
  "lease.missing": {
    severity: "error",
    impairs: "this host has no subnet",
    restartMayCure: false,
  },
  "lease.not-held": {
    severity: "warning",
    impairs: "another host may take this host's subnet",
    restartMayCure: false,
  },
  "underlay.public-ip-elsewhere": {
    severity: "warning",
    impairs: "other hosts may refuse this host's packets",
    restartMayCure: false,
  },
  "underlay.address-twice": {
    severity: "warning",
    impairs: "packets from other hosts may arrive on the wrong interface",
    restartMayCure: false,
  },
  "data-path.not-started": {
    severity: "error",
    impairs: "packets to and from other hosts",
    restartMayCure: false,
  },
  "data-path.down": {
    severity: "error",
    impairs: "packets to and from other hosts",
    restartMayCure: true,
  },
  "data-path.unattended": {
    severity: "warning",
    impairs: "changes of peers, fragments and path MTUs",
    restartMayCure: true,
  },
  "firewall.missing": {
    severity: "error",
    impairs:
      "masquerade of the containers' traffic; Docker's options are not written yet",
    restartMayCure: false,
  },
  "firewall.forward-missing": {
    severity: "warning",
    impairs: "a FORWARD policy of DROP blocks the containers' traffic",
    restartMayCure: false,
  },
  "host.forwarding": {
    severity: "warning",
    impairs: "packets between containers and other hosts",
    restartMayCure: false,
  },
  "host.blackhole-route": {
    severity: "warning",
    impairs: "packets to a removed container may leave this host",
    restartMayCure: false,
  },
  "files.subnet-env": {
    severity: "error",
    impairs: "Docker and other programs do not get the subnet",
    restartMayCure: false,
  },
  "files.docker-opts": {
    severity: "error",
    impairs: "Docker does not get its options",
    restartMayCure: false,
  },
  "network.overlaps": {
    severity: "error",
    impairs: "addresses that the overlay and this host both use",
    restartMayCure: false,
  },
  "docker.options-stale": {
    severity: "warning",
    impairs: "a Docker that starts with that file is not on the lease",
    restartMayCure: false,
  },
  "docker.bridge-elsewhere": {
    severity: "warning",
    impairs: "other hosts cannot reach this host's containers",
    restartMayCure: false,
  },
  "docker.bridge-foreign": {
    severity: "warning",
    impairs: "containers on that bridge, and the host that owns the addresses",
    restartMayCure: false,
  },
  "docker.drops-overlay": {
    severity: "warning",
    impairs: "packets from other hosts to this host's containers",
    restartMayCure: false,
  },
  "peers.unknown": {
    severity: "warning",
    impairs: "packets to other hosts until etcd answers",
    restartMayCure: false,
  },
  "peers.unconfirmed": {
    severity: "warning",
    impairs: "peers that joined, left or moved; see the times in the text",
    restartMayCure: false,
  },
  "state.not-saved": {
    severity: "warning",
    impairs: "restarts while etcd is away",
    restartMayCure: false,
  },
  "footprint.not-saved": {
    severity: "warning",
    impairs: "loden cleanup",
    restartMayCure: false,
  },
  "health.not-served": {
    severity: "warning",
    impairs: "/healthz and /readyz",
    restartMayCure: false,
  },
  "agent.task-died": {
    severity: "error",
    impairs: "what that part of the agent does",
    restartMayCure: true,
  },
} as const satisfies Readonly<Record<string, WarningDefinition>>;

/** A registered warning. */
export type WarningCode = keyof typeof warningDefinitions;

/** A raised warning. */
export interface Warning {
  readonly code: WarningCode;
  readonly severity: WarningSeverity;
  /** What is wrong now, for an operator. */
  readonly text: string;
  readonly impairs: string;
  /** When it was raised, in milliseconds since 1970. */
  readonly sinceMs: number;
}

/** The set of raised warnings. */
export class Health {
  readonly #clock: Clock;
  readonly #warnings = new Map<WarningCode, Warning>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns whether the warning is new or its text has changed. */
  raise(code: WarningCode, text: string): boolean {
    const before = this.#warnings.get(code);
    if (before?.text === text) return false;
    const { severity, impairs } = warningDefinitions[code];
    const sinceMs = before?.sinceMs ?? this.#clock.now();
    this.#warnings.set(code, { code, severity, text, impairs, sinceMs });
    return true;
  }

  /** @returns whether the warning was raised. */
  clear(code: WarningCode): boolean {
    return this.#warnings.delete(code);
  }

  /** Errors first, then in the order in which they were raised. */
  warnings(): Warning[] {
    return [...this.#warnings.values()].sort((a, b) =>
      a.severity === b.severity
        ? a.sinceMs - b.sinceMs
        : a.severity === "error"
        ? -1
        : 1
    );
  }

  /** The warnings that make `/healthz` fail: those that a restart may solve. */
  unhealthy(): Warning[] {
    return this.warnings().filter(({ code }) =>
      warningDefinitions[code].restartMayCure
    );
  }
}
