/**
 * Leases in etcd v3.
 *
 * @module
 */

import { abortable } from "@std/async/abortable";
import { Buffer } from "node:buffer";
import type { IKeyValue, IRangeRequest, ITxnRequest } from "etcd3";
import type { Cidr } from "../net/cidr.ts";
import { RegistryError } from "./errors.ts";
import type { EtcdCluster } from "./etcd/cluster.ts";
import type { TlsFiles } from "./etcd/credentials.ts";
import { parseEndpoint } from "./etcd/endpoint.ts";
import { LeaseGrants } from "./etcd/grants.ts";
import { type EtcdAccount, readPasswordFile } from "./etcd/password.ts";
import { PAGE_KEYS, readRangePages } from "./etcd/range_pages.ts";
import {
  answerLivenessProbes,
  askIfAlive,
  type LivenessProbeComponents,
} from "./etcd/liveness_probe.ts";
import { nameRight, type Right } from "./etcd/rights.ts";
import {
  deleteIfUnchanged,
  endOfPrefix,
  putIfAbsent,
  putIfUnchanged,
} from "./etcd/transactions.ts";
import {
  isReservation,
  type Lease,
  type LeaseAttributes,
  type LeaseVersion,
} from "./lease.ts";
import {
  configKey,
  encodeLeaseValue,
  leaseName,
  livenessProbePrefix,
  subnetsPrefix,
} from "./lease_codec.ts";
import {
  decodeDeletedKey,
  decodeLeaseEntry,
  decodeText,
} from "./lease_entry.ts";
import { CALL_DEADLINE_MS } from "./liveness/answer_times.ts";
import type {
  LeaseEvent,
  LeaseLookup,
  LeaseRegistry,
  LeaseSnapshot,
  RejectedLease,
  RevisionSpan,
  StoredConfig,
} from "./registry.ts";

/** How to reach etcd, and the network's keys in it. */
export interface EtcdRegistryOptions {
  /** `http://` or `https://` URLs; each call uses one that works. */
  readonly endpoints: readonly string[];
  /** flannel's `--etcd-prefix`. */
  readonly prefix: string;
  /** PEM files for https endpoints, read when a connection is opened. */
  readonly tls?: TlsFiles;
  readonly username?: string;
  readonly password?: string;
  /** A file with the password, read at each login; replaces `password`. */
  readonly passwordFile?: string;
  /** Milliseconds until a call returns or fails; 5,000 by default. */
  readonly deadlineMs?: number;
  /** Leases per call; 1,000 by default. */
  readonly pageKeys?: number;
}

/** {@linkcode LeaseRegistry} with the keys and values of compat 3. */
export class EtcdLeaseRegistry implements LeaseRegistry {
  readonly #configKey: string;
  readonly #subnetsPrefix: string;
  readonly #livenessProbePrefix: string;
  readonly #pageKeys: number;
  readonly #grants = new LeaseGrants();
  readonly #closing = new AbortController();
  /** The etcd lease of the last key that was written; `0` for none. */
  #latestGrant = "0";
  readonly #endpoints: readonly string[];
  readonly #client: Promise<EtcdClient>;

