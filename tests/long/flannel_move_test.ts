/**
 * The commands of docs/from-flannel.md, typed on a booted host whose flanneld has
 * a unit, in `/etc` and in `/usr/lib`, with the Debian package.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { StatusSnapshot } from "../../agent/status/status_snapshot.ts";
import { makeDist } from "../../tools/dist/make_dist.ts";
import { CONFIG } from "../e2e/overlay.ts";
import { BootedHost } from "../rig/booted/booted_host.ts";
import { ensureRootImage } from "../rig/booted/root_image.ts";
import { Rig } from "../rig/rig.ts";
import { binaryIn } from "../support/binary.ts";

const PAGE = new URL("../../docs/from-flannel.md", import.meta.url);
const SUBNET = "10.1.77.0/24";
const SUBNET_ENV =
  "FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.77.1/24\nFLANNEL_MTU=1472\nFLANNEL_IPMASQ=true\n";
/** A process of this name counts as flanneld. */
const FLANNELD = "/opt/flanneld";
const UNIT =
  `[Service]\nExecStart=${FLANNELD} infinity\n[Install]\nWantedBy=multi-user.target\n`;

/** The lines of the blocks under a heading. */
async function commandsUnder(heading: string): Promise<string[]> {
  const page = await Deno.readTextFile(PAGE);
  const part = page.split(`\n## ${heading}\n`)[1]!.split("\n## ")[0]!;
  return [...part.matchAll(/^ *```sh\n([^]*?)^ *```$/gm)]
    .flatMap(([, lines]) => lines!.trim().split("\n"))
    .map((line) => line.trim());
}

/** Those that say "if" may fail. */
async function typeAll(machine: BootedHost, lines: readonly string[]) {
  for (const line of lines) {
    const command = ["sh", "-c", `cd /root; ${line}`];
    if (line.includes("# if ")) await machine.attempt(command);
    else await machine.run(command);
  }
}

Deno.test("a host moves from flannel to Loden and back by the page's commands, wherever flanneld's unit is", async () => {
  const forth = await commandsUnder("Replace flanneld on one host");
  const back = await commandsUnder("Go back to flannel");
  assert(forth.length >= 8 && back.length >= 5, `${forth} ${back}`);
  const image = await ensureRootImage();
  await using cleanup = new AsyncDisposableStack();
  const rig = cleanup.use(await Rig.create({ hosts: 2 }));
  await rig.startEtcd();
  await rig.publish(CONFIG);
  const out = `${rig.directory}/packages`;
  const [name] = await makeDist({
    binary: await binaryIn(rig.directory),
    formats: ["deb"],
    runtime: "recovered",
    out,
  });
  const [documented] = /(?<=\.\/)\S+\.deb/.exec(forth.join("\n"))!;
  const places = ["/etc/systemd/system", "/usr/lib/systemd/system"];
  for (const [index, place] of places.entries()) {
    const host = rig.host(index);
    const machine = cleanup.use(await BootedHost.create(host, { image }));
    for (const unit of ["docker.service", "docker.socket"]) {
      await machine.disable(unit);
    }
    await Deno.copyFile(`${out}/${name}`, `${machine.root}/root/${documented}`);
    await machine.boot();
    await machine.run(["cp", "/usr/bin/sleep", FLANNELD]);
    await machine.writeTextFile(`${place}/flanneld.service`, UNIT);
    await machine.run(["mkdir", "-p", "/run/flannel"]);
    await machine.run(
      ["sh", "-c", `printf '${SUBNET_ENV}' >/run/flannel/subnet.env`],
    );
    await machine.run(["systemctl", "enable", "--now", "flanneld.service"]);
    const key = `/coreos.com/network/subnets/${SUBNET.replace("/", "-")}`;
    const value = JSON.stringify({ PublicIP: host.address, PublicIPv6: null });
    await rig.etcd.ctl("put", key, value);

    const [unpack, ...rest] = forth;
    await typeAll(machine, [unpack!]);
    await machine.writeTextFile(
      "/etc/default/loden",
      `FLANNELD_ETCD_ENDPOINTS=${rig.etcdEndpoint}\nFLANNELD_IFACE=${host.address}\n`,
    );
    await typeAll(machine, rest);
    const status: StatusSnapshot = JSON.parse(
      await machine.run(["loden", "status", "--json"]),
    );
    assertEquals([status.subnet, status.ready], [SUBNET, true], place);
    const enabled = async (unit: string) =>
      (await machine.attempt(["systemctl", "is-enabled", unit])).stdout.trim();
    assertEquals(await enabled("loden"), "enabled");
    assertEquals(await enabled("flanneld"), "alias");

    await typeAll(machine, back);
    assertEquals(await enabled("loden"), "disabled");
    assertEquals(await enabled("flanneld"), "enabled");
    const show = ["systemctl", "show", "--property=ExecStart", "flanneld"];
    assert((await machine.run(show)).includes(`path=${FLANNELD} `), place);
    await machine.untilUnit("flanneld.service", "active");
    assertEquals(
      await machine.run(["sh", "-c", "ls /sys/class/net"]).then((
        devices,
      ) => devices.includes("flannel")),
      false,
    );
    await rig.etcd.ctl("del", key);
  }
});
