import { assertEquals, assertThrows } from "@std/assert";
import { hierarchies } from "../../rig/booted/control_group.ts";

Deno.test("version 2 alone has one hierarchy", () => {
  const mounts = "proc /proc proc rw 0 0\n" +
    "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
  assertEquals(hierarchies(mounts), {
    unified: "/sys/fs/cgroup",
    all: ["/sys/fs/cgroup"],
  });
});

Deno.test("beside version 1, systemd's named hierarchy counts and no other", () => {
  const mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n" +
    "cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\n" +
    "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
  assertEquals(hierarchies(mounts), {
    unified: "/sys/fs/cgroup/unified",
    all: ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"],
  });
});

Deno.test("a machine without version 2 is refused with the reason", () => {
  assertThrows(
    () => hierarchies("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"),
    Error,
    "control groups of version 2",
  );
});
