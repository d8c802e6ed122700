/**
 * Errors of leases.
 *
 * @module
 */

import { type Cidr, formatCidr } from "../net/cidr.ts";
import { formatIpv4, type Ipv4 } from "../net/ipv4.ts";
import { poolSize, type SubnetPool } from "../net/subnet_pool.ts";
import { LodenError, type LodenErrorOptions } from "../errors.ts";

/**
 * The kinds of faults of etcd. The words are an interface: they are part of
 * error codes (`registry.<fault>`), log fields and `loden status --json`.
 */
export const REGISTRY_FAULTS = [
  /** The endpoint's name does not resolve. */
  "dns",
  /** Nothing listens at the endpoint's port. */
  "refused",
  /** No route, no answer to the connection attempt, or a connection that broke. */
  "unreachable",
  /** A certificate that is not trusted, has expired, or is missing. */
  "tls",
  /** User name or password. */
  "auth",
  /** The account may not use this key. */
  "permission",
  /** The cluster has no leader or no quorum. */
  "no-leader",
  /** The NOSPACE alarm is raised, or the disk is full. */
  "no-space",
  /** The requested history was compacted; a fresh read solves it. */
  "compacted",
  /** Connected, but no answer in time. */
  "deadline",
  /** The server is not etcd, or expects TLS instead of plain text. */
  "not-etcd",
  /** A stored value that cannot be read. */
  "bad-value",
  /** None of the above; the message has etcd's own text. */
  "unknown",
] as const;

/** One of {@linkcode REGISTRY_FAULTS}. */
export type RegistryFault = (typeof REGISTRY_FAULTS)[number];

const RULES: Record<RegistryFault, string> = {
  dns: "must have a name that resolves",
  refused: "must accept connections",
  unreachable: "must be reachable",
  tls: "must agree on TLS with this host",
  auth: "must accept the user name and password",
  permission: "must permit this account to use the key",
  "no-leader": "must have a leader",
  "no-space": "must have space left",
  compacted: "must still have the history",
  deadline: "must answer in time",
  "not-etcd": "must be an etcd v3 server",
  "bad-value": "must hold a readable value",
  unknown: "must carry out the request",
};

const HINTS: Record<RegistryFault, string | undefined> = {
  dns:
    "check the host name in --etcd-endpoints and this host's /etc/resolv.conf",
  refused: "start etcd there, or correct --etcd-endpoints",
  unreachable: "check the network and firewalls between this host and etcd",
  tls:
    "check --etcd-cafile, --etcd-certfile and --etcd-keyfile, and the dates of the certificates",
  auth: "check --etcd-username and the password in --etcd-password-file or " +
    "FLANNELD_ETCD_PASSWORD",
  permission:
    "grant the account read and write on the prefix: etcdctl role grant-permission",
  "no-leader": "bring back enough etcd members for a majority",
  "no-space":
    "compact and defragment etcd, then clear the alarm: etcdctl alarm disarm",
  compacted: undefined,
  deadline:
    "check whether etcd is overloaded or stopped: etcdctl endpoint status",
  "not-etcd": "check scheme and port in --etcd-endpoints",
  "bad-value": undefined,
  unknown: undefined,
};

/** What is known about a failed request. */
export interface RegistryErrorOptions extends LodenErrorOptions {
  /** The endpoints that were tried, as configured; never with a password. */
  readonly endpoints: readonly string[];
  /** What the endpoint did instead. */
  readonly detail: string;
  /** Whether etcd may have carried out the request nevertheless. */
  readonly uncertain?: boolean;
}

/** A request that the registry could not carry out. */
export class RegistryError extends LodenError {
  readonly fault: RegistryFault;
  readonly endpoints: readonly string[];
  /** What the endpoint did, without the sentence around it. */
  readonly detail: string;
  /** Whether etcd may have carried out the request nevertheless. */
  readonly uncertain: boolean;

  /** @param what Completes "Cannot …", e.g. `list the leases`. */
  constructor(
    fault: RegistryFault,
    what: string,
    { endpoints, detail, uncertain = false, ...options }: RegistryErrorOptions,
  ) {
    const hint = options.hint ?? HINTS[fault];
    super(
      `registry.${fault}`,
      `Cannot ${what}: etcd at ${endpoints.join(", ")} ${
        RULES[fault]
      }: ${detail}`,
      { ...options, ...(hint === undefined ? {} : { hint }) },
    );
    this.fault = fault;
    this.endpoints = endpoints;
    this.detail = detail;
    this.uncertain = uncertain;
  }
}

/** An endpoint that is not an `http://` or `https://` URL of host and port. */
export class BadEndpointError extends LodenError {
  /** Waiting does not change a setting. */
  readonly retryable = false;

  constructor(current: string) {
    super(
      "registry.bad-endpoint",
      `Cannot use the etcd endpoint: it must be an http:// or https:// URL of host and port: current value is ${
        JSON.stringify(current)
      }`,
      { hint: "for example http://127.0.0.1:2379" },
    );
  }
}

/** Every subnet that hosts may lease is held. */
export class PoolExhaustedError extends LodenError {
  constructor(pool: SubnetPool, { heldCount, holders, room }: {
    readonly heldCount: number;
    /** Who holds them; empty if that is not known. */
    readonly holders: string;
    /** Configs that would have more. */
    readonly room: string;
  }) {
    super(
      "lease.pool-exhausted",
      `Cannot lease a subnet: the pool must have a free one: ${heldCount} leases hold all of the ${
        poolSize(pool)
      } subnets of /${pool.subnetLength} from ${formatIpv4(pool.first)} to ${
        formatIpv4(pool.last)
      } in ${formatCidr(pool.network)}` +
        (holders === "" ? "" : `: ${holders}`),
      {
        hint: "delete the keys of hosts that are gone, or publish another " +
          `config: ${room}`,
      },
    );
  }
}

/** Another host, which answers, holds a lease with this host's PublicIP. */
export class PublicIpInUseError extends LodenError {
  constructor(publicIp: Ipv4, subnet: Cidr, hostId: string) {
    super(
      "lease.public-ip-in-use",
      `Cannot lease a subnet: the PublicIP must be unique: ${
        formatIpv4(publicIp)
      } also belongs to the host with id ${hostId}, which holds ${
        formatCidr(subnet)
      } and is alive`,
      {
        hint: "give one of the two hosts a unique address: --iface=NAME or " +
          "--public-ip=ADDRESS; to take the address from that host, use " +
          "--take-over here",
      },
    );
  }
}

/** Another program changes this host's key faster than the agent can react. */
export class UnstableKeyError extends LodenError {
  constructor(subnet: Cidr) {
    super(
      "lease.restless",
      `Cannot keep the lease: the key of ${
        formatCidr(subnet)
      } must stay as it is written: another program keeps changing it`,
      { hint: "look for a second agent that uses the same state directory" },
    );
  }
}