  /**
   * Starts to load the gRPC client, which takes longer than the rest of the
   * start; the first call opens the connection.
   *
   * @throws {BadEndpointError}
   */
  constructor(options: EtcdRegistryOptions) {
    const endpoints = options.endpoints.map(parseEndpoint);
    this.#endpoints = endpoints.map(({ url }) => url);
    this.#configKey = configKey(options.prefix);
    this.#subnetsPrefix = subnetsPrefix(options.prefix);
    this.#livenessProbePrefix = livenessProbePrefix(options.prefix);
    this.#pageKeys = options.pageKeys ?? PAGE_KEYS;
    this.#client = loadClient().then(({ EtcdCluster, watchKeys }) => ({
      watchKeys,
      cluster: new EtcdCluster({
        endpoints,
        tls: options.tls ?? {},
        account: accountOf(options),
        deadlineMs: options.deadlineMs ?? CALL_DEADLINE_MS,
      }),
    }));
    // Every call reports it; before the first call it must not be an unhandled
    // rejection.
    this.#client.catch(() => {});
  }

  async readConfig(signal: AbortSignal): Promise<StoredConfig | undefined> {
    return (await this.#lookUpConfig(signal)).config;
  }

  async *watchConfig(
    signal: AbortSignal,
  ): AsyncGenerator<StoredConfig | undefined> {
    const { config, revision } = await this.#lookUpConfig(signal);
    yield config;
    const { cluster, watchKeys } = await this.#client;
    const keys = {
      key: new TextEncoder().encode(this.#configKey),
      what: "watch the network config",
    };
    for await (const changes of watchKeys(cluster, keys, revision, signal)) {
      const { type, keyValue } = changes.at(-1)!;
      yield type === "put" ? this.#decodeConfig(keyValue) : undefined;
    }
  }

  async writeConfig(
    text: string,
    expected: StoredConfig | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const content = { value: text, etcdLeaseId: "0" };
    const { succeeded } = await this.#transact(
      "write the network config",
      expected === undefined
        ? putIfAbsent(this.#configKey, content)
        : putIfUnchanged(this.#configKey, expected.modRevision, content),
      signal,
    );
    return succeeded;
  }

  async list(signal: AbortSignal): Promise<LeaseSnapshot> {
    const { entries, revision } = await readRangePages(
      (request) => this.#range("list the leases", request, signal),
      {
        key: Buffer.from(this.#subnetsPrefix),
        rangeEnd: endOfPrefix(this.#subnetsPrefix),
        pageKeys: this.#pageKeys,
        decode: (kv) => this.#read(kv),
      },
    );
    const leases: Lease[] = [];
    const rejected: RejectedLease[] = [];
    for (const entry of entries) {
      if ("attributes" in entry) leases.push(entry);
      else rejected.push(entry);
    }
    return { leases, rejected, revision };
  }

  async listWritten(
    { after, upTo }: RevisionSpan,
    signal: AbortSignal,
  ): Promise<Lease[]> {
    const { kvs } = await this.#range("list the new leases", {
      key: Buffer.from(this.#subnetsPrefix),
      range_end: Buffer.from(endOfPrefix(this.#subnetsPrefix)),
      revision: upTo,
      min_mod_revision: (BigInt(after) + 1n).toString(),
    }, signal);
    return kvs.flatMap((kv) => {
      const entry = this.#read(kv);
      return "attributes" in entry ? entry : [];
    });
  }

  async get(subnet: Cidr, signal: AbortSignal): Promise<LeaseLookup> {
    const { kvs, header } = await this.#range(
      "read this host's lease",
      { key: Buffer.from(this.#key(leaseName(subnet))) },
      signal,
    );
    const { revision } = header;
    const kv = kvs[0];
    if (kv === undefined) return { revision };
    const entry = this.#read(kv);
    return "attributes" in entry
      ? { lease: entry, revision }
      : { rejected: entry, revision };
  }

  async create(
    subnet: Cidr,
    attributes: LeaseAttributes,
    ttlSeconds: number,
    signal: AbortSignal,
  ): Promise<Lease | undefined> {
    const name = leaseName(subnet);
    const { cluster } = await this.#client;
    const etcdLeaseId = await this.#grants.grant(cluster, ttlSeconds, signal);
    const lease = await this.#put(
      "take a subnet",
      { name, subnet, etcdLeaseId },
      attributes,
      (content) => putIfAbsent(this.#key(name), content),
      signal,
    );
    // The etcd leases that failed attempts left behind.
    if (lease !== undefined) await this.#sweep(signal);
    return lease;
  }

  async renew(
    version: LeaseVersion,
    attributes: LeaseAttributes,
    ttlSeconds: number,
    signal: AbortSignal,
  ): Promise<Lease | undefined> {
    const { name, subnet, createRevision, modRevision } = version;
    const { cluster } = await this.#client;
    const etcdLeaseId = isReservation(version)
      ? "0"
      : await this.#grants.grant(cluster, ttlSeconds, signal);
    const lease = await this.#put(
      "renew the lease",
      { name, subnet, etcdLeaseId, createRevision },
      attributes,
      (content) => putIfUnchanged(this.#key(name), modRevision, content),
      signal,
    );
    if (lease !== undefined) await this.#abandon(version.etcdLeaseId, signal);
    return lease;
  }

  async remainingSeconds(
    { etcdLeaseId }: LeaseVersion,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    if (etcdLeaseId === "0") return undefined;
    const { cluster } = await this.#client;
    return await this.#grants.remainingSeconds(cluster, etcdLeaseId, signal);
  }

  async remove(version: LeaseVersion, signal: AbortSignal): Promise<boolean> {
    const { succeeded } = await this.#transact(
      "delete a lease",
      deleteIfUnchanged(this.#key(version.name), version.modRevision),
      signal,
    );
    if (succeeded) await this.#abandon(version.etcdLeaseId, signal);
    return succeeded;
  }

  async *watch(
    revision: string,
    signal: AbortSignal,
    only?: Cidr,
  ): AsyncGenerator<readonly LeaseEvent[]> {
    const { cluster, watchKeys } = await this.#client;
    const bytes = new TextEncoder();
    const what = "watch the leases";
    const keys = only === undefined
      ? {
        what,
        key: bytes.encode(this.#subnetsPrefix),
        rangeEnd: endOfPrefix(this.#subnetsPrefix),
      }
      : { what, key: bytes.encode(this.#key(leaseName(only))) };
    for await (const changes of watchKeys(cluster, keys, revision, signal)) {
      const events = changes.flatMap(({ type, keyValue }) =>
        (type === "put"
          ? this.#putEvent(keyValue)
          : this.#deleteEvent(keyValue)) ?? []
      );
      if (events.length > 0) yield events;
    }
  }

  async isAlive(
    hostId: string,
    patienceMs: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    return await this.#probePermitted(
      "ask whether another host is alive",
      async () =>
        await askIfAlive(
          await this.#livenessProbes(),
          hostId,
          patienceMs,
          signal,
        ),
    );
  }

  async answerFor(hostId: string, signal: AbortSignal): Promise<never> {
    return await this.#probePermitted(
      "answer that this host is alive",
      async () =>
        await answerLivenessProbes(
          await this.#livenessProbes(),
          hostId,
          signal,
        ),
    );
  }

  reconnect(): void {
    this.#client.then(({ cluster }) => cluster.reconnect(), () => {});
  }

  close(): void {
    this.#closing.abort();
    this.#client.then(({ cluster }) => cluster.close(), () => {});
  }

  async #lookUpConfig(
    signal: AbortSignal,
  ): Promise<{ config: StoredConfig | undefined; revision: string }> {
    const { kvs, header } = await this.#range(
      "read the network config",
      { key: Buffer.from(this.#configKey) },
      signal,
    );
    const [keyValue] = kvs;
    const config = keyValue && this.#decodeConfig(keyValue);
    return { config, revision: header.revision };
  }

  #decodeConfig({ value, mod_revision }: IKeyValue): StoredConfig {
    const text = decodeText(value);
    if (text !== undefined) return { text, modRevision: mod_revision };
    throw new RegistryError("bad-value", "read the network config", {
      endpoints: this.#endpoints,
      detail: `the value of ${this.#configKey} is not UTF-8 text`,
      hint: "publish it again: loden config put",
    });
  }

  async #livenessProbes(): Promise<LivenessProbeComponents> {
    return {
      ...await this.#client,
      grants: this.#grants,
      prefix: this.#livenessProbePrefix,
    };
  }

  #key(name: string): string {
    return this.#subnetsPrefix + name;
  }

  async #range(what: string, request: IRangeRequest, signal: AbortSignal) {
    const { cluster } = await this.#client;
    try {
      return await cluster.run(
        { what, signal, repeatable: true },
        (connection, limits) => connection.calls(limits).kv.range(request),
      );
    } catch (error) {
      throw nameRight(error, what, this.#right("read", request.key));
    }
  }

  async #transact(what: string, request: ITxnRequest, signal: AbortSignal) {
    const { cluster } = await this.#client;
    try {
      return await cluster.run(
        { what, signal, repeatable: false },
        (connection, limits) => connection.calls(limits).kv.txn(request),
      );
    } catch (error) {
      const key = request.compare?.[0]?.key;
      throw nameRight(error, what, this.#right("readwrite", key));
    }
  }

  /** What a role needs for a key: the config alone, or all leases. */
  #right(access: Right["access"], key: Uint8Array | undefined): Right {
    const isConfig = key !== undefined && decodeText(key) === this.#configKey;
    return isConfig
      ? { access, key: this.#configKey, isPrefix: false }
      : { access, key: this.#subnetsPrefix, isPrefix: true };
  }

  /** Answers and questions of {@linkcode isAlive}. */
  async #probePermitted<T>(what: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw nameRight(error, what, {
        access: "readwrite",
        key: this.#livenessProbePrefix,
        isPrefix: true,
      });
    }
  }

  /**
   * Writes a lease under a condition; `undefined` if the condition is false.
   */
  async #put(
    what: string,
    version:
      & Omit<LeaseVersion, "createRevision" | "modRevision">
      & Partial<Pick<LeaseVersion, "createRevision">>,
    attributes: LeaseAttributes,
    transaction: (
      content: { value: string; etcdLeaseId: string },
    ) => ITxnRequest,
    signal: AbortSignal,
  ): Promise<Lease | undefined> {
    const { etcdLeaseId } = version;
    const content = { value: encodeLeaseValue(attributes), etcdLeaseId };
    try {
      const { succeeded, header } = await this.#transact(
        what,
        transaction(content),
        signal,
      );
      if (succeeded) {
        // Deleting a key, or writing it without its etcd lease, leaves that
        // lease behind.
        if (this.#latestGrant !== etcdLeaseId) {
          this.#grants.abandon(this.#latestGrant);
        }
        this.#latestGrant = etcdLeaseId;
        const { revision } = header;
        return {
          createRevision: revision,
          ...version,
          modRevision: revision,
          attributes,
        };
      }
    } catch (error) {
      this.#grants.abandon(etcdLeaseId);
      throw error;
    }
    await this.#abandon(etcdLeaseId, signal);
    return undefined;
  }

  async #abandon(etcdLeaseId: string, signal: AbortSignal): Promise<void> {
    this.#grants.abandon(etcdLeaseId);
    await this.#sweep(signal);
  }

  /** Continues if the caller is aborted, because the key was written. */
  async #sweep(signal: AbortSignal): Promise<void> {
    const { cluster } = await this.#client;
    const swept = this.#grants.sweep(cluster, this.#closing.signal);
    await abortable(swept, signal).catch(() => {});
  }

  #read(kv: IKeyValue): Lease | RejectedLease {
    return decodeLeaseEntry(this.#subnetsPrefix, kv);
  }

  #putEvent(kv: IKeyValue): LeaseEvent {
    const entry = this.#read(kv);
    const revision = kv.mod_revision;
    return "attributes" in entry
      ? { type: "put", lease: entry, revision }
      : { type: "rejected", rejected: entry, revision };
  }

  /** `undefined` for a key that was never a lease. */
  #deleteEvent(kv: IKeyValue): LeaseEvent | undefined {
    const deleted = decodeDeletedKey(this.#subnetsPrefix, kv.key);
    return deleted &&
      { type: "delete", ...deleted, revision: kv.mod_revision };
  }
}

/** Whom the options log in as. */
export function accountOf(
  { username, password = "", passwordFile }: EtcdRegistryOptions,
): EtcdAccount | undefined {
  if (!username) return undefined;
  return {
    username,
    password: passwordFile === undefined
      ? () => password
      : () => readPasswordFile(passwordFile),
  };
}

interface EtcdClient {
  readonly cluster: EtcdCluster;
  readonly watchKeys: typeof import("./etcd/watch.ts").watchKeys;
}

async function loadClient() {
  const [{ EtcdCluster }, { watchKeys }] = await Promise.all([
    import("./etcd/cluster.ts"),
    import("./etcd/watch.ts"),
  ]);
  return { EtcdCluster, watchKeys };
}
