import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ConfigMissingError } from "../../../../agent/changes/missing_config.ts";
import type { SettingsHost } from "../../../../commands/agent_settings.ts";
import type { RegistryAccess } from "../../../../commands/etcd.ts";
import { EtcdUnavailableError } from "../../../../commands/failure.ts";
import { run as get } from "../../../../commands/config/config_get.ts";
import { run as put } from "../../../../commands/config/config_put.ts";
import {
  NetworkConfigError,
  SettingsError,
  UsageError,
} from "../../../../config/errors.ts";
import { NetworkOverlapError } from "../../../../host/errors.ts";
import { RegistryError } from "../../../../lease/errors.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeCommandIo } from "../../../fakes/fake_command_io.ts";
import { FakeEtcd, FakeRegistry } from "../../../fakes/fake_registry.ts";

const CONFIG = '{ "Network": "10.1.0.0/16" }';

/** What this machine has must not matter. */
const nothing = () => [];
const NO_AGENT: SettingsHost = {
  findAgent: () => Promise.resolve(undefined),
  readText: () => undefined,
};

/** By default on a host with nothing that matters. */
function publish(
  io: FakeCommandIo,
  access: RegistryAccess,
  { overlaps = nothing, leftovers = nothing, host = NO_AGENT }: {
    overlaps?: Parameters<typeof put>[2];
    leftovers?: Parameters<typeof put>[3];
    host?: SettingsHost;
  } = {},
): Promise<number> {
  return put(io.as("config put"), access, overlaps, leftovers, host);
}

function rig() {
  const clock = new FakeClock();
  const etcd = new FakeEtcd(clock);
  const access: RegistryAccess = {
    open: () => new FakeRegistry(etcd),
    clock,
    patienceMs: 20_000,
  };
  return { clock, etcd, access };
}

Deno.test("a config is created once, and a repetition writes nothing", async () => {
  const { etcd, access } = rig();
  const first = new FakeCommandIo([CONFIG]);
  assertEquals(await publish(first, access), 0);
  assertEquals(first.out, "created /coreos.com/network/config\n");
  assertEquals(etcd.config?.value, CONFIG);
  const { revision } = etcd;
  const again = new FakeCommandIo(['{"Network":"10.1.0.0/16"}']);
  assertEquals(await publish(again, access), 0);
  assertStringIncludes(again.out, "nothing is written");
  assertEquals(etcd.revision, revision);
});

Deno.test("spaces and the order of keys are no other config", async () => {
  const { etcd, access } = rig();
  etcd.putConfig('{ "SubnetLen": 25, "Network": "10.1.0.0/16" }');
  const { revision } = etcd;
  const io = new FakeCommandIo(['{"Network":"10.1.0.0/16","SubnetLen":25}']);
  await publish(io, access);
  assertStringIncludes(io.out, "nothing is written");
  assertEquals(etcd.revision, revision);
});

Deno.test("another config replaces the one that is there, and names it", async () => {
  const { etcd, access } = rig();
  etcd.putConfig('{"Network":"10.2.0.0/16"}');
  const io = new FakeCommandIo([CONFIG]);
  assertEquals(await publish(io, access), 0);
  assertStringIncludes(io.out, 'is replaced; it was {"Network":"10.2.0.0/16"}');
  assertEquals(etcd.config?.value, CONFIG);
});

Deno.test("what a config was does not show its preshared key", async () => {
  const { etcd, access } = rig();
  etcd.putConfig(
    '{"Network":"10.2.0.0/16","Backend":{"Type":"wireguard","psk":"c2VjcmV0"}}',
  );
  const io = new FakeCommandIo([CONFIG]);
  await publish(io, access);
  assertStringIncludes(
    io.out,
    'it was {"Network":"10.2.0.0/16","Backend":{"Type":"wireguard","psk":"hidden"}}',
  );
});

Deno.test("what a config was cannot talk to the terminal", async () => {
  const { etcd, access } = rig();
  etcd.putConfig("\x1b[31m\n");
  const io = new FakeCommandIo([CONFIG]);
  assertEquals(await publish(io, access), 0);
  assertStringIncludes(io.out, "it was ?[31m?\n");
});

