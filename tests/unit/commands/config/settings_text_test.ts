import { assertEquals } from "@std/assert";
import { resolveSettings, type Settings } from "../../../../config/settings.ts";
import {
  renderSettings,
  reportSettings,
} from "../../../../commands/config/settings_text.ts";

function settings(): Promise<Settings> {
  return resolveSettings({
    argv: ["--iface=eth1", "--iface=10.0.0.7", "--config=/c", "--vmodule=a=1"],
    env: {
      FLANNELD_ETCD_USERNAME: "u",
      FLANNELD_ETCD_PASSWORD: "hunter2",
    },
    readFile: () => Promise.resolve("coreos:\n  flannel:\n    ip_masq: 1\n"),
  });
}

function row(text: string, name: string): string | undefined {
  return text.split("\n").find((line) => line.startsWith(`${name} `))
    ?.replaceAll(/ {2,}/g, " | ");
}

Deno.test("each setting is shown with its value and its source", async () => {
  const text = renderSettings(await settings());
  assertEquals(
    row(text, "iface"),
    "iface | eth1 10.0.0.7 | command line: --iface",
  );
  assertEquals(
    row(text, "ip-masq"),
    "ip-masq | true | file: coreos.flannel.ip_masq in /c",
  );
  assertEquals(
    row(text, "etcd-prefix"),
    "etcd-prefix | /coreos.com/network | default",
  );
  assertEquals(row(text, "public-ip"), "public-ip | - | default");
});

Deno.test("the password is hidden in both forms", async () => {
  const resolved = await settings();
  const text = renderSettings(resolved);
  assertEquals(
    row(text, "etcd-password"),
    "etcd-password | hidden | environment: FLANNELD_ETCD_PASSWORD",
  );
  assertEquals(text.includes("hunter2"), false);
  const json = JSON.stringify(reportSettings(resolved));
  assertEquals(json.includes("hunter2"), false);
});

Deno.test("flags without effect are shown only when they were given, with the warning", async () => {
  const text = renderSettings(await settings());
  assertEquals(row(text, "vmodule"), "vmodule | a=1 | command line: --vmodule");
  assertEquals(row(text, "logtostderr"), undefined);
  assertEquals(row(text, "version"), undefined);
  assertEquals(
    text.split("\n").at(-2),
    "warning: --vmodule on the command line has no effect: Loden logs to " +
      "stderr; see --log-format and -v",
  );
});

Deno.test("the report for programs has value, source and detail by flag name", async () => {
  const { schema, settings: report, warnings } = reportSettings(
    await settings(),
  );
  assertEquals(schema, 1);
  assertEquals(report["iface"], {
    value: ["eth1", "10.0.0.7"],
    source: "flag",
    detail: "--iface",
  });
  assertEquals(report["iptables-resync"], {
    value: 30,
    source: "default",
    detail: "",
  });
  assertEquals(warnings.map(({ code }) => code), ["settings.ignored"]);
});
