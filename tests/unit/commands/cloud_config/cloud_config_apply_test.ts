import {
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  run,
  SystemctlError,
} from "../../../../commands/cloud_config/cloud_config_apply.ts";
import { cloudConfigKey } from "../../../../config/cloud_config.ts";
import { SettingsError, UsageError } from "../../../../config/errors.ts";
import { environmentName } from "../../../../config/flag_spec.ts";
import { AGENT_FLAGS } from "../../../../config/flags.ts";
import { FileReadError } from "../../../../linux/file_errors.ts";
import { FakeCommandIo } from "../../../fakes/fake_command_io.ts";
import { FakeCommandRunner } from "../../../fakes/fake_command_runner.ts";

/** CoreOS's document, its last two examples as one file. */
const DOCUMENT = `#cloud-config

coreos:
  flannel:
    interface: $public_ipv4
  units:
    - name: flanneld.service
      drop-ins:
        - name: 50-network-config.conf
          content: |
            [Service]
            ExecStartPre=/usr/bin/loden config put '{ "Network": "10.1.0.0/16" }'
      command: start

    # Example service running in a Docker container
    - name: redis.service
      content: |
        [Unit]
        Requires=flanneld.service
        After=flanneld.service

        [Service]
        ExecStart=/usr/bin/docker run redis
        Restart=always
      command: start
`;
const ADDRESSES = {
  COREOS_PUBLIC_IPV4: "192.0.2.11",
  COREOS_PRIVATE_IPV4: "10.0.0.11",
};
const UNITS = "/etc/systemd/system";

/** A host's root in a directory, and a systemd that takes note. */
class Host implements AsyncDisposable {
  readonly runner = new FakeCommandRunner({ systemctl: () => ({}) });
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  static async create(): Promise<Host> {
    return new Host(await Deno.makeTempDir());
  }

  async apply(text: string, ...flags: string[]): Promise<FakeCommandIo> {
    const file = `${this.root}/cloud-config`;
    await Deno.writeTextFile(file, text);
    const io = new FakeCommandIo(
      [`--root=${this.root}`, ...flags, file],
      ADDRESSES,
    );
    assertEquals(await run(io.as("cloud-config apply"), this.runner), 0);
    return io;
  }

  read(path: string): Promise<string> {
    return Deno.readTextFile(this.root + path);
  }

  async mode(path: string): Promise<number> {
    return (await Deno.stat(this.root + path)).mode! & 0o7777;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Deno.remove(this.root, { recursive: true });
  }
}

async function refusal(text: string): Promise<string> {
  await using host = await Host.create();
  const error = await assertRejects(() => host.apply(text), SettingsError);
  assertEquals(host.runner.runs, []);
  return error.message;
}

Deno.test("the document's file becomes options, a drop-in and a unit, and both start at each boot", async () => {
  await using host = await Host.create();
  await host.apply(DOCUMENT);
  assertEquals(
    await host.read("/etc/loden/options.env"),
    "FLANNELD_IFACE=192.0.2.11\n",
  );
  assertEquals(
    await host.read(`${UNITS}/flanneld.service.d/50-network-config.conf`),
    `[Service]\nExecStartPre=/usr/bin/loden config put '{ "Network": "10.1.0.0/16" }'\n`,
  );
  assertMatch(
    await host.read(`${UNITS}/redis.service`),
    /^\[Unit\]\nRequires=flanneld.service\n/,
  );
  assertEquals(host.runner.runs, [
    `systemctl --root=${host.root} enable loden.service`,
    `systemctl --root=${host.root} add-wants multi-user.target redis.service`,
  ]);
});

Deno.test("a second time, nothing is written", async () => {
  await using host = await Host.create();
  await host.apply(DOCUMENT);
  const { out } = await host.apply(DOCUMENT);
  assertEquals(out.match(/^write /gm), null);
  assertEquals(out.match(/^keep /gm)?.length, 3);
});

