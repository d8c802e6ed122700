/**
 * Calls to one etcd member, each with a deadline and an abort signal.
 *
 * etcd3 provides the protocol, the types and the gRPC clients. Its connection
 * pool is not used: it retries and breaks circuits by rules of its own, which
 * hides faults; it resets a watch when an unrelated call is late; and it opens
 * a connection for each password exchange and never closes it.
 *
 * @module
 */

import "./http2_guard.ts";
import {
  Channel,
  type ChannelOptions,
  type Client,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import {
  AuthClient,
  type ICallable,
  KVClient,
  LeaseClient,
  type Services,
} from "etcd3";
import { Host } from "etcd3/lib/connection-pool.js";
import { Buffer } from "node:buffer";
import { systemClock } from "../../linux/clock.ts";
import { channelCredentials, type TlsFiles } from "./credentials.ts";
import type { Endpoint } from "./endpoint.ts";
import type { EtcdAccount } from "./password.ts";
import { Keepalive } from "./keepalive.ts";
import type { WatchSource } from "./watch_stream.ts";

/** The limits of a call. */
export interface CallLimits {
  /** Milliseconds since 1970, wall clock, as gRPC takes it. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** The calls that leases need, bound to one set of limits. */
export interface EtcdCalls {
  readonly kv: KVClient;
  readonly lease: LeaseClient;
  readonly auth: AuthClient;
}

const CHANNEL_OPTIONS: ChannelOptions = {
  // Closing this connection closes its sockets, regardless of other connections
  // to that member.
  "grpc.use_local_subchannel_pool": 1,
  // With a server that closes each connection at once, the transparent retry of
  // grpc-js 1.12 loops without a pause and blocks the process.
  "grpc.enable_retries": 0,
  // Reconnects within a second or two after etcd is back, however long it was
  // away.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  // etcd is reached directly, not through a web proxy.
  "grpc.enable_http_proxy": 0,
  // 10,000 leases exceed the default of 4 MiB.
  "grpc.max_receive_message_length": -1,
};

type ServiceName = keyof typeof Services;

/** One member, connected on first use. */
export class EtcdConnection {
  readonly endpoint: Endpoint;
  readonly #account: EtcdAccount | undefined;
  readonly #channel: Channel;
  readonly #host: Host;
  readonly #active = new Set<{ cancel(): void }>();
  readonly #keepalive: Keepalive;
  readonly #lost = new AbortController();
  #token: Promise<string> | undefined;

  /** @throws if a TLS file cannot be read or parsed. */
  constructor(
    endpoint: Endpoint,
    files: TlsFiles,
    account: EtcdAccount | undefined,
  ) {
    this.endpoint = endpoint;
    this.#account = account;
    const shownHost = endpoint.host.includes(":")
      ? `[${endpoint.host}]`
      : endpoint.host;
    const target = `${shownHost}:${endpoint.port}`;
    const credentials = channelCredentials(endpoint, files);
    this.#channel = new Channel(target, credentials, CHANNEL_OPTIONS);
    // One channel for all services, so that they share a connection.
    const options = { channelOverride: this.#channel } as ChannelOptions;
    this.#host = new Host(target, credentials, options);
    this.#keepalive = new Keepalive({
      clock: systemClock,
      ask: (limitMs) => this.#isAnswered(limitMs),
      onLost: () => this.#giveUp(),
    });
  }

  /**
   * Aborted, with a {@linkcode LostConnectionError}, if the connection is dead.
   */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** The typed calls, all of which respect `limits`. */
  calls(limits: CallLimits): EtcdCalls {
    const callable = this.#callable((service, method, request) =>
      this.#authorized(
        (metadata) => this.#unary(service, method, request, metadata, limits),
        limits,
      )
    );
    return {
      kv: new KVClient(callable),
      lease: new LeaseClient(callable),
      auth: new AuthClient(callable),
    };
  }

  /**
   * Opens the stream for watches; the limits are for the opening alone. etcd
   * ends it if the member loses its leader.
   */
  watch(
    limits: CallLimits,
  ): Promise<WatchSource> {
    return this.#authorized((metadata) => {
      metadata.set("hasleader", "true");
      const client = this.#client("Watch") as unknown as WatchStub;
      const stream = client.watch(metadata);
      this.#active.add(stream);
      const leave = this.#keepalive.wait();
      const onEnd = () => {
        if (this.#active.delete(stream)) leave();
      };
      stream.on("end", onEnd);
      stream.on("error", onEnd);
      return Promise.resolve(stream);
    }, limits);
  }

  /** Ends every call; a running call would keep the process alive. */
  close(): void {
    this.#keepalive.end();
    for (const call of this.#active) call.cancel();
    this.#active.clear();
    this.#channel.close();
  }

  /**
   * A call had no answer in time; if no other call has one either, the
   * connection is lost.
   */
  suspect(): void {
    this.#keepalive.check();
  }

  #giveUp(): void {
    this.#lost.abort(new LostConnectionError());
    this.close();
  }

  /** Needs no token, no quorum and no disk; a refusal counts as an answer. */
  async #isAnswered(limitMs: number): Promise<boolean> {
    const request = { key: Buffer.from([0]), serializable: true };
    const limits = {
      deadlineMs: Date.now() + limitMs,
      signal: new AbortController().signal,
    };
    try {
      await this.#unary("KV", "range", request, new Metadata(), limits);
    } catch (error) {
      return (error as Partial<ServiceError>).code !== status.DEADLINE_EXCEEDED;
    }
    return true;
  }

  /**
   * Runs `call` with the account's token, and again with a fresh one if it is
   * refused.
   */
  async #authorized<T>(
    call: (metadata: Metadata) => Promise<T>,
    limits: CallLimits,
  ): Promise<T> {
    const account = this.#account;
    if (account === undefined) return await call(new Metadata());
    const refused = this.#token;
    try {
      return await call(await this.#tokenMetadata(account, limits));
    } catch (error) {
      if (refused === undefined || !isTokenRefusal(error)) throw error;
      // Unless another call has fetched a new one in the meantime.
      if (this.#token === refused) this.#token = undefined;
      return await call(await this.#tokenMetadata(account, limits));
    }
  }

  async #tokenMetadata(
    account: EtcdAccount,
    limits: CallLimits,
  ): Promise<Metadata> {
    const token = this.#token ??= this.#authenticate(account, limits);
    try {
      const metadata = new Metadata();
      const value = await token;
      if (value !== "") metadata.set("token", value);
      return metadata;
    } catch (error) {
      if (this.#token === token) this.#token = undefined;
      throw error;
    }
  }

  /** A token; empty if etcd requires none, which flannel tolerates as well. */
  async #authenticate(
    { username, password }: EtcdAccount,
    limits: CallLimits,
  ): Promise<string> {
    const auth = new AuthClient(
      this.#callable((service, method, request) =>
        this.#unary(service, method, request, new Metadata(), limits)
      ),
    );
    try {
      const login = { name: username, password: password() };
      return (await auth.authenticate(login)).token;
    } catch (error) {
      if (/authentication is not enabled/.test((error as Error).message)) {
        return "";
      }
      throw error;
    }
  }

  #callable(
    execute: (
      service: ServiceName,
      method: string,
      request: unknown,
    ) => Promise<unknown>,
  ): ICallable<never> {
    return {
      exec: <T>(service: ServiceName, method: string, request: unknown) =>
        execute(service, method, request) as Promise<T>,
      withConnection: () => Promise.reject(new TypeError("Cannot stream here")),
      markFailed: () => {},
      callOptionsFactory: undefined,
    };
  }

  #unary(
    service: ServiceName,
    method: string,
    request: unknown,
    metadata: Metadata,
    { deadlineMs, signal }: CallLimits,
  ): Promise<unknown> {
    const client = this.#client(service) as unknown as UnaryStub;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = () => call.cancel();
      const call = client[method]!(
        request,
        metadata,
        { deadline: deadlineMs },
        (error, response) => {
          signal.removeEventListener("abort", onAbort);
          this.#active.delete(call);
          if (signal.aborted) reject(signal.reason);
          else if (error === null) resolve(response);
          else if (this.lost.aborted) reject(this.lost.reason);
          else reject(error);
        },
      );
      this.#active.add(call);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  #client(service: ServiceName): Client {
    return this.#host.getServiceClient(service);
  }
}

/** The connection did not answer. `faults.ts` matches this text. */
class LostConnectionError extends Error {
  readonly code = status.UNAVAILABLE;

  constructor() {
    super("Connection dropped: it did not answer any more");
    this.name = "LostConnectionError";
  }
}

/** The type of etcd3's generated stubs. */
type UnaryStub = Record<
  string,
  (
    request: unknown,
    metadata: Metadata,
    options: { deadline: number },
    done: (error: ServiceError | null, response: unknown) => void,
  ) => { cancel(): void }
>;

interface WatchStub {
  watch(metadata: Metadata): WatchSource;
}

function isTokenRefusal(error: unknown): boolean {
  return error instanceof Error &&
    /invalid auth token|revision of auth store is old|user name is empty/
      .test(error.message);
}
