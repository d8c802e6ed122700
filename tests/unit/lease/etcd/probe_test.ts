import { assertEquals, assertStringIncludes } from "@std/assert";
import { parseEndpoint } from "../../../../lease/etcd/endpoint.ts";
import { probeEndpoint } from "../../../../lease/etcd/probe.ts";
import { freePort } from "../../../support/free_port.ts";
import { RawServer } from "../../../support/raw_server.ts";

const TIMEOUT_MS = 300;

function probe(scheme: string, port: number) {
  return probeEndpoint(
    parseEndpoint(`${scheme}://127.0.0.1:${port}`),
    TIMEOUT_MS,
  );
}

Deno.test("a closed port refuses", async () => {
  const finding = await probe("http", freePort());
  assertEquals(finding?.fault, "refused");
});

Deno.test("a name that does not resolve is a matter of DNS", async () => {
  const finding = await probeEndpoint(
    parseEndpoint("http://no-such-host.invalid:2379"),
    5_000,
  );
  assertEquals(finding?.fault, "dns");
});

for (const scheme of ["http", "https"]) {
  Deno.test(`a silent port is found within the time (${scheme})`, async () => {
    await using server = new RawServer(() => {});
    const before = performance.now();
    const finding = await probe(scheme, server.port);
    assertEquals(finding?.fault, "deadline");
    assertEquals(performance.now() - before < TIMEOUT_MS + 300, true);
  });

  Deno.test(`a port that hangs up is unreachable (${scheme})`, async () => {
    await using server = new RawServer((connection) => connection.close());
    const finding = await probe(scheme, server.port);
    assertEquals(finding?.fault, "unreachable");
    assertStringIncludes(finding!.detail, "closes");
  });

  Deno.test(`a mail server is no etcd, and its greeting is told (${scheme})`, async () => {
    await using server = RawServer.saying("220 mail ESMTP\r\n");
    const finding = await probe(scheme, server.port);
    assertEquals(finding?.fault, "not-etcd");
    assertStringIncludes(finding!.detail, '"220 mail ESMTP\\r\\n"');
  });

  Deno.test(`an HTTP/1 server is no etcd (${scheme})`, async () => {
    await using server = RawServer.saying("HTTP/1.1 400 Bad Request\r\n\r\n");
    const finding = await probe(scheme, server.port);
    assertEquals(finding?.fault, "not-etcd");
    assertStringIncludes(finding!.detail, "HTTP/1");
  });
}

/** An empty SETTINGS frame. */
const SETTINGS = "\0\0\0\x04\0\0\0\0\0";

Deno.test("a port that begins HTTP/2 is left to the caller", async () => {
  await using server = RawServer.saying(SETTINGS);
  assertEquals(await probe("http", server.port), undefined);
});

Deno.test("plain HTTP/2 behind https:// is named", async () => {
  await using server = RawServer.saying(SETTINGS);
  const finding = await probe("https", server.port);
  assertEquals(finding?.fault, "not-etcd");
  assertStringIncludes(finding!.detail, "use http://");
});

Deno.test("a TLS alert behind http:// is named", async () => {
  await using server = RawServer.saying("\x15\x03\x03\0\x02\x02\x46");
  const finding = await probe("http", server.port);
  assertEquals(finding?.fault, "not-etcd");
  assertStringIncludes(finding!.detail, "use https://");
});