Deno.test("a unit takes the place of an alias of its name, which is not written through", async () => {
  await using host = await Host.create();
  const [alias, other] = ["redis.service", "redis-server.service"].map((name) =>
    `${host.root}${UNITS}/${name}`
  ) as [string, string];
  await Deno.mkdir(`${host.root}${UNITS}`, { recursive: true });
  await Deno.writeTextFile(other, "Debian's\n");
  await Deno.symlink(other, alias);
  await host.apply(DOCUMENT);
  assertEquals(await Deno.readTextFile(other), "Debian's\n");
  assertMatch(await Deno.readTextFile(alias), /^\[Unit\]/);
});

Deno.test("a dry run says the same, and does nothing", async () => {
  await using host = await Host.create();
  const { out } = await host.apply(DOCUMENT, "--dry-run");
  assertEquals(
    out.split("\n"),
    [
      `would write ${host.root}/etc/loden/options.env`,
      `would write ${host.root}${UNITS}/flanneld.service.d/50-network-config.conf`,
      `would write ${host.root}${UNITS}/redis.service`,
      `would run systemctl --root=${host.root} enable loden.service`,
      `would run systemctl --root=${host.root} add-wants multi-user.target redis.service`,
      "",
    ],
  );
  assertEquals(host.runner.runs, []);
  assertEquals(
    [...Deno.readDirSync(host.root)].map(({ name }) => name),
    ["cloud-config"],
  );
});

Deno.test("on a running host systemd reloads the units, then starts them without waiting, in the file's order", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, DOCUMENT);
    const io = new FakeCommandIo(["--dry-run", file], ADDRESSES);
    assertEquals(
      await run(io.as("cloud-config apply"), new FakeCommandRunner({})),
      0,
    );
    assertEquals(io.out.split("\n").slice(3), [
      "would run systemctl enable loden.service",
      "would run systemctl add-wants multi-user.target redis.service",
      "would run systemctl daemon-reload",
      "would run systemctl --no-block start flanneld.service",
      "would run systemctl --no-block start redis.service",
      "",
    ]);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("every key of coreos.flannel is a line that the unit reads", async () => {
  const values: Record<string, string> = {
    bool: "true",
    string: "text",
    list: "text",
  };
  const flags = AGENT_FLAGS.filter((flag) =>
    cloudConfigKey(flag) !== undefined && flag.status.kind === "active"
  );
  const valueOf = (flag: (typeof flags)[number]) =>
    flag.type === "enum"
      ? flag.words[0]!
      : flag.type === "int"
      ? String(flag.min)
      : values[flag.type]!;
  const keys = flags.map((flag) =>
    `    ${cloudConfigKey(flag)}: ${valueOf(flag)}\n`
  );
  await using host = await Host.create();
  await host.apply(`#cloud-config\ncoreos:\n  flannel:\n${keys.join("")}`);
  assertEquals(
    (await host.read("/etc/loden/options.env")).trim().split("\n"),
    flags.map((flag) => `${environmentName(flag)}=${valueOf(flag)}`),
  );
});

Deno.test("a password is quoted as systemd reads it, and no other user may read the file", async () => {
  await using host = await Host.create();
  await host.apply(
    "#cloud-config\ncoreos:\n  flannel:\n    etcd_password: 'a \"b\" $c\\'\n",
  );
  const path = "/etc/loden/options.env";
  assertEquals(
    await host.read(path),
    'FLANNELD_ETCD_PASSWORD="a \\"b\\" \\$c\\\\"\n',
  );
  assertEquals(await host.mode(path), 0o600);
});

