import { assertEquals } from "@std/assert";
import { checkSysctls, setSysctls } from "../../../host/sysctl_check.ts";

/** A kernel whose settings can be written, but for those that are locked. */
function kernel(settings: Record<string, string>, locked: string[] = []) {
  const look = () => checkSysctls(["flannel0"], (path) => settings[path]);
  const set = () =>
    setSysctls(look(), (path, value) => {
      if (locked.includes(path)) {
        throw Object.assign(new Error("read-only"), { code: "EROFS" });
      }
      settings[path] = value;
    });
  return { settings, look, set };
}

Deno.test("what keeps packets back is set, and what Docker decides is left alone", () => {
  const { settings, look, set } = kernel({
    "net/ipv4/ip_forward": "0",
    "net/ipv4/conf/all/rp_filter": "1",
    "net/ipv4/conf/flannel0/rp_filter": "0",
    "net/bridge/bridge-nf-call-iptables": "1",
  });
  set();
  assertEquals(settings, {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "1",
    "net/ipv4/conf/flannel0/rp_filter": "2",
    "net/bridge/bridge-nf-call-iptables": "1",
  });
  assertEquals(look().map(({ name }) => name), [
    "net.bridge.bridge-nf-call-iptables",
  ]);
});

Deno.test("a setting that cannot be written costs itself alone, and stays a finding", () => {
  const { settings, look, set } = kernel({
    "net/ipv4/ip_forward": "0",
    "net/ipv4/conf/flannel0/rp_filter": "1",
  }, ["net/ipv4/ip_forward"]);
  set();
  assertEquals(settings["net/ipv4/conf/flannel0/rp_filter"], "2");
  assertEquals(look().map(({ name }) => name), ["net.ipv4.ip_forward"]);
});
