/**
 * CoreOS's document on flannel ("Configuring flannel for Container
 * Networking"), line by line, on two booted hosts like Vagrant's: both have
 * 10.0.2.15 on their first network, and an address of their own on another.
 *
 * The tests go on from one another, as the document does.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { story } from "../../support/story.ts";
import { eventually } from "../overlay.ts";
import { type DockerHost, DockerWorld } from "./docker_world.ts";

const CONFIG_KEY = "/coreos.com/network/config";
const CLOUD_CONFIG = "/root/cloud-config";
const NAT_ADDRESS = "10.0.2.15";
/** Longer than a publishing ExecStartPre waits for etcd. */
const RESTART_MS = 40_000;

/** The document's first config: all that flannel must be told. */
const LEAST = '{ "Network": "10.1.0.0/16" }';
/** Its second one, in one line. */
const RANGE = '{ "Network": "10.1.0.0/16", "SubnetLen": 28, ' +
  '"SubnetMin": "10.1.10.0", "SubnetMax": "10.1.50.0" }';

/**
 * The document's two cloud-configs in one. `etcdctl set` is `loden config put`:
 * etcd has no more of the API that the former speaks.
 */
function cloudConfig(config: string, etcdEndpoint: string): string {
  return `#cloud-config

coreos:
  flannel:
    interface: $public_ipv4
    etcd_endpoints: ${etcdEndpoint}
  units:
    - name: flanneld.service
      drop-ins:
        - name: 50-network-config.conf
          content: |
            [Service]
            ExecStartPre=/usr/bin/loden config put '${config}'
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
}

const test = story();

let booted: Promise<DockerWorld> | undefined;

function world(): Promise<DockerWorld> {
  return booted ??= DockerWorld.boot({
    hosts: 2,
    prepare: async ({ host, machine }) => {
      await host.namespace.ip([
        "link add nat0 type veth peer name nat0p",
        `address add ${NAT_ADDRESS}/24 dev nat0`,
        "link set nat0 up",
        "link set nat0p up",
        "route replace default via 10.0.2.2 dev nat0",
      ]);
      await machine.writeTextFile(
        "/etc/environment",
        `COREOS_PUBLIC_IPV4=${host.address}\n`,
      );
      // Docker is started by its socket, when a container is run.
      await machine.disable("docker.service");
    },
  }).then(async (world) => {
    await eachHost(world, importRedis);
    return world;
  });
}

Deno.test.afterAll(async () => {
  // What did not start has failed its tests already.
  const [result] = await Promise.allSettled([booted]);
  if (result.status === "fulfilled") {
    await result.value?.[Symbol.asyncDispose]();
  }
});

async function eachHost(
  { hosts }: DockerWorld,
  body: (host: DockerHost, index: number) => Promise<void>,
): Promise<void> {
  await Promise.all(hosts.map(body));
}

/** As the document's early-docker did: a Docker that makes no bridge. */
async function importRedis({ machine }: DockerHost): Promise<void> {
  await machine.run([
    "sh",
    "-ec",
    `dockerd --host=unix:///run/early.sock --pidfile=/run/early.pid \
       --bridge=none --iptables=false >/run/early.log 2>&1 &
     export DOCKER_HOST=unix:///run/early.sock
     until docker info >/run/early.info 2>&1; do sleep 0.1; done
     docker import --change 'CMD ["redis-server", "--protected-mode", "no"]' \
       /var/lib/docker-image.tar redis
     kill $!
     wait`,
  ]);
}

async function apply(
  { machine }: DockerHost,
  config: string,
  etcdEndpoint: string,
): Promise<string> {
  await machine.writeTextFile(CLOUD_CONFIG, cloudConfig(config, etcdEndpoint));
  return await machine.run(["loden", "cloud-config", "apply", CLOUD_CONFIG]);
}

function property(
  { machine }: DockerHost,
  unit: string,
  name: string,
): Promise<string> {
  return machine.run([
    "systemctl",
    "show",
    `--property=${name}`,
    "--value",
    unit,
  ])
    .then((text) => text.trim());
}

/** The container that the document's unit runs; it gives it no name. */
const REDIS = "$(docker ps --quiet --filter=ancestor=redis)";

/** Each host's redis answers at its container's address on the other host. */
async function assertRedis(world: DockerWorld): Promise<void> {
  for (const [index, { machine }] of world.hosts.entries()) {
    const { stdout } = await machine.until(
      "an address of redis",
      [
        ...["sh", "-c"],
        `docker inspect --format={{.NetworkSettings.IPAddress}} ${REDIS}`,
      ],
      ({ stdout }) => /^[\d.]+\n$/.test(stdout),
    );
    const ask = `redis-cli -h ${stdout.trim()} ping`;
    for (const where of ["", `docker exec ${REDIS} `]) {
      await world.host(1 - index).machine.until(
        "redis of the other host",
        ["sh", "-c", where + ask],
        ({ stdout }) => stdout.trim() === "PONG",
      );
    }
  }
}

test("cloud-config writes and enables everything, and asks systemd to start it", async () => {
  const all = await world();
  await eachHost(all, async (host) => {
    const said = await apply(host, LEAST, all.rig.etcdEndpoint);
    assertMatch(said, /^write \/etc\/systemd\/system\/redis\.service$/m);
    assertMatch(said, /^run systemctl --no-block start flanneld\.service$/m);
  });
});

test("without etcd flanneld.service is tried again and again, and what needs it goes on waiting", async () => {
  await eachHost(await world(), async (host) => {
    await eventually(
      "a second try",
      () => property(host, "flanneld.service", "NRestarts"),
      (count) => Number(count) > 0,
      RESTART_MS,
    );
    assertEquals(
      await property(host, "flanneld.service", "ActiveState"),
      "activating",
    );
    assertEquals(
      await property(host, "redis.service", "ActiveState"),
      "inactive",
    );
    assert(await property(host, "redis.service", "Job") !== "");
    assertEquals(
      await property(host, "docker.service", "ActiveState"),
      "inactive",
    );
  });
});

test("when etcd is there, the config is published and flanneld.service comes up, then redis", async () => {
  const all = await world();
  await all.rig.startEtcd();
  await eachHost(all, async ({ machine }) => {
    await machine.untilUnit("flanneld.service", "active", RESTART_MS);
    await machine.untilUnit("redis.service", "active");
  });
  assertEquals(
    (await all.rig.etcd.ctl("get", "--print-value-only", CONFIG_KEY)).trim(),
    LEAST,
  );
});

test("each host has a /24 under its own address, although all have 10.0.2.15", async () => {
  const all = await world();
  for (const [index, { host }] of all.hosts.entries()) {
    const { subnet, underlay } = await all.status(index);
    assertMatch(subnet!, /^10\.1\.\d+\.0\/24$/);
    assertEquals(underlay?.publicIp, host.address);
    const [key] = (await all.rig.etcd.ctl(
      ...["get", `/coreos.com/network/subnets/${subnet!.replace("/", "-")}`],
      "--print-value-only",
    )).split("\n");
    assertEquals(JSON.parse(key!).PublicIP, host.address);
  }
});

test("redis has started Docker by its socket, with the options that were written", async () => {
  const all = await world();
  for (const [index, host] of all.hosts.entries()) {
    assertEquals(
      await property(host, "docker.service", "UnitFileState"),
      "disabled",
    );
    assertEquals(
      await property(host, "docker.service", "ActiveState"),
      "active",
    );
    const command = await host.machine.run(
      ["sh", "-c", "tr '\\0' ' ' </proc/$(cat /run/docker.pid)/cmdline"],
    );
    const bridge = (await all.subnet(index)).replace(/\.0\//, ".1/");
    assertMatch(command, new RegExp(` --bip=${bridge} `));
    assertMatch(command, / --mtu=1472 /);
    assertMatch(command, / --ip-masq=false /);
    await all.assertBridge(index);
  }
});

test("redis is reached from the other host by its container's address", async () => {
  await assertRedis(await world());
});

test("with the document's second config each host has a /28 within its range", async () => {
  const all = await world();
  await eachHost(all, async (host) => {
    await apply(host, RANGE, all.rig.etcdEndpoint);
  });
  await eachHost(all, async ({ machine }) => {
    await machine.run(["systemctl", "restart", "flanneld.service"]);
    await machine.run(["systemctl", "restart", "docker.service"]);
  });
  for (const index of all.hosts.keys()) {
    const subnet = await all.subnet(index);
    assertMatch(subnet, /^10\.1\.\d+\.\d+\/28$/);
    const third = Number(subnet.split(".")[2]);
    assert(third >= 10 && third <= 50, subnet);
    await all.assertBridge(index);
  }
  await all.untilJoined();
  await assertRedis(all);
});

test("what cloud-config started is started again at the next boot", async () => {
  const all = await world();
  const subnet = await all.subnet(0);
  const { machine } = all.host(0);
  await machine.reboot();
  await machine.untilUnit("redis.service", "active", RESTART_MS);
  assertEquals(await all.subnet(0), subnet);
  await all.untilJoined();
  await assertRedis(all);
});
