import { assert, assertEquals, assertThrows } from "@std/assert";
import { rootCertificates } from "node:tls";
import {
  type CertificateHost,
  systemCertificates,
  trustedCertificates,
} from "../../../../lease/etcd/system_certificates.ts";

const ONE = "-----BEGIN CERTIFICATE-----\nT25l\n-----END CERTIFICATE-----";
const TWO = "-----BEGIN CERTIFICATE-----\nVHdv\n-----END CERTIFICATE-----";
const DEBIAN = "/etc/ssl/certs/ca-certificates.crt";
const ALPINE = "/etc/ssl/cert.pem";

function host(
  files: Record<string, string>,
  env: Record<string, string> = {},
): CertificateHost {
  return {
    readTextFile(path) {
      const text = files[path];
      if (text === undefined) throw new Deno.errors.NotFound(path);
      return text;
    },
    env: (name) => env[name],
  };
}

Deno.test("a machine's bundle is cut into its certificates", () => {
  assertEquals(
    systemCertificates(host({ [DEBIAN]: `# comment\n${ONE}\n\n${TWO}\n` })),
    [ONE, TWO],
  );
});

Deno.test("the first list that is there counts, and none is no error", () => {
  assertEquals(systemCertificates(host({ [ALPINE]: ONE, other: TWO })), [ONE]);
  assertEquals(
    systemCertificates(host({ [ALPINE]: ONE, [DEBIAN]: TWO })),
    [TWO],
  );
  assertEquals(systemCertificates(host({})), []);
});

Deno.test("SSL_CERT_FILE stands in for the machine's list", () => {
  const files = { [DEBIAN]: ONE, "/own.pem": TWO };
  assertEquals(
    systemCertificates(host(files, { SSL_CERT_FILE: "/own.pem" })),
    [TWO],
  );
});

Deno.test("a list that cannot be read is said, not passed over", () => {
  const denied: CertificateHost = {
    readTextFile() {
      throw new Deno.errors.PermissionDenied("no");
    },
    env: () => undefined,
  };
  assertThrows(() => systemCertificates(denied), Deno.errors.PermissionDenied);
});

Deno.test("the runtime's own list is trusted too, and nothing twice", () => {
  const all = trustedCertificates(host({ [DEBIAN]: `${ONE}\n${ONE}` }));
  assertEquals(all.length, rootCertificates.length + 1);
  assert(all.includes(rootCertificates[0]!));
});
