import { assertEquals, assertMatch } from "@std/assert";
import { pickUnderlay } from "../../../../host/underlay/interface_picker.ts";
import { underlayWarnings } from "../../../../host/underlay/underlay_warnings.ts";
import type { Link } from "../../../../linux/netlink/rtnetlink.ts";
import { FakeRtnetlink } from "../../../fakes/fake_rtnetlink.ts";

type Device = Partial<Link> & { name: string; address: string };

/** The warnings after `--iface=chosen`, on a host with these devices, all up. */
function warningsFor(
  { chosen, publicIp = "" }: { chosen: string; publicIp?: string },
  ...devices: Device[]
) {
  const rtnetlink = new FakeRtnetlink();
  for (const { address, ...link } of devices) {
    const { index } = rtnetlink.addLink({ up: true, ...link });
    rtnetlink.addAddress(index, address);
  }
  const underlay = pickUnderlay(
    { iface: [chosen], ifaceRegex: [], ifaceCanReach: "", publicIp },
    rtnetlink,
  );
  return underlayWarnings(underlay, rtnetlink.links(), rtnetlink.addresses());
}

const LAN: Device = { name: "eth1", address: "192.168.56.11/24" };
const NAT: Device = { name: "eth0", address: "10.0.2.15/24" };
const DOCKER: Device = {
  name: "docker0",
  address: "172.17.0.1/16",
  kind: "bridge",
};
const OVERLAY: Device = { name: "flannel0", address: "10.1.27.0/32" };

Deno.test("an ordinary interface gives no warning", () => {
  assertEquals(warningsFor({ chosen: "eth1" }, NAT, LAN, DOCKER), []);
});

Deno.test("VirtualBox's NAT address gives a warning that names the better interface", () => {
  assertEquals(warningsFor({ chosen: "eth0" }, NAT, DOCKER, LAN), [{
    code: "underlay.shared-address",
    text:
      "10.0.2.15 is probably not unique to this host: VirtualBox and QEMU " +
      "give it to every machine behind their NAT",
    fix: "--iface=eth1 (192.168.56.11)",
  }]);
});

Deno.test("without a better interface the fix names the flags", () => {
  const [warning] = warningsFor({ chosen: "eth0" }, NAT, DOCKER, OVERLAY, {
    ...LAN,
    up: false,
  }, { name: "eth2", address: "169.254.3.4/16" });
  assertMatch(warning!.fix, /^--iface with .* or --public-ip with /);
});

Deno.test("addresses that many hosts have are recognised", () => {
  const textOf = (device: Device) =>
    warningsFor({ chosen: device.address.replace(/\/.*/, "") }, device)
      .map(({ text }) => text).join();
  assertMatch(
    textOf({ name: "tap0", address: "10.0.2.100/24" }),
    /slirp4netns/,
  );
  assertMatch(
    textOf({ name: "eth0", address: "169.254.3.4/16" }),
    /169\.254\.3\.4 is a link-local address/,
  );
  assertMatch(
    textOf({ name: "eth0", address: "127.0.1.1/8" }),
    /127\.0\.1\.1 is a loopback address/,
  );
  assertMatch(textOf(DOCKER), /docker0 is a bridge inside this host/);
  assertMatch(textOf(OVERLAY), /flannel0 is the device of an overlay/);
  assertMatch(
    textOf({ ...OVERLAY, name: "overlay7", alias: "loden 10.1.0.0/16" }),
    /overlay7 is the device of an overlay/,
  );
});

Deno.test("the better address may be on the same interface", () => {
  const rtnetlink = new FakeRtnetlink();
  rtnetlink.addLink({ name: "eth0", up: true });
  rtnetlink.addAddress(2, "169.254.3.4/16");
  rtnetlink.addAddress(2, "192.168.56.11/24");
  const underlay = pickUnderlay(
    { iface: ["169.254.3.4"], ifaceRegex: [], ifaceCanReach: "", publicIp: "" },
    rtnetlink,
  );
  const [warning] = underlayWarnings(
    underlay,
    rtnetlink.links(),
    rtnetlink.addresses(),
  );
  assertEquals(warning!.fix, "--iface=eth0 (192.168.56.11)");
});

Deno.test("bridges of container and machine managers are told from those of administrators", () => {
  const warns = (name: string, kind = "bridge") =>
    warningsFor({ chosen: name }, { name, kind, address: "10.5.0.1/24" })
      .length === 1;
  for (
    const name of [
      "docker0",
      "docker_gwbridge",
      "br-0123456789ab",
      "virbr0",
      "lxcbr0",
      "lxdbr0",
      "cni0",
      "podman1",
      "cni-podman0",
    ]
  ) assertEquals(warns(name), true, name);
  for (const name of ["br0", "br-lan", "bridge0", "vmbr0"]) {
    assertEquals(warns(name), false, name);
  }
  assertEquals(warns("docker0", "veth"), false);
});

Deno.test("a public address behind a NAT that no interface has gives no warning", () => {
  assertEquals(
    warningsFor({ chosen: "eth0", publicIp: "203.0.113.9" }, NAT, LAN),
    [],
  );
});

Deno.test("a bridge inside the host gives a warning also behind a public address", () => {
  assertEquals(
    warningsFor({ chosen: "docker0", publicIp: "203.0.113.9" }, LAN, DOCKER)
      .map(({ code, fix }) => [code, fix]),
    [["underlay.shared-address", "--iface=eth1 (192.168.56.11)"]],
  );
});

Deno.test("the loopback interface gives a warning also with an address that looks global", () => {
  const rtnetlink = new FakeRtnetlink();
  rtnetlink.addAddress(1, "198.51.100.1/32");
  const underlay = pickUnderlay(
    { iface: ["lo"], ifaceRegex: [], ifaceCanReach: "", publicIp: "" },
    rtnetlink,
  );
  const [warning] = underlayWarnings(
    underlay,
    rtnetlink.links(),
    rtnetlink.addresses(),
  );
  assertMatch(warning!.text, /^lo is the loopback interface/);
});

Deno.test("a public address of another interface gives a warning that names the flag", () => {
  assertEquals(
    warningsFor({ chosen: "eth0", publicIp: "192.168.56.11" }, NAT, LAN),
    [{
      code: "underlay.public-ip-elsewhere",
      text: "the public address 192.168.56.11 is on eth1, but packets leave " +
        "from 10.0.2.15 on eth0, so other hosts may refuse them",
      fix: "--iface=192.168.56.11",
    }],
  );
});

Deno.test("an address that two interfaces have gives a warning that names both", () => {
  const [warning, ...more] = warningsFor(
    { chosen: "eth0", publicIp: "" },
    { ...LAN, name: "eth0" },
    { ...LAN, name: "eth7" },
  );
  assertEquals(more, []);
  assertEquals(warning?.code, "underlay.address-twice");
  assertMatch(warning!.text, /an address of eth0, which is used, and of eth7/);
});