Deno.test("two hosts that publish at once: the second sees the first one's", async () => {
  const { etcd, access } = rig();
  let raced = false;
  etcd.before = (operation) => {
    if (operation !== "writeConfig" || raced) return;
    raced = true;
    etcd.putConfig(CONFIG);
  };
  const io = new FakeCommandIo([CONFIG]);
  assertEquals(await publish(io, access), 0);
  assertStringIncludes(io.out, "nothing is written");
});

Deno.test("a config that the checks refuse is not written, unless forced", async () => {
  const { etcd, access } = rig();
  const bad = '{ "Network": "10.1.0.0/16", "SubnetLen": 31 }';
  await assertRejects(
    () => publish(new FakeCommandIo([bad]), access),
    SettingsError,
    "SubnetLen",
  );
  assertEquals(etcd.config, undefined);
  assertEquals(
    await publish(new FakeCommandIo(["--force", bad]), access),
    0,
  );
  assertEquals(etcd.config?.value, bad);
});

Deno.test("a key without a meaning is pointed out", async () => {
  const { access } = rig();
  const io = new FakeCommandIo([
    '{ "Network": "10.1.0.0/16", "SubnetLne": 24 }',
  ]);
  assertEquals(await publish(io, access), 0);
  assertStringIncludes(
    io.err,
    "SubnetLne is an unknown key and has no effect: did you mean SubnetLen?",
  );
});

Deno.test("the config is exactly one word", async () => {
  const { access } = rig();
  for (const argv of [[], ["{", "}"]]) {
    await assertRejects(
      () => publish(new FakeCommandIo(argv), access),
      UsageError,
      "one word",
    );
  }
});

Deno.test("etcd that is being started is waited for, and the reason said once", async () => {
  const { clock, etcd, access } = rig();
  etcd.fault = "refused";
  const io = new FakeCommandIo([CONFIG]);
  const running = publish(io, access);
  await clock.advance(8_000);
  etcd.fault = undefined;
  await clock.advance(8_000);
  assertEquals(await running, 0);
  assertEquals(io.err.match(/waiting for etcd/g)?.length, 1);
  assertEquals(clock.sleepers, 0);
});

Deno.test("etcd that stays away ends the command in time", async () => {
  const { clock, etcd, access } = rig();
  etcd.fault = "unreachable";
  const running = publish(new FakeCommandIo([CONFIG]), access);
  running.catch(() => {});
  await clock.advance(20_000);
  await assertRejects(() => running, EtcdUnavailableError, "within 20 seconds");
});

Deno.test("a wrong password is no matter of waiting", async () => {
  const { etcd, access } = rig();
  etcd.fault = "auth";
  await assertRejects(
    () => publish(new FakeCommandIo([CONFIG]), access),
    RegistryError,
  );
});

Deno.test("get prints the config, then its errors", async () => {
  const { etcd, access } = rig();
  etcd.putConfig(CONFIG);
  const io = new FakeCommandIo();
  assertEquals(await get(io.as("config get"), access, NO_AGENT), 0);
  assertEquals(io.out, `${CONFIG}\n`);
  etcd.putConfig('{ "Network": "10.1.0.0/30" }');
  const bad = new FakeCommandIo();
  await assertRejects(
    () => get(bad.as("config get"), access, NO_AGENT),
    NetworkConfigError,
    "Network",
  );
  assertEquals(bad.out, '{ "Network": "10.1.0.0/30" }\n');
});

Deno.test("get without a config names the commands that would put one", async () => {
  const { access } = rig();
  const io = new FakeCommandIo(["--etcd-endpoints=http://192.0.2.1:2379"]);
  const error = await assertRejects(
    () => get(io.as("config get"), access, NO_AGENT),
    ConfigMissingError,
  );
  assertStringIncludes(
    error.hint!,
    "etcdctl --endpoints=http://192.0.2.1:2379 put /coreos.com/network/config " +
      `'{ "Network": "10.1.0.0/16" }'`,
  );
  assertStringIncludes(
    error.hint!,
    "loden config put --etcd-endpoints=http://192.0.2.1:2379 " +
      `'{ "Network": "10.1.0.0/16" }'`,
  );
});

