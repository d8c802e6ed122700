/**
 * TLS to etcd.
 *
 * @module
 */

import { ChannelCredentials, credentials } from "@grpc/grpc-js";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import {
  connect,
  type ConnectionOptions,
  createSecureContext,
  type SecureContext,
} from "node:tls";
import { isDeno27 } from "../../deno27/is_deno27.ts";
import { relayTls } from "../../deno27/tls_relay.ts";
import type { Endpoint } from "./endpoint.ts";
import { trustedCertificates } from "./system_certificates.ts";

/** Paths of PEM files. */
export interface TlsFiles {
  /**
   * The certificate authority of the server's certificate; without it, the
   * machine's own list.
   */
  readonly caFile?: string;
  /** This host's certificate; needs `keyFile`. */
  readonly certFile?: string;
  readonly keyFile?: string;
}

/**
 * Credentials for one endpoint. The files are read here, so that a bad one is
 * reported at once, and again for each connection that the channel opens. Only
 * the scheme of the endpoint decides whether they are used; a CA without a
 * certificate is enough (flannel ignores it then, compat 3.9).
 *
 * @throws {TlsFileError}
 */
export function channelCredentials(
  endpoint: Endpoint,
  files: TlsFiles,
): ChannelCredentials {
  if (!endpoint.tls) return credentials.createInsecure();
  return new FileTlsCredentials(files);
}

/** The texts of the files, as TLS takes them. */
export interface TlsTexts {
  readonly ca: string | string[];
  readonly cert?: string;
  readonly key?: string;
}

/** @throws {TlsFileError} */
export function readTlsFiles(
  { caFile, certFile, keyFile }: TlsFiles,
): TlsTexts {
  return {
    ca: caFile === undefined
      ? trustedCertificates()
      : readPem(caFile, "CERTIFICATE"),
    ...(certFile === undefined || keyFile === undefined ? {} : {
      cert: readPem(certFile, "CERTIFICATE"),
      key: readPem(keyFile, "PRIVATE KEY"),
    }),
  };
}

/** @throws {TlsFileError} */
function readContext(files: TlsFiles): SecureContext {
  const { caFile, certFile, keyFile } = files;
  const options = readTlsFiles(files);
  try {
    if (options.cert !== undefined && !isPair(options.cert, options.key!)) {
      throw new TypeError("the key must be the certificate's");
    }
    return createSecureContext(options);
  } catch (error) {
    const path = [caFile, certFile, keyFile].filter((path) => path).join(", ");
    throw new TlsFileError(path, (error as Error).message, { cause: error });
  }
}

/** Where they are none, the handshake's error would not name the files. */
function isPair(cert: string, key: string): boolean {
  return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
}

/** A TLS file that is missing, unreadable or not PEM. */
export class TlsFileError extends Error {
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`TLS file ${path}: ${reason}`, options);
    this.name = "TlsFileError";
  }
}

function readPem(path: string, label: string): string {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    throw new TlsFileError(path, whyUnread(error), { cause: error });
  }
  // Otherwise an empty or wrong file would only show as a failed handshake.
  if (!new RegExp(`-----BEGIN [A-Z ]*${label}-----`).test(text)) {
    throw new TlsFileError(path, `it must hold a PEM ${label}`);
  }
  return text;
}

function whyUnread(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file";
  // The unit leaves root neither home directories nor files of other users.
  if (error instanceof Deno.errors.PermissionDenied) {
    return "this process may not read it; hand it to loden.service by " +
      "LoadCredential= (docs/systemd.md)";
  }
  return (error as Error).message;
}

/**
 * grpc-js keeps one context for the life of a channel: it would keep using an
 * expired certificate after it was renewed.
 *
 * It also always sends its target as the TLS server name. An IP address is not
 * allowed there (RFC 6066, section 3), and Deno, like newer Node versions,
 * throws, so that `https://192.0.2.1:2379` could not be used. The connection is
 * therefore opened here, with a server name only if there is one. The
 * certificate is checked against the address in either case.
 */
class FileTlsCredentials extends ChannelCredentials {
  readonly #files: TlsFiles;
  readonly #first: SecureContext;

  constructor(files: TlsFiles) {
    super();
    this.#files = files;
    this.#first = readContext(files);
  }

  compose(): ChannelCredentials {
    throw new TypeError("Cannot compose etcd's credentials with others");
  }

  _getConnectionOptions(): ConnectionOptions {
    const createConnection = (_authority: URL, options: ConnectionOptions) => {
      const { host, port, servername } = options;
      // An exception here fails this connection attempt; see the rules in
      // faults.ts.
      const secureContext = readContext(this.#files);
      const tls = {
        ...(host === undefined ? {} : { host }),
        ...(port === undefined ? {} : { port }),
        ...(servername === undefined || isIP(servername) !== 0
          ? {}
          : { servername }),
        secureContext,
        ALPNProtocols: ["h2"],
      };
      return isDeno27() ? relayTls(tls) : connect(tls);
    };
    // The presence of a context makes grpc-js use TLS.
    return {
      secureContext: this.#first,
      createConnection,
    } as ConnectionOptions;
  }

  _isSecure(): boolean {
    return true;
  }

  _equals(other: ChannelCredentials): boolean {
    return this === other;
  }
}
