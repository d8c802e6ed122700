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
  /** Whether the host does less than it should; `/readyz` fails then. */
  readonly impairsReadiness: boolean;
  /** While one of these is raised, this warning is its consequence. */
  readonly dependsOn: readonly WarningCode[];
  /** It is not shown before it has lasted so long. */
  readonly visibleAfterMs: number;
}

/** Severity, and what does not work while the warning is up. */
const WARNINGS = {
  "config.missing": ["error", "this host has no subnet"],
  "config.invalid": ["error", "this host has no subnet"],
  "config.refused": [
    "warning",
    "the published network config has no effect on this host",
  ],
  "etcd.unavailable": [
    "warning",
    "this host does not see changes of peers or renew its lease",
  ],
  "underlay.missing": ["error", "packets to and from other hosts"],
  "underlay.shared-address": [
    "warning",
    "other hosts may hold the same address and the same lease",
  ],
  "lease.missing": ["error", "this host has no subnet"],
  "lease.not-held": ["warning", "another host may take this host's subnet"],
  "underlay.public-ip-elsewhere": [
    "warning",
    "other hosts may refuse this host's packets",
  ],
  "underlay.address-twice": [
    "warning",
    "packets from other hosts may arrive on the wrong interface",
  ],
  "data-path.not-started": ["error", "packets to and from other hosts"],
  "data-path.down": ["error", "packets to and from other hosts"],
  "data-path.unattended": [
    "warning",
    "changes of peers, fragments and path MTUs",
  ],
  "data-path.ipsec": [
    "warning",
    "throughput: packets go through user space",
  ],
  "backend.neighbours": [
    "warning",
    "packets to hosts for which the kernel's neighbour table has no room",
  ],
  "firewall.missing": [
    "error",
    "masquerade of the containers' traffic; Docker's options are not written yet",
  ],
  "firewall.forward-missing": [
    "warning",
    "a FORWARD policy of DROP blocks the containers' traffic",
  ],
  "firewall.anti-spoofing-missing": [
    "warning",
    "containers of this host can speak as other hosts",
  ],
  "host.forwarding": ["warning", "packets between containers and other hosts"],
  "host.blackhole-route": [
    "warning",
    "packets to a removed container may leave this host",
  ],
  "files.subnet-env": [
    "error",
    "Docker and other programs do not get the subnet",
  ],
  "files.docker-opts": ["error", "Docker does not get its options"],
  "network.overlaps": [
    "error",
    "addresses that the overlay and this host both use",
  ],
  "network.leftovers": [
    "error",
    "packets to hosts whose subnets another backend's routes take",
  ],
  "docker.options-stale": [
    "warning",
    "a Docker that starts with that file is not on the lease",
  ],
  "docker.bridge-elsewhere": [
    "warning",
    "other hosts cannot reach this host's containers",
  ],
  "docker.bridge-foreign": [
    "warning",
    "containers on that bridge, and the host that owns the addresses",
  ],
  "docker.drops-overlay": [
    "warning",
    "packets from other hosts to this host's containers",
  ],
  "peers.unknown": ["warning", "packets to other hosts until etcd answers"],
  "peers.unconfirmed": [
    "warning",
    "peers that joined, left or moved; see the times in the text",
  ],
  "peers.unreachable": ["warning", "packets to and from those hosts"],
  "peers.path-mtu": ["warning", "large packets to those hosts"],
  "probes.not-running": ["warning", "probes of this host and of others to it"],
  "state.not-saved": ["warning", "restarts while etcd is away"],
  "footprint.not-saved": ["warning", "loden cleanup"],
  "health.not-served": ["warning", "/healthz and /readyz"],
  "metrics.not-served": ["warning", "/metrics and the page"],
  "agent.task-died": ["error", "what that part of the agent does"],
} as const satisfies Readonly<Record<string, [WarningSeverity, string]>>;

/** A registered warning. The codes are an interface. */
export type WarningCode = keyof typeof WARNINGS;

const RESTART_MAY_CURE: ReadonlySet<string> = new Set<WarningCode>([
  "data-path.down",
  "data-path.unattended",
  "agent.task-died",
]);

const IMPAIRS_READINESS: ReadonlySet<string> = new Set<WarningCode>([
  "data-path.ipsec",
]);

/**
 * A consequence, with its causes: what mends the cause mends it too. A cause is at
 * least as severe and has no cause itself, so that hiding consequences never hides
 * the worst. `peers.unconfirmed` is not listed: its text has deadlines of its own.
 */
