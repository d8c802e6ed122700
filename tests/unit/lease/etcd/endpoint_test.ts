import { assert, assertEquals, assertThrows } from "@std/assert";
import { BadEndpointError } from "../../../../lease/errors.ts";
import { parseEndpoint } from "../../../../lease/etcd/endpoint.ts";

const GOOD: [string, string, boolean, string, number][] = [
  ["http://127.0.0.1:2379", "http://127.0.0.1:2379", false, "127.0.0.1", 2379],
  [
    "https://etcd.example:4001/",
    "https://etcd.example:4001",
    true,
    "etcd.example",
    4001,
  ],
  ["  http://10.0.0.1:2379 ", "http://10.0.0.1:2379", false, "10.0.0.1", 2379],
  ["127.0.0.1:4001", "http://127.0.0.1:4001", false, "127.0.0.1", 4001],
  ["http://etcd", "http://etcd:2379", false, "etcd", 2379],
  [
    "https://[2001:db8::1]:2379",
    "https://[2001:db8::1]:2379",
    true,
    "2001:db8::1",
    2379,
  ],
];

for (const [text, url, tls, host, port] of GOOD) {
  Deno.test(`${JSON.stringify(text)} is the endpoint ${url}`, () => {
    assertEquals(parseEndpoint(text), { url, tls, host, port });
  });
}

for (
  const text of [
    "",
    "http://",
    "ftp://127.0.0.1:21",
    "unix:///run/etcd.sock",
    "http://127.0.0.1:0",
    "http://127.0.0.1:70000",
    "http://127.0.0.1:2379/path",
    "http://a b:2379",
  ]
) {
  Deno.test(`${JSON.stringify(text)} is refused as an endpoint`, () => {
    assertThrows(() => parseEndpoint(text), BadEndpointError, "http://");
  });
}

Deno.test("a password in an endpoint is refused and not shown", () => {
  const error = assertThrows(
    () => parseEndpoint("http://root:secret@127.0.0.1:2379"),
    BadEndpointError,
  ) as BadEndpointError;
  assert(!error.message.includes("secret"));
});
