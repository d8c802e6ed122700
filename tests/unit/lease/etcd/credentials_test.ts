import { assertStringIncludes, assertThrows } from "@std/assert";
import {
  channelCredentials,
  TlsFileError,
} from "../../../../lease/etcd/credentials.ts";
import { parseEndpoint } from "../../../../lease/etcd/endpoint.ts";

const ENDPOINT = parseEndpoint("https://192.0.2.1:2379");

Deno.test("a TLS file that may not be read names what the unit needs", () => {
  const read = Deno.readTextFileSync;
  // Root with all capabilities may read everything.
  Deno.readTextFileSync = () => {
    throw new Deno.errors.PermissionDenied("Permission denied (os error 13)");
  };
  try {
    const { message } = assertThrows(
      () => channelCredentials(ENDPOINT, { caFile: "/home/etcd/ca.pem" }),
      TlsFileError,
    );
    assertStringIncludes(message, "/home/etcd/ca.pem");
    assertStringIncludes(message, "LoadCredential=");
  } finally {
    Deno.readTextFileSync = read;
  }
});
