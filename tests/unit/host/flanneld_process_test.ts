import { assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
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
  {
    cmdline,
    environ = [],
    network = 1,
    exe = "/opt/bin/flanneld",
    uids = [0, 0, 0, 0],
  }: {
    readonly cmdline: readonly string[];
    readonly environ?: readonly string[];
    readonly network?: number;
    readonly exe?: string | null;
    readonly uids?: readonly number[];
  },
): ProcessTable {
  const files = { cmdline, environ };
  return {
    pids: () => [77],
    words: (_pid, file) => [...files[file]],
    program: (pid) => pid === "self" ? "/usr/bin/loden" : exe ?? undefined,
    userIds: () => uids,
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
    [
      "another user's process with that name is none",
      host({ cmdline: ["flanneld"], uids: [1000, 1000, 1000, 1000] }),
      undefined,
    ],
    [
      "another user's, whose program cannot be read, is none",
      host({ cmdline: ["flanneld"], exe: null, uids: [7, 7, 7, 7] }),
      undefined,
    ],
    [
      "a set-user-ID program that another user named so is none",
      host({ cmdline: ["flanneld"], exe: null, uids: [1000, 0, 0, 0] }),
      undefined,
    ],
    [
      "another program under that name is none",
      host({ cmdline: ["flanneld", "600"], exe: "/usr/bin/sleep" }),
      undefined,
    ],
    [
      "root's process whose program cannot be read is one",
      host({ cmdline: ["flanneld"], exe: null }),
      "the subnet file /run/flannel/subnet.env",
    ],
    [
      "one whose program was replaced by an upgrade is one",
      host({ cmdline: ["flanneld"], exe: "/opt/bin/flanneld (deleted)" }),
      "the subnet file /run/flannel/subnet.env",
    ],
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

async function whileRunning(
  [command, ...args]: readonly string[],
  look: (pid: number) => void,
): Promise<void> {
  const child = new Deno.Command(command!, {
    args,
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    const words = () => Deno.readTextFileSync(`/proc/${child.pid}/cmdline`);
    for (let tries = 0; !/flanneld\0-f/.test(words()); tries++) {
      if (tries > 500) throw new Error(`it has not started: ${words()}`);
      await delay(20);
    }
    look(child.pid);
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
}

Deno.test("a running process is a flanneld by owner and program, not by what it calls itself", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const flanneld = `${directory}/flanneld`;
    await Deno.copyFile("/usr/bin/tail", flanneld);
    await Deno.chmod(directory, 0o755);
    const named = ["bash", "-c", "exec -a flanneld tail -f /dev/null"];
    const asNobody = ["setpriv", "--reuid=65534", "--clear-groups"];
    const nobodys = [...asNobody, flanneld, "-f", "/dev/null"];
    for (const command of [named, [...asNobody, ...named], nobodys]) {
      await whileRunning(
        command,
        () => assertEquals(findFlanneld(RIVALRY), undefined),
      );
    }
    await whileRunning(
      [flanneld, "-f", "/dev/null"],
      (pid) => assertEquals(findFlanneld(RIVALRY)?.pid, pid),
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