const DEPENDS_ON: Partial<Record<WarningCode, readonly WarningCode[]>> = {
  "lease.not-held": ["etcd.unavailable"],
  "peers.unknown": ["etcd.unavailable"],
  "firewall.anti-spoofing-missing": [
    "firewall.missing",
    "firewall.forward-missing",
  ],
  "peers.unreachable": [
    "data-path.down",
    "data-path.not-started",
    "underlay.missing",
    "network.leftovers",
  ],
  "docker.bridge-elsewhere": ["files.subnet-env", "files.docker-opts"],
};

/** etcd elects a leader or restarts in this time, and nothing is lost meanwhile. */
const VISIBLE_AFTER_MS: Partial<Record<WarningCode, number>> = {
  "etcd.unavailable": 5_000,
  "lease.not-held": 5_000,
  // A data path that starts again answers before.
  "peers.unreachable": 5_000,
};

/** Every warning that the agent can raise. */
export const warningDefinitions: Readonly<
  Record<WarningCode, WarningDefinition>
> = Object.fromEntries(
  Object.entries(WARNINGS).map(([code, [severity, impairs]]) => [
    code,
    {
      severity,
      impairs,
      restartMayCure: RESTART_MAY_CURE.has(code),
      impairsReadiness: IMPAIRS_READINESS.has(code),
      dependsOn: DEPENDS_ON[code as WarningCode] ?? [],
      visibleAfterMs: VISIBLE_AFTER_MS[code as WarningCode] ?? 0,
    },
  ]),
) as Record<WarningCode, WarningDefinition>;

/** A raised warning. */
export interface Warning {
  readonly code: WarningCode;
  readonly severity: WarningSeverity;
  /** What is wrong now, for an operator. */
  readonly text: string;
  readonly impairs: string;
  /** When it was raised, in milliseconds since 1970. */
  readonly sinceMs: number;
  /** The raised warnings of which this one is a consequence. */
  readonly dependsOn: readonly WarningCode[];
  /** Whether it has lasted long enough to be shown. */
  readonly visible: boolean;
}

/** Whether people are shown the warning. An earlier agent does not say. */
export function isShown(
  { dependsOn = [], visible = true }: Partial<
    Pick<Warning, "dependsOn" | "visible">
  >,
): boolean {
  return visible && dependsOn.length === 0;
}

interface Raised {
  readonly text: string;
  readonly sinceMs: number;
  /** Monotonic. */
  readonly raisedMs: number;
}

/** The set of raised warnings. */
export class Health {
  readonly #clock: Clock;
  readonly #raised = new Map<WarningCode, Raised>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns whether the warning is new or its text has changed. */
  raise(code: WarningCode, text: string): boolean {
    const before = this.#raised.get(code);
    if (before?.text === text) return false;
    this.#raised.set(code, {
      text,
      sinceMs: before?.sinceMs ?? this.#clock.now(),
      raisedMs: before?.raisedMs ?? this.#clock.monotonic(),
    });
    return true;
  }

  /** @returns whether the warning was raised. */
  clear(code: WarningCode): boolean {
    return this.#raised.delete(code);
  }

  /** Errors first, then in the order in which they were raised. */
  warnings(): Warning[] {
    return [...this.#raised].map(([code, { sinceMs, text }]): Warning => {
      const { dependsOn, impairs, severity } = warningDefinitions[code];
      return {
        code,
        severity,
        text,
        impairs,
        sinceMs,
        dependsOn: dependsOn.filter((cause) => this.#raised.has(cause)),
        visible: this.#msUntilVisible(code) <= 0,
      };
    }).sort((a, b) =>
      a.severity === b.severity
        ? a.sinceMs - b.sinceMs
        : a.severity === "error"
        ? -1
        : 1
    );
  }

  /** When the next warning becomes visible; `undefined` if all are. */
  msUntilVisible(): number | undefined {
    const waits = [...this.#raised.keys()]
      .map((code) => this.#msUntilVisible(code))
      .filter((ms) => ms > 0);
    return waits.length === 0 ? undefined : Math.min(...waits);
  }

  #msUntilVisible(code: WarningCode): number {
    return this.#raised.get(code)!.raisedMs +
      warningDefinitions[code].visibleAfterMs - this.#clock.monotonic();
  }

  /** The warnings that make `/healthz` fail: those that a restart may solve. */
  unhealthy(): Warning[] {
    return this.warnings().filter(({ code }) =>
      warningDefinitions[code].restartMayCure
    );
  }

  /** The warnings that make `/readyz` fail although the network runs. */
  notReady(): Warning[] {
    return this.warnings().filter(({ code }) =>
      warningDefinitions[code].impairsReadiness
    );
  }
}
