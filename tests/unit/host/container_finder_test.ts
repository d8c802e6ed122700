import { assertEquals } from "@std/assert";
import {
  findNamespaces,
  type ProcessTable,
} from "../../../host/container_finder.ts";
import { parseIpv4 } from "../../../net/ipv4.ts";

const ADDRESS = parseIpv4("10.1.5.2")!;
/** As /proc/net/fib_trie prints a namespace with these addresses. */
const trie = (...addresses: readonly string[]) =>
  "Main:\n  +-- 0.0.0.0/0 3 0 5\n" +
  addresses.map((address) => `     |-- ${address}\n        /32 host LOCAL\n`)
    .join("");

interface Process {
  readonly namespace: number;
  readonly trie: string | Error;
}

function table(
  processes: Readonly<Record<number, Process>>,
  hasNamed = false,
): ProcessTable {
  const at = (pid: number) => {
    const found = processes[pid];
    if (found === undefined) {
      throw Object.assign(new Deno.errors.NotFound("gone"), { code: "ENOENT" });
    }
    return found;
  };
  return {
    pids: () => [...Object.keys(processes).map(Number), 999],
    namespaceOf: (pid) => pid === "self" ? 1 : at(pid).namespace,
    read(pid, name) {
      const { trie } = at(pid);
      if (trie instanceof Error) throw trie;
      return name === "comm" ? `command${pid}\n` : trie;
    },
    hasNamedNamespaces: () => hasNamed,
  };
}

Deno.test("the first process of the namespace with the address is found", () => {
  assertEquals(
    findNamespaces(
      ADDRESS,
      table({
        1: { namespace: 1, trie: trie("10.1.5.2") },
        20: { namespace: 2, trie: trie("127.0.0.1", "10.1.5.20") },
        30: { namespace: 3, trie: trie("127.0.0.1", "10.1.5.2") },
        31: { namespace: 3, trie: trie("127.0.0.1", "10.1.5.2") },
      }),
    ),
    { holders: [{ pid: 30, command: "command30" }], isComplete: true },
  );
});

Deno.test("an address in a route is no address of the namespace", () => {
  const route = "     |-- 10.1.5.2\n        /32 link UNICAST\n";
  assertEquals(
    findNamespaces(ADDRESS, table({ 30: { namespace: 3, trie: route } })),
    { holders: [], isComplete: true },
  );
});

Deno.test("a namespace that may not be read makes the search incomplete", () => {
  const denied = new Deno.errors.PermissionDenied("not you");
  Object.assign(denied, { code: "EACCES" });
  assertEquals(
    findNamespaces(ADDRESS, table({ 30: { namespace: 3, trie: denied } })),
    { holders: [], isComplete: false },
  );
});

Deno.test("namespaces with names may have no process", () => {
  assertEquals(findNamespaces(ADDRESS, table({}, true)), {
    holders: [],
    isComplete: false,
  });
});

Deno.test("this process's own namespace can be searched", () => {
  assertEquals(findNamespaces(parseIpv4("203.0.113.77")!).holders, []);
});
