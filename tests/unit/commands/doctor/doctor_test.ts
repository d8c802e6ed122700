import { assert, assertEquals } from "@std/assert";
import { run } from "../../../../commands/doctor/doctor.ts";
import { FINDING_CODES } from "../../../../commands/doctor/finding_codes.ts";
import { dispatch } from "../../../../commands/dispatch.ts";
import { commandTable } from "../../../../commands/table.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeCommandIo } from "../../../fakes/fake_command_io.ts";
import { FakeDoctorHost } from "../../../fakes/fake_doctor_host.ts";
import { doctorFaults } from "../../../support/doctor_schema.ts";

async function doctor(host: FakeDoctorHost, ...argv: string[]) {
  const io = new FakeCommandIo(argv);
  const opened = await host.open();
  const code = await run(io.as("doctor"), {
    open: () => opened,
    clock: new FakeClock(),
    settingsHost: {
      findAgent: () => Promise.resolve(undefined),
      readText: () => undefined,
    },
  });
  return { code, out: io.out, err: io.err };
}

Deno.test("a healthy host has no warning and no problem, and the exit code is 0", async () => {
  const { code, err, out } = await doctor(new FakeDoctorHost());
  assertEquals(out.match(/^(warning|problem).*/gm), null);
  assertEquals(code, 0);
  assertEquals(err, "");
});

Deno.test("with a problem the exit code is 1; warnings alone leave it 0", async () => {
  const host = new FakeDoctorHost();
  host.clock = { synchronized: false, maxErrorMs: 0 };
  host.etcd = host.etcd.map(({ aheadMs: _, ...report }) => report);
  assertEquals((await doctor(host)).code, 0);
  host.files.set("/proc/sys/net/ipv4/ip_forward", "0\n");
  const { code, out } = await doctor(host);
  assertEquals(code, 1);
  assertEquals(out.trimEnd().split("\n").slice(-3), [
    "problem  forwarding                  net.ipv4.ip_forward is 0: the kernel " +
    "forwards nothing between containers and other hosts",
    "           to do: sysctl -w net.ipv4.ip_forward=1",
    "1 problem, 1 warning, 3 notes",
  ]);
});

Deno.test("settings that have changed since the agent started are a warning with the restart", async () => {
  const io = new FakeCommandIo([]);
  const opened = await new FakeDoctorHost().open();
  await run(io.as("doctor"), {
    open: () => opened,
    clock: new FakeClock(),
    settingsHost: {
      findAgent: () =>
        Promise.resolve({
          pid: 7,
          env: { FLANNELD_IFACE: "eth0" },
          words: ["--ip-masq=true"],
          logFile: undefined,
          unit: "loden.service",
        }),
      readText: (path) =>
        path === "/etc/default/loden" ? "FLANNELD_IFACE=eth1\n" : undefined,
    },
  });
  assertEquals(
    io.out.match(/^warning {2}settings .*\n.*$/m)?.[0].replaceAll(
      / {2,}/g,
      "  ",
    ),
    "warning  settings  those of process 7, the running agent, which started " +
      "before FLANNELD_IFACE changed in the files of loden.service\n" +
      "  to do: systemctl restart --no-block loden",
  );
});

Deno.test("a word and an unknown flag are usage errors", async () => {
  for (const argv of [["doctor", "now"], ["doctor", "--unknown"]]) {
    const io = new FakeCommandIo(argv);
    assertEquals(await dispatch(io, commandTable), 2);
  }
});

Deno.test("--json follows docs/doctor.schema.json", async () => {
  const host = new FakeDoctorHost();
  host.files.set("/proc/sys/net/ipv4/ip_forward", "0\n");
  const { code, out } = await doctor(host, "--json");
  assertEquals(code, 1);
  const output = JSON.parse(out);
  assertEquals(doctorFaults(output), []);
  const { findings } = output;
  assertEquals(findings.at(-1).fix, "sysctl -w net.ipv4.ip_forward=1");
  for (const part of [{ severity: "bad" }, { fix: 1 }, { code: null }]) {
    const spoilt = { ...output, findings: [{ ...findings[0], ...part }] };
    assert(doctorFaults(spoilt).length > 0, JSON.stringify(part));
  }
});

Deno.test("docs/doctor.md lists every code, and no other", async () => {
  const page = await Deno.readTextFile(
    new URL("../../../../docs/doctor.md", import.meta.url),
  );
  const [, table] = page.split("\n## Codes\n");
  const listed = [...table!.matchAll(/^\| `([a-z.-]+)`/gm)].map(([, code]) =>
    code!
  );
  assertEquals(listed.toSorted(), FINDING_CODES.toSorted());
});
