import { assertEquals } from "@std/assert";
import { lineOf } from "../../../config/yaml_lines.ts";

const TEXT = `#cloud-config

coreos:
  flannel:
    interface: 10.0.0.1
    "etcd_prefix": /a
  units:
    - name: flanneld.service
      drop-ins:
        - name: 50-network-config.conf
          content: |
            [Service]
            command: not a key
    # a comment
    - name: redis.service
      command: start
  etcd: { name: a }
`;

for (
  const [path, line] of [
    [[], 1],
    [["coreos"], 3],
    [["coreos", "flannel", "interface"], 5],
    [["coreos", "flannel", "etcd_prefix"], 6],
    [["coreos", "units", 0], 8],
    [["coreos", "units", 0, "name"], 8],
    [["coreos", "units", 0, "drop-ins", 0, "content"], 11],
    [["coreos", "units", 1, "command"], 16],
    // No line of its own: the nearest above.
    [["coreos", "etcd", "name"], 17],
    [["coreos", "units", 0, "command"], 8],
  ] as const
) {
  Deno.test(`${path.join(".") || "the whole"} is in line ${line}`, () => {
    assertEquals(lineOf(TEXT, path), line);
  });
}

Deno.test("a list that begins at its key's column is found", () => {
  const text = "coreos:\n  units:\n  - name: a\n  - name: b\n";
  assertEquals(lineOf(text, ["coreos", "units", 1, "name"]), 4);
});
