/**
 * Leases of thousands of hosts, as these hosts would have written them.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { EtcdConnection } from "../../lease/etcd/connection.ts";
import { parseEndpoint } from "../../lease/etcd/endpoint.ts";
import type { LeaseAttributes } from "../../lease/lease.ts";
import {
  encodeLeaseValue,
  leaseName,
  subnetsPrefix,
} from "../../lease/lease_codec.ts";
import type { Cidr } from "../../net/cidr.ts";
import { type Ipv4, parseIpv4 } from "../../net/ipv4.ts";

/** The network that has room for them. */
export const MANY_LEASES_NETWORK = "10.0.0.0/8";
/** flannel's, and what etcd leaves in one transaction (`--max-txn-ops`). */
const TTL_SECONDS = 86_400;
const PUTS_PER_TRANSACTION = 128;
const DEADLINE_MS = 10_000;

const FIRST_SUBNET = parseIpv4("10.1.0.0")!;
/** RFC 2544: reserved for benchmarks. */
const FIRST_ADDRESS = parseIpv4("198.18.0.1")!;
const SUBNET_LENGTH = 24;

/** The subnet of host `index`, from 0: one /24 after the other from 10.1.0.0. */
export function subnetOfHost(index: number): Cidr {
  return {
    address: FIRST_SUBNET + index * 2 ** (32 - SUBNET_LENGTH) as Ipv4,
    prefixLength: SUBNET_LENGTH,
  };
}

/** All addresses of these hosts. */
export const MANY_LEASES_ADDRESSES = "198.18.0.0/15";

/**
 * What host `index` publishes.
 *
 * @param moved A number for each time that all hosts have got other addresses.
 */
export function attributesOfHost(
  index: number,
  backendType = "udp",
  moved = 0,
): LeaseAttributes {
  return {
    publicIp: FIRST_ADDRESS + moved * 2 ** 16 + index as Ipv4,
    backendType,
    hostId: index.toString(16).padStart(32, "0"),
    ...backendType === "udp" ? { dataPath: "ebpf" } : {},
    ...backendType === "vxlan" ? { backendData: vtepOf(index) } : {},
  };
}

function vtepOf(index: number): { VNI: number; VtepMAC: string } {
  const digits = index.toString(16).padStart(6, "0");
  return { VNI: 1, VtepMAC: `0a:00:00:${digits.match(/../g)!.join(":")}` };
}

/** Writes through one connection; what it does not do, it throws. */
export class LeaseWriter implements Disposable {
  readonly #connection: EtcdConnection;
  readonly #prefix: string;

  /** `prefix` is flannel's `--etcd-prefix`. */
  constructor(endpoint: string, prefix: string) {
    this.#prefix = subnetsPrefix(prefix);
    this.#connection = new EtcdConnection(
      parseEndpoint(endpoint),
      {},
      undefined,
    );
  }

  /** The leases of hosts 0 to `count` - 1, all on one etcd lease of 24 hours. */
  async writeMany(
    count: number,
    signal: AbortSignal,
    backendType = "udp",
    moved = 0,
  ): Promise<void> {
    const calls = this.#calls(signal);
    const { ID } = await calls.lease.leaseGrant({ TTL: TTL_SECONDS });
    for (let first = 0; first < count; first += PUTS_PER_TRANSACTION) {
      const last = Math.min(first + PUTS_PER_TRANSACTION, count);
      const success = [];
      for (let index = first; index < last; index++) {
        const attributes = attributesOfHost(index, backendType, moved);
        const put = this.#put(subnetOfHost(index), attributes);
        success.push({ request_put: { ...put, lease: ID } });
      }
      await this.#calls(signal).kv.txn({ success });
    }
  }

  /** One lease, without a TTL. */
  async write(
    subnet: Cidr,
    attributes: LeaseAttributes,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#calls(signal).kv.put(this.#put(subnet, attributes));
  }

  #calls(signal: AbortSignal) {
    const deadlineMs = Date.now() + DEADLINE_MS;
    return this.#connection.calls({ signal, deadlineMs });
  }

  #put(subnet: Cidr, attributes: LeaseAttributes) {
    return {
      key: Buffer.from(this.#prefix + leaseName(subnet)),
      value: Buffer.from(encodeLeaseValue(attributes)),
    };
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}