Deno.test("files are written with their encoding, permissions and addresses", async () => {
  const bytes = new TextEncoder().encode("packed\n");
  const gzip = new Uint8Array(
    await new Response(
      new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip")),
    ).arrayBuffer(),
  ).toBase64();
  await using host = await Host.create();
  await host.apply(`#cloud-config
write_files:
  - path: /etc/environment.d/address
    permissions: "0640"
    owner: 0:0
    content: |
      address=$private_ipv4
  - path: /opt/plain
    encoding: base64
    permissions: 0755
    content: ${bytes.toBase64()}
  - path: /opt/packed
    encoding: gzip+base64
    content: ${gzip}
`);
  assertEquals(
    await host.read("/etc/environment.d/address"),
    "address=10.0.0.11\n",
  );
  assertEquals(await host.mode("/etc/environment.d/address"), 0o640);
  assertEquals(await host.read("/opt/plain"), "packed\n");
  assertEquals(await host.mode("/opt/plain"), 0o755);
  assertEquals(await host.read("/opt/packed"), "packed\n");
  assertEquals(await host.mode("/opt/packed"), 0o644);
});

Deno.test("a secret that replaces a public file is never readable through it, text or base64", async () => {
  for (
    const [encoding, content] of [["text", "secret"], ["base64", "c2VjcmV0"]]
  ) {
    await using host = await Host.create();
    await Deno.mkdir(`${host.root}/etc`);
    await Deno.writeTextFile(`${host.root}/etc/key`, "public", { mode: 0o644 });
    using reader = await Deno.open(`${host.root}/etc/key`);
    await host.apply(`#cloud-config
write_files:
  - path: /etc/key
    permissions: "0600"
    content: ${content}
${encoding === "base64" ? "    encoding: base64" : ""}
`);
    assertEquals(await host.read("/etc/key"), "secret");
    assertEquals(await host.mode("/etc/key"), 0o600);
    assertEquals(await new Response(reader.readable).text(), "public");
  }
});

Deno.test("units are masked, enabled and written for this boot only, as they ask", async () => {
  await using host = await Host.create();
  await host.apply(`#cloud-config
coreos:
  units:
    - name: a.service
      mask: true
    - name: b.service
      enable: yes
      runtime: true
      content: "[Service]"
`);
  assertEquals(await host.read("/run/systemd/system/b.service"), "[Service]\n");
  assertEquals(host.runner.runs, [
    `systemctl --root=${host.root} mask a.service`,
    `systemctl --root=${host.root} enable --runtime b.service`,
  ]);
});

Deno.test("ignored parts are named, with their lines", async () => {
  await using host = await Host.create();
  const { err } = await host.apply(`#cloud-config
hostname: one
coreos:
  update:
    group: stable
  units:
    - name: 10-eth1.network
      content: "[Match]"
    - name: a.service
      comand: start
`);
  assertEquals(err.split("\n"), [
    "loden: left out: line 7: 10-eth1.network is systemd-networkd's",
    "loden: left out: line 10: coreos.units[1].comand: did you mean command?",
    "loden: left out: line 2: hostname",
    "loden: left out: line 4: coreos.update",
    "",
  ]);
});

Deno.test("the document's etcdctl line is written, with a word about what works today", async () => {
  await using host = await Host.create();
  const { err } = await host.apply(
    DOCUMENT.replace(
      "/usr/bin/loden config put",
      "/usr/bin/etcdctl set /coreos.com/network/config",
    ),
  );
  assertStringIncludes(
    err,
    `write ExecStartPre=/usr/bin/loden config put '{ "Network": "10.1.0.0/16" }'`,
  );
});

