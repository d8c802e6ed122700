/**
 * An etcd that lets in only who shows a certificate and logs in, and an account
 * for the hosts that may touch nothing but the network's prefix.
 *
 * @module
 */

import {
  type CertificateFiles,
  TestAuthority,
} from "../support/certificates.ts";
import type { EtcdServer } from "../support/etcd.ts";
import { SWITCH_ADDRESS } from "../rig/rig.ts";
import type { OverlayOptions } from "./overlay.ts";

const PREFIX = "/coreos.com/network";
const ACCOUNT = "host";
/** Ended long ago. */
const ENDED = "20200201000000Z";

/** See the module's text. */
export class SecuredEtcd implements AsyncDisposable {
  readonly #authority: TestAuthority;
  readonly #server: CertificateFiles;
  readonly #operator: CertificateFiles;
  readonly #client: CertificateFiles;
  readonly #directory: string;
  readonly #rootPassword = newPassword();
  /** All that the account has ever had; the newest stands last. */
  readonly #passwords = [newPassword()];

  private constructor(
    authority: TestAuthority,
    [server, operator, client]: [
      CertificateFiles,
      CertificateFiles,
      CertificateFiles,
    ],
    directory: string,
  ) {
    this.#authority = authority;
    this.#server = server;
    this.#operator = operator;
    this.#client = client;
    this.#directory = directory;
  }

  /** Makes certificates and a password; etcd is not started. */
  static async make(): Promise<SecuredEtcd> {
    const authority = await TestAuthority.make();
    const secured = new SecuredEtcd(authority, [
      await authority.issue("server", `IP:${SWITCH_ADDRESS}`),
      await authority.issue("operator", "DNS:operator"),
      await authority.issue("client", "DNS:client"),
    ], await Deno.makeTempDir({ prefix: "loden-account-" }));
    await secured.tellPassword();
    return secured;
  }

  /** What an agent or a command is told about etcd. */
  get flags(): string[] {
    return [
      `--etcd-cafile=${this.#authority.caFile}`,
      `--etcd-certfile=${this.#client.certFile}`,
      `--etcd-keyfile=${this.#client.keyFile}`,
      `--etcd-username=${ACCOUNT}`,
      `--etcd-password-file=${this.#passwordFile}`,
    ];
  }

  /** For hosts on it. */
  get overlayOptions(): Partial<OverlayOptions> {
    return {
      flags: this.flags,
      etcd: {
        tls: {
          ...this.#server,
          clientCaFile: this.#authority.caFile,
          client: this.#operator,
        },
      },
      prepareEtcd: (etcd) => this.#addAccounts(etcd),
    };
  }

  /** What must never be shown: passwords, and the lines of the private key. */
  async secrets(): Promise<string[]> {
    const key = await Deno.readTextFile(this.#client.keyFile);
    const lines = key.split("\n").filter((line) =>
      line !== "" && !line.startsWith("-----")
    );
    return [this.#rootPassword, ...this.#passwords, ...lines];
  }

  /** The account's. */
  get password(): string {
    return this.#passwords.at(-1)!;
  }

  /** Gives the account another password; the hosts are not told. */
  async changePassword(etcd: EtcdServer): Promise<void> {
    this.#passwords.push(newPassword());
    await etcd.ctlWith(
      this.password,
      ...["user", "passwd", ACCOUNT, "--interactive=false"],
    );
  }

  /** Tells the hosts of it. */
  async tellPassword(): Promise<void> {
    await Deno.writeTextFile(this.#passwordFile, `${this.password}\n`, {
      mode: 0o600,
    });
  }

  /** Puts an expired certificate in the place of the server's. */
  async expireServer(): Promise<void> {
    await this.#authority.issue("server", `IP:${SWITCH_ADDRESS}`, ENDED);
  }

  /** Puts a good certificate there; etcd reads it at each handshake. */
  async renewServer(): Promise<void> {
    await this.#authority.issue("server", `IP:${SWITCH_ADDRESS}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#directory, { recursive: true });
    await this.#authority[Symbol.asyncDispose]();
  }

  get #passwordFile(): string {
    return `${this.#directory}/password`;
  }

  async #addAccounts(etcd: EtcdServer): Promise<void> {
    const root = `root:${this.#rootPassword}`;
    await etcd.ctl("user", "add", root);
    await etcd.ctl("user", "grant-role", "root", "root");
    await etcd.ctl("role", "add", "network");
    await etcd.ctl(
      ...["role", "grant-permission", "network", "readwrite"],
      ...["--prefix=true", `${PREFIX}/`],
    );
    await etcd.ctl("user", "add", `${ACCOUNT}:${this.password}`);
    await etcd.ctl("user", "grant-role", ACCOUNT, "network");
    await etcd.ctl("auth", "enable");
    etcd.user = root;
  }
}

function newPassword(): string {
  return `secret-${crypto.randomUUID()}`;
}
