import { assertEquals } from "@std/assert";
import {
  type HolderProcesses,
  mayBeAgents,
} from "../../../host/socket_holder.ts";
import { NamespaceLock } from "../../../linux/namespace_lock.ts";

const INODE = 4711;
const ROOT = "0\t0\t0\t0";
const ALL = "000001ffffffffff";
/** As Docker starts a container, without NET_ADMIN. */
const DOCKER = "00000000a80425fb";

interface Process {
  readonly uids?: string;
  readonly capabilities?: string;
  readonly sockets?: readonly number[] | undefined;
  readonly words?: readonly string[];
}

function machine(
  { uids = ROOT, capabilities = ALL, words = [], ...rest }: Process,
  seesAll = true,
): HolderProcesses {
  const sockets = "sockets" in rest ? rest.sockets : [INODE];
  return {
    seesAll: () => seesAll,
    pids: () => [77],
    status: () => `Name:\tx\nUid:\t${uids}\nCapEff:\t${capabilities}\n`,
    sockets: () => sockets && new Set(sockets),
    words: () => words,
  };
}

for (
  const [title, expected, processes] of [
    ["a privileged process of root's that has it", true, machine({})],
    ["one that has others only", false, machine({ sockets: [1] })],
    [
      "root in a container with the host's network",
      false,
      machine({ capabilities: DOCKER }),
    ],
    [
      "another user's process",
      false,
      machine({ uids: "1000\t1000\t1000\t1000" }),
    ],
    [
      "a set-user-ID program of another user",
      false,
      machine({ uids: "1000\t0\t0\t0" }),
    ],
    [
      "a privileged process whose sockets are hidden, under another name",
      false,
      machine({ sockets: undefined, words: ["/usr/sbin/sshd", "-D"] }),
    ],
    [
      "one whose sockets are hidden, under Loden's name",
      true,
      machine({ sockets: undefined, words: ["/usr/bin/loden", "--ip-masq"] }),
    ],
    [
      "one whose sockets are hidden, under flanneld's name",
      true,
      machine({ sockets: undefined, words: ["/opt/bin/flanneld"] }),
    ],
    [
      "one that runs the sources, its sockets hidden",
      true,
      machine({ sockets: undefined, words: ["deno", "run", "/src/cli.ts"] }),
    ],
    [
      "anything where not all processes are seen",
      true,
      machine({ capabilities: DOCKER }, false),
    ],
  ] as const
) {
  Deno.test(`${title} may ${expected ? "" : "not "}be an agent's`, () => {
    assertEquals(mayBeAgents(INODE, processes), expected);
  });
}

Deno.test("this process, which is root's, may be an agent", () => {
  using lock = NamespaceLock.acquire(`loden-test-${crypto.randomUUID()}`)!;
  assertEquals(mayBeAgents(lock.inode), true);
});