for (
  const [what, text, said] of [
    ["no header", "coreos: {}\n", "the first line, line 1, must be #cloud"],
    ["no YAML", "#cloud-config\na: [\n", "must be YAML"],
    [
      "a list for a mapping",
      "#cloud-config\ncoreos:\n  - a\n",
      "coreos in",
    ],
    [
      "a unit without a name",
      "#cloud-config\ncoreos:\n  units:\n    - command: start\n",
      "name of coreos.units[0], line 4, must be a unit",
    ],
    [
      "a unit's name with a path",
      "#cloud-config\ncoreos:\n  units:\n    - name: ../a.service\n",
      'current value is "../a.service"',
    ],
    [
      "an unknown command",
      "#cloud-config\ncoreos:\n  units:\n    - name: a.service\n      command: stat\n",
      "line 5, must be one of start, stop",
    ],
    [
      "a drop-in that systemd would not read",
      "#cloud-config\ncoreos:\n  units:\n    - name: a.service\n" +
      "      drop-ins:\n        - name: a\n",
      "name of coreos.units[0].drop-ins[0], line 6, must be a file name",
    ],
    [
      "a path that climbs",
      "#cloud-config\nwrite_files:\n  - path: /a/../../b\n",
      "path of write_files[0], line 3, must be absolute",
    ],
    [
      "permissions that are not octal",
      "#cloud-config\nwrite_files:\n  - path: /a\n    permissions: rw\n",
      "must be octal",
    ],
    [
      "an unknown encoding",
      "#cloud-config\nwrite_files:\n  - path: /a\n    encoding: rot13\n",
      "must be left out or one of b64",
    ],
    [
      "a content that is not base64",
      "#cloud-config\nwrite_files:\n  - path: /a\n    encoding: b64\n    content: '?'\n",
      "must be base64",
    ],
    [
      "a unit of its own under the agent's other name",
      "#cloud-config\ncoreos:\n  units:\n    - name: flanneld.service\n      content: a\n",
      "must be an alias of loden.service",
    ],
    [
      "an unknown key of coreos.flannel",
      "#cloud-config\ncoreos:\n  flannel:\n    interfaces: eth0\n",
      "unknown key coreos.flannel.interfaces",
    ],
    [
      "a list where the environment has one text",
      "#cloud-config\ncoreos:\n  flannel:\n    interface: [eth0, eth1]\n",
      "must be one value, because",
    ],
    [
      "an owner that is not there",
      "#cloud-config\nwrite_files:\n  - path: /a\n    owner: nobody-here\n",
      "the owner of /a must be in",
    ],
  ] as const
) {
  Deno.test(`a file with ${what} is refused, and says why`, async () => {
    assertStringIncludes(await refusal(text), said);
  });
}

Deno.test("an owner that is not there is refused before anything is written", async () => {
  await using host = await Host.create();
  await assertRejects(
    () =>
      host.apply(
        "#cloud-config\nwrite_files:\n  - path: /a\n  - path: /b\n" +
          "    owner: nobody-here\n",
      ),
    SettingsError,
    "the owner of /b must be in",
  );
  assertEquals(
    [...Deno.readDirSync(host.root)].map(({ name }) => name),
    ["cloud-config"],
  );
});

Deno.test("a directory in a file's place is named, and is no defect", async () => {
  await using host = await Host.create();
  await Deno.mkdir(`${host.root}/a`);
  await assertRejects(
    () => host.apply("#cloud-config\nwrite_files:\n  - path: /a\n"),
    FileReadError,
    `Cannot read ${host.root}/a: Is a directory`,
  );
});

Deno.test("an address that is not known is refused before anything is written", async () => {
  await using host = await Host.create();
  const file = `${host.root}/cloud-config`;
  await Deno.writeTextFile(file, DOCUMENT);
  const io = new FakeCommandIo([`--root=${host.root}`, file]);
  await assertRejects(
    () => run(io.as("cloud-config apply"), host.runner),
    SettingsError,
    "$public_ipv4",
  );
  assertEquals(io.out, "");
});

Deno.test("what systemd refuses ends the command, with its words", async () => {
  await using host = await Host.create();
  host.runner.programs.set("systemctl", () => ({ code: 1, stderr: "no\n" }));
  await assertRejects(
    () => host.apply(DOCUMENT),
    SystemctlError,
    "must succeed: exit code 1: no",
  );
});

Deno.test("it takes one file", async () => {
  await assertRejects(
    () =>
      run(
        new FakeCommandIo([]).as("cloud-config apply"),
        new FakeCommandRunner({}),
      ),
    UsageError,
  );
});
