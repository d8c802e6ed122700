/**
 * The certificate authorities that this machine trusts.
 *
 * @module
 */

import { rootCertificates } from "node:tls";

/** Where distributions keep the list. Source: Go, crypto/x509/root_linux.go. */
const BUNDLE_FILES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cacert.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** What this module needs of the machine. */
export interface CertificateHost {
  /** Throws `Deno.errors.NotFound`. */
  readTextFile(path: string): string;
  env(name: string): string | undefined;
}

const MACHINE: CertificateHost = {
  readTextFile: Deno.readTextFileSync,
  env: Deno.env.get,
};

/**
 * PEM certificates, one each: the runtime's own list and the machine's, which
 * is the file named by `SSL_CERT_FILE` or the first that exists.
 * `getCACertificates` of `node:tls` would return both but is not in every Deno
 * that binaries are built with.
 */
export function trustedCertificates(
  host: CertificateHost = MACHINE,
): string[] {
  return [...new Set([...rootCertificates, ...systemCertificates(host)])];
}

/** Only the machine's list; empty if it has none. */
export function systemCertificates(host: CertificateHost): string[] {
  const named = host.env("SSL_CERT_FILE");
  for (const path of named ? [named] : BUNDLE_FILES) {
    try {
      return splitPem(host.readTextFile(path));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return [];
}

function splitPem(text: string): string[] {
  return text.match(
    /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g,
  ) ?? [];
}
