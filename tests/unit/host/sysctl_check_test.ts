import { assertEquals } from "@std/assert";
import { checkSysctls } from "../../../host/sysctl_check.ts";

function found(
  settings: Record<string, string>,
  devices: string[] = ["flannel0", "eth0.5"],
) {
  return checkSysctls(devices, (path) => settings[path])
    .map(({ name, severity, fix }) => [name, severity, fix]);
}

Deno.test("a host that forwards has nothing to mend", () => {
  assertEquals(
    found({
      "net/ipv4/ip_forward": "1",
      "net/ipv4/conf/flannel0/forwarding": "1",
      "net/bridge/bridge-nf-call-iptables": "0",
    }),
    [],
  );
});

Deno.test("forwarding that is off is one warning with its cure", () => {
  assertEquals(
    found({
      "net/ipv4/ip_forward": "0",
      "net/ipv4/conf/flannel0/forwarding": "0",
    }),
    [["net.ipv4.ip_forward", "warning", "sysctl -w net.ipv4.ip_forward=1"]],
  );
});

Deno.test("a single device that does not forward is named, also with a dot", () => {
  assertEquals(
    found({
      "net/ipv4/ip_forward": "1",
      "net/ipv4/conf/flannel0/forwarding": "0",
      "net/ipv4/conf/eth0.5/forwarding": "0",
    }),
    [
      [
        "net.ipv4.conf.flannel0.forwarding",
        "warning",
        "sysctl -w net.ipv4.conf.flannel0.forwarding=1",
      ],
      [
        "net/ipv4/conf/eth0.5/forwarding",
        "warning",
        "sysctl -w net/ipv4/conf/eth0.5/forwarding=1",
      ],
    ],
  );
});

Deno.test("bridged packets that meet iptables are told, not warned of", () => {
  assertEquals(
    found({ "net/bridge/bridge-nf-call-iptables": "1" }).map((one) => one[1]),
    ["info"],
  );
});

Deno.test("a strict check of sources is told, for each device by the larger value", () => {
  const all = (value: string, own: string) =>
    found({
      "net/ipv4/conf/all/rp_filter": value,
      "net/ipv4/conf/flannel0/rp_filter": own,
    });
  const told = [[
    "net.ipv4.conf.flannel0.rp_filter",
    "info",
    "sysctl -w net.ipv4.conf.flannel0.rp_filter=2",
  ]];
  assertEquals(all("1", "0"), told);
  assertEquals(all("0", "1"), told);
  assertEquals(all("0", "0"), []);
  assertEquals(all("2", "1"), []);
  assertEquals(all("1", "2"), []);
});

Deno.test("the kernel of this machine can be read", () => {
  const ipForward = Deno.readTextFileSync("/proc/sys/net/ipv4/ip_forward");
  assertEquals(
    checkSysctls(["nonexistent0"])
      .some(({ name }) => name === "net.ipv4.ip_forward"),
    ipForward.trim() === "0",
  );
});
