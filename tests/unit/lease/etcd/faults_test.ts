import { assertEquals, assertStringIncludes } from "@std/assert";
import { classifyFailure } from "../../../../lease/etcd/faults.ts";
import type { RegistryFault } from "../../../../lease/errors.ts";

/** As grpc-js makes it: the code and the words apart, and both in the message. */
function grpcError(code: number, details: string): Error {
  return Object.assign(new Error(`${code} STATUS: ${details}`), {
    code,
    details,
  });
}

const at = "(2026-11-24T08:24:26.216Z)";
const none = "No connection established. Last error:";
const reset =
  "Received RST_STREAM with code 2 triggered by internal client error:";

// Words as grpc-js 1.12.6 on Deno 2.9.6 and etcd 3.5.16 really give them.
const CASES: [
  code: number,
  words: string,
  fault: RegistryFault,
  flags: string,
  detail?: string,
][] = [
  [
    14,
    `${none} TlsFileError: TLS file /k.pem: it is spoilt ${at}`,
    "tls",
    "",
  ],
  [14, `${none} connect ECONNREFUSED 127.0.0.1:1 ${at}`, "refused", ""],
  [
    14,
    "Name resolution failed for target dns:no.invalid:2379",
    "dns",
    "",
    "no resolver has an address for it",
  ],
  [
    14,
    `${none} connect EHOSTUNREACH 192.0.2.77:2379 ${at}`,
    "unreachable",
    "",
    "connect EHOSTUNREACH 192.0.2.77:2379",
  ],
  [
    14,
    `${none} connect ETIMEDOUT 192.0.2.77:2379 ${at}`,
    "unreachable",
    "ambiguous",
  ],
  [
    4,
    "Deadline exceeded after 2.0s,LB pick: 0.005s,remote_addr=127.0.0.1:1",
    "deadline",
    "ambiguous uncertain",
  ],
  [
    4,
    "Deadline exceeded after 2.0s,Waiting for LB pick",
    "deadline",
    "ambiguous connecting",
  ],
  [
    14,
    `${none} unable to verify the first certificate ${at}`,
    "tls",
    "ambiguous",
    "the server's certificate is not signed by a trusted authority",
  ],
  [14, `${none} certificate has expired ${at}`, "tls", ""],
  [14, `${none} self-signed certificate in certificate chain ${at}`, "tls", ""],
  [
    14,
    `${none} Hostname/IP does not match certificate's altnames: IP: 127.0.0.1 is not in the cert's list:  ${at}`,
    "tls",
    "",
  ],
  [
    13,
    `${reset} received fatal alert: CertificateRequired`,
    "tls",
    "",
    "received fatal alert: CertificateRequired",
  ],
  [
    14,
    `${none} Client network socket disconnected before secure TLS connection was established ${at}`,
    "tls",
    "ambiguous",
  ],
  [
    14,
    `${none} received corrupt message of type InvalidContentType (SSL routines:ssl3_get_record:wrong version number) ${at}`,
    "tls",
    "ambiguous",
  ],
  [
    13,
    "Received RST_STREAM with code 0 (Call ended without gRPC status)",
    "not-etcd",
    "ambiguous",
  ],
  [
    13,
    `${reset} Protocol error`,
    "not-etcd",
    "ambiguous uncertain",
    "Protocol error",
  ],
  [12, "unknown service etcdserverpb.KV", "not-etcd", ""],
  [14, "Received HTTP status code 502", "not-etcd", "ambiguous"],
  [13, `${reset} write EPIPE`, "unreachable", "ambiguous uncertain"],
  [14, "Connection dropped", "unreachable", "ambiguous uncertain"],
  [14, "read ECONNRESET", "unreachable", "ambiguous uncertain"],
  [
    13,
    "Failed to start HTTP/2 stream with error The session has been destroyed",
    "unreachable",
    "ambiguous",
  ],
  [14, "etcdserver: server stopped", "unreachable", "uncertain"],
  [
    3,
    "etcdserver: authentication failed, invalid user ID or password",
    "auth",
    "",
  ],
  [3, "etcdserver: user name is empty", "auth", ""],
  [16, "etcdserver: invalid auth token", "auth", ""],
  [3, "etcdserver: revision of auth store is old", "auth", ""],
  [7, "etcdserver: permission denied", "permission", ""],
  [14, "etcdserver: no leader", "no-leader", "uncertain"],
  [14, "etcdserver: leader changed", "no-leader", "uncertain"],
  [
    14,
    "etcdserver: request timed out, possibly due to connection lost",
    "no-leader",
    "uncertain",
  ],
  [8, "etcdserver: mvcc: database space exceeded", "no-space", ""],
  [8, "etcdserver: no space", "no-space", ""],
  [
    11,
    "etcdserver: mvcc: required revision has been compacted",
    "compacted",
    "",
  ],
  [
    2,
    "etcdserver: something new",
    "unknown",
    "uncertain",
    "etcdserver: something new",
  ],
];

for (const [code, words, fault, flags, detail] of CASES) {
  Deno.test(`"${words}" is ${fault}`, () => {
    const failure = classifyFailure(grpcError(code, words));
    assertEquals(failure.fault, fault);
    const set = (["ambiguous", "uncertain", "connecting"] as const)
      .filter((flag) => failure[flag]);
    assertEquals(set.join(" "), flags);
    if (detail !== undefined) assertEquals(failure.detail, detail);
  });
}

Deno.test("what is no gRPC error keeps its own words", () => {
  const failure = classifyFailure(new TypeError("a defect\nin the program"));
  assertEquals(failure.fault, "unknown");
  assertStringIncludes(failure.detail, "a defect in the program");
});