Deno.test("a network that this host has no room for is not written, unless forced", async () => {
  const { etcd, access } = rig();
  const overlap = {
    kind: "takeover",
    text: "10.0.0.0/8 via 192.0.2.1 dev eth0",
    fix: "ip route del 10.0.0.0/8 via 192.0.2.1 dev eth0",
  } as const;
  const refused = await assertRejects(
    () =>
      publish(new FakeCommandIo([CONFIG]), access, {
        overlaps: () => [overlap],
      }),
    NetworkOverlapError,
    "10.0.0.0/8 via 192.0.2.1 dev eth0",
  );
  assertStringIncludes(refused.hint!, "--force");
  assertEquals(etcd.config, undefined);
  const forced = new FakeCommandIo(["--force", CONFIG]);
  assertEquals(await publish(forced, access, { overlaps: () => [overlap] }), 0);
  const again = new FakeCommandIo([CONFIG]);
  assertEquals(await publish(again, access, { overlaps: () => [overlap] }), 0);
  assertStringIncludes(again.out, "nothing is written");
});

async function notesOf(before: string, after: string): Promise<string> {
  const { etcd, access } = rig();
  etcd.putConfig(before);
  const io = new FakeCommandIo([after]);
  assertEquals(await publish(io, access), 0);
  return io.err;
}
const withBackend = (backend: unknown) =>
  JSON.stringify({ Network: "10.1.0.0/16", Backend: backend });

Deno.test("a change of backend is announced with what it costs, before it is written", async () => {
  const notes = await notesOf(CONFIG, withBackend({ Type: "vxlan" }));
  assertStringIncludes(notes, "change from udp to vxlan by themselves");
  assertStringIncludes(notes, "the others reach it by the former backend");
  assertStringIncludes(notes, "the MTU changes by -22 bytes");
  const alone = await notesOf(CONFIG, withBackend({ Type: "alloc" }));
  assertStringIncludes(alone, "do not reach the others, because it carries no");
  const options = await notesOf(CONFIG, withBackend({ Type: "udp", Port: 1 }));
  assertStringIncludes(options, "keep the former options of udp");
  assertEquals(await notesOf(CONFIG, withBackend({ Type: "udp" })), "");
});

Deno.test("what flannel has left on this host is named when a config is published", async () => {
  const { access } = rig();
  const io = new FakeCommandIo([CONFIG]);
  const leftover = {
    what: "device flannel.1 with 2 routes",
    owner: "flannel",
    fix: "ip link delete flannel.1",
    remove: () => {},
  } as const;
  await publish(io, access, { leftovers: () => [leftover] });
  assertStringIncludes(io.err, "device flannel.1 with 2 routes");
  assertStringIncludes(io.err, "ip link delete flannel.1");
});

Deno.test("without settings of their own, the commands use the etcd of the running agent", async () => {
  const { access } = rig();
  const opened: [string | undefined, string][] = [];
  const watched: RegistryAccess = {
    ...access,
    open: (settings) => {
      opened.push([settings.etcdEndpoints[0], settings.etcdPrefix]);
      return access.open(settings);
    },
  };
  const agent: SettingsHost = {
    findAgent: () =>
      Promise.resolve({
        pid: 7,
        env: { FLANNELD_ETCD_ENDPOINTS: "http://192.0.2.7:2379" },
        words: ["--etcd-prefix=/a"],
        logFile: undefined,
        unit: undefined,
      }),
    readText: () => undefined,
  };
  const io = new FakeCommandIo([CONFIG]);
  await publish(io, watched, { host: agent });
  assertEquals(io.out, "created /a/config\n");
  await get(new FakeCommandIo().as("config get"), watched, agent);
  const given = new FakeCommandIo(["--etcd-endpoints=http://192.0.2.1:2379"]);
  await get(given.as("config get"), watched, agent);
  assertEquals(opened, [
    ["http://192.0.2.7:2379", "/a"],
    ["http://192.0.2.7:2379", "/a"],
    ["http://192.0.2.1:2379", "/coreos.com/network"],
  ]);
});
