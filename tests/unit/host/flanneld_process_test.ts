import { assertEquals } from "@std/assert";
import {
  findFlanneld,
  type ProcessTable,
} from "../../../host/flanneld_process.ts";

const RIVALRY = {
  subnetFile: "/run/flannel/subnet.env",
  etcdPrefix: "/coreos.com/network",
};

/** A host with one process beside ours. */
function host(
  { cmdline, environ = [], network = 1, exe = "/opt/bin/flanneld" }: {
    readonly cmdline: readonly string[];
    readonly environ?: readonly string[];
    readonly network?: number;
    readonly exe?: string;
  },
): ProcessTable {
  const files = { cmdline, environ };
  return {
    pids: () => [77],
    words: (_pid, file) => [...files[file]],
    program: (pid) => pid === "self" ? "/usr/bin/loden" : exe,
    network: (pid) => pid === "self" ? 1 : network,
  };
}

const OTHER_FILE = "--subnet-file=/run/other.env";
const OTHER_PREFIX = "-etcd-prefix=/other";

for (
  const [title, table, shared] of [
    [
      "a flanneld with flannel's defaults is a rival",
      host({ cmdline: ["/opt/bin/flanneld", "--ip-masq"] }),
      "the subnet file /run/flannel/subnet.env",
    ],
    [
      "one with another subnet file leases from the same network",
      host({ cmdline: ["flanneld", OTHER_FILE] }),
      "the network /coreos.com/network",
    ],
    [
      "one with another prefix writes the same subnet file",
      host({ cmdline: ["flanneld", OTHER_PREFIX] }),
      "the subnet file /run/flannel/subnet.env",
    ],
    [
      "a prefix may end with a slash",
      host({
        cmdline: [
          "flanneld",
          OTHER_FILE,
          "-etcd-prefix",
          "/coreos.com/network/",
        ],
      }),
      "the network /coreos.com/network",
    ],
    [
      "one of another network with files of its own is none",
      host({ cmdline: ["flanneld", "-subnet-file", "/run/o", OTHER_PREFIX] }),
      undefined,
    ],
    [
      "its settings may be in its environment",
      host({
        cmdline: ["flanneld"],
        environ: [
          "FLANNELD_SUBNET_FILE=/run/other.env",
          "FLANNELD_ETCD_PREFIX=/other",
        ],
      }),
      undefined,
    ],
    [
      "one in another network namespace is none",
      host({ cmdline: ["flanneld"], network: 2 }),
      undefined,
    ],
    [
      "Loden under flanneld's name is none",
      host({ cmdline: ["/usr/bin/flanneld"], exe: "/usr/bin/loden" }),
      undefined,
    ],
    [
      "a program that only speaks of flanneld is none",
      host({ cmdline: ["tail", "-f", "flanneld"] }),
      undefined,
    ],
    ["a process of the kernel is none", host({ cmdline: [] }), undefined],
  ] as const
) {
  Deno.test(title, () => {
    assertEquals(findFlanneld(RIVALRY, table)?.shared, shared);
  });
}

Deno.test("the processes of this machine can be read", () => {
  const sought = { subnetFile: "/nonexistent", etcdPrefix: "/nonexistent" };
  assertEquals(findFlanneld(sought), undefined);
});
