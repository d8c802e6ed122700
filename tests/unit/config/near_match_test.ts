import { assertEquals } from "@std/assert";
import { nearMatch } from "../../../config/near_match.ts";

const WORDS = ["etcd-endpoints", "etcd-prefix", "iface", "iface-regex", "v"];

Deno.test("a misspelling finds the nearest word", () => {
  for (
    const [word, expected] of [
      ["etcd-endpoint", "etcd-endpoints"],
      ["etcd_endpoints", "etcd-endpoints"],
      ["ETCDENDPOINTS", "etcd-endpoints"],
      ["ifcae", "iface"],
      ["iface-rexeg", "iface-regex"],
      ["ectd-prefix", "etcd-prefix"],
    ]
  ) assertEquals(nearMatch(word!, WORDS), expected, word);
});

Deno.test("a word that is like none finds none", () => {
  for (const word of ["kubernetes", "xyz", "completely-different", "x", "-x"]) {
    assertEquals(nearMatch(word, WORDS), undefined, word);
  }
});
