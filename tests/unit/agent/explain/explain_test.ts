import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { seen, unseen, valueOf } from "../../../../agent/explain/fact.ts";
import type { PacketSender } from "../../../../agent/explain/explain.ts";
import type { Flow } from "../../../../agent/explain/flow.ts";
import type { Echoes } from "../../../../agent/explain/snapshot.ts";
import type { PacketFate } from "../../../../host/firewall/trace/parse_trace.ts";
import { ERRNO } from "../../../../linux/errno.ts";
import type { LinkChange } from "../../../../linux/netlink/rtnetlink.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import type { FakeHostReader } from "../../../fakes/fake_host_reader.ts";
import {
  explainWorld,
  healthyWorld,
  HERE,
  ip,
  THERE,
  type World,
} from "./explain_world.ts";

Deno.test("in a healthy world a packet is delivered, and nothing is accused", async () => {
  const { findings, verdict } = await explainWorld(healthyWorld());
  assertEquals(findings.filter(({ outcome }) => outcome !== "ok"), []);
  assertEquals(verdict, "delivered");
  assertEquals(findings.map(({ side, stage }) => `${side}: ${stage}`), [
    "this host: source",
    "this host: container",
    "this host: bridge",
    "this host: forwarding",
    "this host: route",
    "this host: firewall",
    "this host: overlay device",
    "this host: peer",
    "this host: program",
    "this host: underlay route",
    "this host: neighbour",
    "this host: underlay MTU",
    "way: way",
    "other host: sender check",
    "other host: program",
    "other host: forwarding",
    "other host: route",
    "other host: firewall",
    "other host: bridge",
    "other host: container",
  ]);
});

Deno.test("on the receiving host its own side is explained, and the sender's is not seen", async () => {
  const world = healthyWorld();
  const reversed = { ...world, here: world.there, there: world.here };
  const asked = () => explainWorld(reversed);
  const well = await asked();
  assertEquals(well.verdict, "unknown");
  assertEquals(
    well.findings.map(({ outcome, side, stage }) =>
      `${side}: ${stage}: ${outcome}`
    ),
    [
      "this host: source: unknown",
      "this host: sender check: ok",
      "this host: program: ok",
      "this host: forwarding: ok",
      "this host: route: ok",
      "this host: firewall: ok",
      "this host: bridge: ok",
      "this host: container: ok",
    ],
  );
  world.there.rules = DROP_FORWARD;
  const { side, stage } = await asked();
  assertEquals([side, stage], ["this host", "firewall"]);
});

Deno.test("the host itself sends without a container and a bridge", async () => {
  const world = healthyWorld();
  const { findings, verdict } = await explainWorld(world, {
    source: ip("10.1.5.0"),
  });
  assertEquals(verdict, "delivered");
  assertEquals(
    findings.slice(0, 3).map(({ stage }) => stage),
    ["source", "route", "firewall"],
  );
});

Deno.test("a packet between containers of one host needs no lease and no peer", async () => {
  const world = healthyWorld();
  world.here.containers.set(ip("10.1.5.3"), {
    container: world.here.containers.get(ip(HERE.container))!.container,
    isComplete: true,
  });
  const { findings, verdict } = await explainWorld(world, {
    destination: ip("10.1.5.3"),
  });
  assertEquals(verdict, "delivered");
  assertEquals(findings.at(-1)?.stage, "container");
  assert(findings.every(({ side }) => side === "this host"));
});

Deno.test("a bridge carries packets between its ports without the host's forwarding and, unless told, its firewall", async () => {
  const world = healthyWorld();
  const { here } = world;
  here.containers.set(ip("10.1.5.3"), here.containers.get(ip(HERE.container))!);
  here.settings.set("net/ipv4/ip_forward", "0");
  here.settings.set("net/ipv4/conf/docker0/forwarding", "0");
  here.rules = DROP_FORWARD;
  const verdict = async () =>
    (await explainWorld(world, { destination: ip("10.1.5.3") })).verdict;
  assertEquals(await verdict(), "delivered");
  here.settings.set("net/bridge/bridge-nf-call-iptables", "1");
  assertEquals(await verdict(), "dropped");
});

/** A device of a host, changed. */
function change(reader: FakeHostReader, name: string, to: LinkChange): void {
  const { index } = reader.kernel.links().find((link) => link.name === name)!;
  reader.kernel.changeLink(index, to);
}

const DROP_FORWARD = `*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -d 10.1.0.0/16 -j DROP
COMMIT
`;

interface Broken {
  readonly name: string;
  readonly breaks: (world: World) => void;
  readonly flow?: Partial<Flow>;
  /** Side and stage. */
  readonly place: string;
  readonly fix: string;
}

const BROKEN: readonly Broken[] = [
  {
    name: "the container has no route",
    breaks: ({ here }) =>
      here.containers.set(ip(HERE.container), {
        container: {
          pid: 812,
          name: "web",
          inside: seen({
            route: {
              kind: "refused",
              errno: ERRNO.ENETUNREACH,
              text: "no route",
            },
            mtuBytes: 1472,
            deviceName: "eth0",
            isUp: true,
          }),
        },
        isComplete: true,
      }),
    place: "this host: container",
    fix: "nsenter --target=812 --net ip route add default via 10.1.5.1",
  },
  {
    name: "the container's device is down, and its name is a command",
    breaks: ({ here }) => {
      const look = here.containers.get(ip(HERE.container))!;
      const container = look.container!;
      const inside = valueOf(container.inside)!;
      here.containers.set(ip(HERE.container), {
        ...look,
        container: {
          ...container,
          inside: seen({ ...inside, deviceName: "x;reboot", isUp: false }),
        },
      });
    },
    place: "this host: container",
    fix: "nsenter --target=812 --net ip link set 'x;reboot' up",
  },
  {
    name: "the packet is larger than the container's MTU",
    breaks: () => {},
    flow: { sizeBytes: 1473 },
    place: "this host: container",
    fix: "send at most 1472 bytes",
  },
  {
    name: "the bridge is down",
    breaks: ({ here }) => change(here, "docker0", { up: false }),
    place: "this host: bridge",
    fix: "ip link set docker0 up",
  },
  {
    name: "the bridge is on another part of the overlay",
    breaks: ({ here }) => {
      here.snapshot = { ...here.snapshot!, subnet: "10.1.6.0/24" };
    },
    place: "this host: bridge",
    fix: "systemctl restart docker",
  },
  {
    name: "the kernel does not forward",
    breaks: ({ here }) => {
      here.settings.set("net/ipv4/ip_forward", "0");
      here.settings.set("net/ipv4/conf/docker0/forwarding", "0");
    },
    place: "this host: forwarding",
    fix: "sysctl -w net.ipv4.ip_forward=1",
  },
  {
    name: "one device does not forward",
    breaks: ({ here }) =>
      here.settings.set("net/ipv4/conf/docker0/forwarding", "0"),
    place: "this host: forwarding",
    fix: "sysctl -w net.ipv4.conf.docker0.forwarding=1",
  },
  {
    name: "no host has a lease for the destination",
    breaks: () => {},
    flow: { destination: ip("10.1.66.2") },
    place: "this host: route",
    fix: "loden status lists the subnets",
  },
  {
    name: "the reverse path filter refuses the container",
    breaks: ({ here }) => here.refusals.set(THERE.container, ERRNO.EXDEV),
    place: "this host: route",
    fix: "sysctl -w net.ipv4.conf.docker0.rp_filter=2",
  },
  {
    name: "the reverse path filter of a later kernel refuses the container",
    breaks: ({ here }) => {
      here.refusals.set(THERE.container, ERRNO.EINVAL);
      here.settings.set("net/ipv4/conf/docker0/rp_filter", "1");
      here.kernel.addRoute({
        destination: parseCidr("10.1.5.2/32")!,
        interfaceIndex: 2,
      });
    },
    place: "this host: route",
    fix: "sysctl -w net.ipv4.conf.docker0.rp_filter=2",
  },
  {
    name: "the other host has the source's address, too",
    breaks: ({ there }) => {
      there.refusals.set(THERE.container, ERRNO.EINVAL);
      const { index } = there.kernel.addLink({ name: "br-1", kind: "bridge" });
      there.kernel.addAddress(index, `${HERE.container}/32`);
    },
    place: "other host: route",
    fix: "remove 10.1.5.2",
  },
  {
    name: "the route of a peer is missing",
    breaks: ({ here }) =>
      here.kernel.removeRoute({ destination: parseCidr(THERE.subnet)! }),
    place: "this host: route",
    fix: "systemctl restart loden",
  },
  {
    name: "a device of this host has the peer's addresses",
    breaks: ({ here: { kernel } }) => {
      const { index } = kernel.addLink({ name: "br-1", kind: "bridge" });
      kernel.changeLink(index, { up: true });
      kernel.removeRoute({ destination: parseCidr(THERE.subnet)! });
      kernel.addAddress(index, "10.1.7.1/24");
    },
    place: "this host: route",
    fix: "ip address del 10.1.7.1/24 dev br-1",
  },
  {
    name: "a route of this host takes the peer's addresses",
    breaks: ({ here: { kernel } }) => {
      const { index } = kernel.addLink({ name: "eth1", up: true });
      kernel.removeRoute({ destination: parseCidr(THERE.subnet)! });
      kernel.addRoute({
        destination: parseCidr(THERE.subnet)!,
        interfaceIndex: index,
      });
    },
    place: "this host: route",
    fix: "remove the route by eth1",
  },
  {
    name: "this host's lease has no bridge, and the overlay device takes all",
    breaks: ({ here: { kernel } }) => {
      const index = (name: string) =>
        kernel.links().find((link) => link.name === name)!.index;
      kernel.removeAddress(index("docker0"), {
        address: ip("10.1.5.1"),
        prefixLength: 24,
      });
      kernel.addRoute({
        destination: parseCidr("10.1.0.0/16")!,
        interfaceIndex: index("flannel0"),
      });
    },
    flow: { source: ip("10.1.5.0"), destination: ip("10.1.5.9") },
    place: "this host: peer",
    fix: "systemctl restart docker",
  },
  {
    name: "this host's lease has no bridge",
    breaks: ({ here: { kernel } }) => {
      const { index } = kernel.links().find(({ name }) => name === "docker0")!;
      kernel.removeAddress(index, {
        address: ip("10.1.5.1"),
        prefixLength: 24,
      });
    },
    flow: { source: ip("10.1.5.0"), destination: ip("10.1.5.9") },
    place: "this host: route",
    fix: "systemctl restart docker",
  },
  {
    name: "packets of a peer leave by the default route",
    breaks: (world) => {
      addDefaultRoute(world);
      const { kernel } = world.here;
      kernel.removeRoute({ destination: parseCidr(THERE.subnet)! });
      kernel.removeRoute({
        destination: parseCidr("10.1.0.0/16")!,
        type: "unreachable",
        metric: 0x1000_0000,
      });
    },
    place: "this host: route",
    fix: "systemctl restart loden",
  },
  {
    name: "a rule of the host drops it",
    breaks: ({ here }) => {
      here.rules = DROP_FORWARD;
    },
    place: "this host: firewall",
    fix: "iptables -t filter -D FORWARD -d 10.1.0.0/16 -j DROP",
  },
  {
    name: "the policy drops it, and Loden sets no rules",
    breaks: ({ here }) => {
      here.rules = "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n";
      here.left = {
        ...here.left!,
        firewall: { ...here.left!.firewall!, forward: false },
      };
    },
    place: "this host: firewall",
    fix: "start the agent with --iptables-forward-rules=true",
  },
  {
    name: "the overlay device is down",
    breaks: ({ here }) => change(here, "flannel0", { up: false }),
    place: "this host: route",
    fix: "systemctl restart loden",
  },
  {
    name: "the packet is larger than the overlay device's MTU",
    breaks: ({ here }) => change(here, "flannel0", { mtuBytes: 1400 }),
    flow: { sizeBytes: 1450 },
    place: "this host: overlay device",
    fix: "send at most 1400 bytes",
  },
  {
    name: "the backend has no entry",
    breaks: ({ here }) => {
      here.inspection = {
        findings: [{
          stage: "peer entry",
          outcome: "drop",
          text: "expired",
          fix: "systemctl start loden",
        }],
      };
    },
    place: "this host: peer entry",
    fix: "systemctl start loden",
  },
  {
    name: "the peer's machine does not answer ARP",
    breaks: ({ here }) => {
      const entry = here.kernel.learnt[0]!;
      here.kernel.learnt[0] = { ...entry, state: "failed" };
    },
    place: "this host: neighbour",
    fix: "check that the host is up",
  },
  {
    name: "the peer's machine has not answered ARP for two seconds",
    breaks: (world) => {
      const entry = world.here.kernel.learnt[0]!;
      world.here.kernel.learnt[0] = { ...entry, state: "incomplete" };
      world.isConnected = false;
    },
    place: "this host: neighbour",
    fix: "check that the host is up",
  },
  {
    name: "the underlay became narrower",
    breaks: ({ here }) => change(here, "eth0", { mtuBytes: 1400 }),
    flow: { sizeBytes: 1450 },
    place: "this host: underlay MTU",
    fix: "raise the MTU of the underlay",
  },
  {
    name: "programs before the firewall do not lose what it drops",
    breaks: ({ here }) => {
      here.inspection = {
        findings: [],
        traffic: { protocol: 17, port: 8285 },
        bypassesFirewall: true,
      };
      here.rules = "*filter\n:OUTPUT DROP [0:0]\n" +
        ":FORWARD ACCEPT [0:0]\n-A FORWARD -j DROP\nCOMMIT\n";
    },
    place: "this host: firewall",
    fix: "-I FORWARD",
  },
  {
    name: "a firewall of this host drops the outer packets",
    breaks: ({ here }) => {
      here.inspection = {
        findings: [],
        traffic: { protocol: 17, port: 8285 },
      };
      here.rules = "*filter\n:OUTPUT ACCEPT [0:0]\n" +
        "-A OUTPUT -p udp -m udp --dport 8285 -j DROP\nCOMMIT\n";
    },
    place: "this host: outer firewall",
    fix: "iptables -t filter -D OUTPUT -p udp -m udp --dport 8285 -j DROP",
  },
  {
    name: "the policy of the other host drops the outer packets",
    breaks: ({ there }) => {
      there.inspection = {
        findings: [],
        traffic: { protocol: 17, port: 8285 },
      };
      there.rules = "*filter\n:INPUT DROP [0:0]\nCOMMIT\n";
    },
    place: "other host: outer firewall",
    fix: "iptables -t filter -I INPUT -p udp --dport 8285 -j ACCEPT",
  },
  {
    name: "a rule drops everything that is forwarded",
    breaks: ({ here }) => {
      here.rules = "*filter\n:FORWARD ACCEPT [0:0]\n" +
        "-A FORWARD -j REJECT --reject-with icmp-host-prohibited\nCOMMIT\n";
    },
    place: "this host: firewall",
    fix:
      "iptables -t filter -I FORWARD -s 10.1.0.0/16 -d 10.1.0.0/16 -j ACCEPT",
  },
  {
    name: "the other host drops the outer packets",
    breaks: ({ there }) => {
      there.inspection = {
        findings: [],
        traffic: { protocol: 17, port: 8285 },
      };
      there.rules = "*filter\n:INPUT ACCEPT [0:0]\n" +
        "-A INPUT -p udp -m udp --dport 8285 -j DROP\nCOMMIT\n";
    },
    place: "other host: outer firewall",
    fix: "iptables -t filter -D INPUT -p udp -m udp --dport 8285 -j DROP",
  },
  {
    name: "the other host knows no such peer",
    breaks: ({ there }) => {
      there.snapshot = { ...there.snapshot!, peers: [] };
    },
    place: "other host: sender check",
    fix: "the same etcd",
  },
  {
    name: "the other host expects another sender",
    breaks: ({ there }) => {
      const [peer] = there.snapshot!.peers;
      there.snapshot = {
        ...there.snapshot!,
        peers: [{ ...peer!, publicIp: "192.0.2.99" }],
      };
    },
    place: "other host: sender check",
    fix: "on 192.0.2.11",
  },
  {
    name: "the other host does not forward",
    breaks: ({ there }) =>
      there.settings.set("net/ipv4/ip_forward", "0")
        .set("net/ipv4/conf/flannel0/forwarding", "0"),
    place: "other host: forwarding",
    fix: "sysctl -w net.ipv4.ip_forward=1",
  },
  {
    name: "the other host's reverse path filter refuses it",
    breaks: ({ there }) => there.refusals.set(THERE.container, ERRNO.EXDEV),
    place: "other host: route",
    fix: "sysctl -w net.ipv4.conf.flannel0.rp_filter=2",
  },
  {
    name: "the other host has no bridge on its lease",
    breaks: ({ there: { kernel } }) => {
      const { index } = kernel.links().find(({ name }) => name === "docker0")!;
      kernel.removeAddress(index, {
        address: ip("10.1.7.1"),
        prefixLength: 24,
      });
    },
    place: "other host: route",
    fix: "systemctl restart docker",
  },
  {
    name: "a rule of the other host drops it",
    breaks: ({ there }) => {
      there.rules = DROP_FORWARD;
    },
    place: "other host: firewall",
    fix: "iptables -t filter -D FORWARD -d 10.1.0.0/16 -j DROP",
  },
  {
    name: "the other host's bridge has no port",
    breaks: ({ there }) => {
      const { kernel } = there;
      const { index } = kernel.links().find(({ name }) => name === "docker0")!;
      there.rtnetlink.links = () =>
        kernel.links().map((link) =>
          link.index === index ? { ...link, carrier: false } : link
        );
    },
    place: "other host: bridge",
    fix: "start the container that has 10.1.7.2",
  },
  {
    name: "no container has the address",
    breaks: ({ there: { containers, kernel } }) => {
      containers.delete(ip(THERE.container));
      const { index } = kernel.links().find(({ name }) => name === "docker0")!;
      kernel.learnt.push({
        interfaceIndex: index,
        address: ip(THERE.container),
        state: "failed",
        mac: new Uint8Array(),
      });
    },
    place: "other host: container",
    fix: "docker ps",
  },
];

for (const { breaks, fix, flow, name, place } of BROKEN) {
  Deno.test(`${name}: dropped, ${place}`, async () => {
    const world = healthyWorld();
    breaks(world);
    const found = await explainWorld(world, flow);
    assertEquals(found.verdict, "dropped", JSON.stringify(found.findings));
    assertEquals(`${found.side}: ${found.stage}`, place);
    assertStringIncludes(found.fix ?? "", fix);
  });
}

function addDefaultRoute({ here: { kernel } }: World): void {
  const { index } = kernel.links().find(({ name }) => name === "eth0")!;
  kernel.addRoute({
    destination: parseCidr("0.0.0.0/0")!,
    gateway: ip("192.0.2.1"),
    interfaceIndex: index,
  });
}

Deno.test("during a change of backend the former device leads into the overlay, too", async () => {
  const world = healthyWorld();
  const { kernel } = world.here;
  const { index } = kernel.addLink({
    name: "flannel.1",
    kind: "vxlan",
    alias: "loden:/a",
    mtuBytes: 1450,
  });
  kernel.changeLink(index, { up: true });
  kernel.removeRoute({ destination: parseCidr(THERE.subnet)! });
  kernel.replaceRoute({
    destination: parseCidr(THERE.subnet)!,
    gateway: ip("10.1.7.0"),
    interfaceIndex: index,
    onlink: true,
  });
  assertEquals((await explainWorld(world)).verdict, "delivered");
});

interface Unclear {
  readonly name: string;
  readonly breaks: (world: World) => void;
  readonly flow?: Partial<Flow>;
  readonly stage: string;
}

const UNCLEAR: readonly Unclear[] = [
  {
    name: "the other agent does not answer",
    breaks: (world) => {
      world.isConnected = false;
    },
    stage: "way",
  },
  {
    name: "the peer's machine is asked for the first time",
    breaks: ({ here }) => {
      const [entry] = here.kernel.learnt.splice(0);
      const ask = here.kernel.neighbourEntries.bind(here.kernel);
      let reader = 0;
      here.kernel.neighbourEntries = (index) =>
        index === entry!.interfaceIndex && reader++ > 0
          ? [{ ...entry!, state: "failed" }]
          : ask(index);
    },
    stage: "neighbour",
  },
  {
    name: "a router is no accusation where the peers are not known",
    breaks: (world) => {
      addDefaultRoute(world);
      const { here } = world;
      here.snapshot = undefined;
      here.left = {
        ...here.left!,
        backends: [{ type: "host-gw", options: {} }],
      };
      here.kernel.removeRoute({ destination: parseCidr(THERE.subnet)! });
      here.kernel.addRoute({
        destination: parseCidr(THERE.subnet)!,
        gateway: ip(THERE.publicIp),
        interfaceIndex: here.kernel.links()
          .find(({ name }) => name === "eth0")!.index,
      });
    },
    stage: "route",
  },
  {
    name: "a machine on the underlay sends",
    breaks: () => {},
    flow: { source: ip("192.0.2.50") },
    stage: "source",
  },
  {
    name: "no probe of the packet's size has passed so far",
    breaks: ({ here }) => {
      const peers = here.snapshot!.peers.map((peer) => ({
        ...peer,
        probe: { ...peer.probe!, mtuBytes: 1400 },
      }));
      here.snapshot = { ...here.snapshot!, peers };
    },
    flow: { sizeBytes: 1450 },
    stage: "way",
  },
  {
    name: "the agent does not know the peers yet",
    breaks: ({ here }) => {
      here.snapshot = { ...here.snapshot!, phase: "starting", peers: [] };
    },
    stage: "peer",
  },
  {
    name: "the firewall cannot be read",
    breaks: ({ here }) => {
      here.rules = undefined;
    },
    stage: "firewall",
  },
  {
    name: "a rule that could drop cannot be evaluated",
    breaks: ({ here }) => {
      here.rules = "*filter\n:FORWARD ACCEPT [0:0]\n" +
        "-A FORWARD -m set --match-set a src -j DROP\nCOMMIT\n";
    },
    stage: "firewall",
  },
  {
    name: "the programs cannot be seen",
    breaks: ({ here }) => {
      here.inspection = undefined;
    },
    stage: "peer entry",
  },
  {
    name: "a machine behind the bridge sends",
    breaks: ({ here }) => here.containers.delete(ip(HERE.container)),
    stage: "source",
  },
  {
    name: "the source is on the other host",
    breaks: () => {},
    flow: { source: ip(THERE.container), destination: ip(HERE.container) },
    stage: "source",
  },
  {
    name: "no host holds a lease for the source",
    breaks: () => {},
    flow: { source: ip("10.1.66.2") },
    stage: "source",
  },
  {
    name: "the kernel refuses the packet for a reason that is not known",
    breaks: ({ here }) => here.refusals.set(THERE.container, ERRNO.EINVAL),
    stage: "route",
  },
  {
    name: "the destination is outside the overlay",
    breaks: addDefaultRoute,
    flow: { destination: ip("198.51.100.7") },
    stage: "route",
  },
  {
    name: "the backend leaves the packets to others",
    breaks: (world) => {
      addDefaultRoute(world);
      const { here } = world;
      here.kernel.removeRoute({ destination: parseCidr(THERE.subnet)! });
      here.kernel.removeRoute({
        destination: parseCidr("10.1.0.0/16")!,
        type: "unreachable",
        metric: 0x1000_0000,
      });
      here.snapshot = {
        ...here.snapshot!,
        backend: { ...here.snapshot!.backend!, type: "alloc" },
        overlay: { device: null, mtuBytes: 1500 },
      };
    },
    stage: "route",
  },
  {
    name: "whether a container has the address cannot be seen",
    breaks: ({ there }) => there.containers.delete(ip(THERE.container)),
    stage: "container",
  },
];

for (const { breaks, flow, name, stage } of UNCLEAR) {
  Deno.test(`${name}: unknown, and nothing is accused`, async () => {
    const world = healthyWorld();
    breaks(world);
    const found = await explainWorld(world, flow);
    assertEquals(found.verdict, "unknown", JSON.stringify(found.findings));
    assertEquals(found.side, null);
    assert(
      found.findings.some((each) =>
        each.stage === stage && each.outcome === "unknown"
      ),
      JSON.stringify(found.findings),
    );
  });
}

Deno.test("without an agent the peers are those that it has saved, and not sure", async () => {
  const world = healthyWorld();
  world.here.snapshot = undefined;
  world.isConnected = false;
  world.here.saved = [{
    subnet: parseCidr(THERE.subnet)!,
    publicIp: ip(THERE.publicIp),
    backendType: "udp",
    stale: false,
  }];
  world.here.left = {
    ...world.here.left!,
    etcdPrefix: "/a",
    backends: [{ type: "udp", options: {} }],
  };
  const device = world.here.kernel.links()
    .find(({ name }) => name === "flannel0")!;
  world.here.kernel.changeLink(device.index, { alias: "loden:/a" });
  const { findings, verdict } = await explainWorld(world);
  assertEquals(verdict, "unknown");
  const peer = findings.find(({ stage }) => stage === "peer");
  assertEquals(peer?.outcome, "unknown");
  assertStringIncludes(peer!.text, "192.0.2.12");
});

Deno.test("without an agent a peer that is not saved may be one all the same", async () => {
  const world = healthyWorld();
  const { here } = world;
  here.snapshot = undefined;
  here.saved = [];
  here.left = {
    ...here.left!,
    etcdPrefix: "/a",
    backends: [{ type: "udp", options: {} }],
  };
  const device = here.kernel.links().find(({ name }) => name === "flannel0")!;
  here.kernel.changeLink(device.index, { alias: "loden:/a" });
  const { findings, verdict } = await explainWorld(world);
  assertEquals(verdict, "unknown", JSON.stringify(findings));
});

Deno.test("without an agent and its traces nothing is accused", async () => {
  const world = healthyWorld();
  world.here.snapshot = undefined;
  world.here.left = undefined;
  assertEquals((await explainWorld(world)).verdict, "unknown");
});

function forgetProbes({ here }: World): void {
  here.snapshot = {
    ...here.snapshot!,
    peers: here.snapshot!.peers.map((peer) => ({ ...peer, probe: null })),
  };
}

const all = (
  underlay: boolean,
  underlayLarge: boolean,
  overlay: boolean,
  overlayLarge: boolean,
): Echoes => ({
  underlay: seen(underlay),
  underlayLarge: seen(underlayLarge),
  overlay: seen(overlay),
  overlayLarge: seen(overlayLarge),
});

const ECHOES: readonly [string, Echoes, boolean, string, string][] = [
  [
    "everything is answered",
    all(true, true, true, true),
    true,
    "delivered",
    "OK",
  ],
  [
    "only the underlay answers",
    all(true, true, false, false),
    false,
    "dropped",
    "let the overlay's traffic pass",
  ],
  [
    "only small packets are answered",
    all(true, false, true, false),
    true,
    "dropped",
    "raise the MTU there",
  ],
  [
    "only the underlay of a host that never answers",
    all(true, true, false, false),
    false,
    "unknown",
    "",
  ],
  [
    "nothing is answered",
    all(false, false, false, false),
    false,
    "unknown",
    "",
  ],
];

function senderOf(echoes: Echoes, fate: PacketFate): PacketSender {
  return {
    echoes: () => Promise.resolve(echoes),
    trace: () => Promise.resolve(seen(fate)),
  };
}

for (const [name, echoes, isConnected, verdict, fix] of ECHOES) {
  Deno.test(`with --send, ${name}: ${verdict}`, async () => {
    const world = healthyWorld();
    world.isConnected = isConnected;
    if (name.includes("never answers")) forgetProbes(world);
    world.sender = senderOf(echoes, { kind: "left" });
    const found = await explainWorld(world, { sizeBytes: 1472 });
    assertEquals(found.verdict, verdict, JSON.stringify(found.findings));
    if (verdict === "dropped") {
      assertEquals(found.side, "way");
      assertStringIncludes(found.fix ?? "", fix);
    }
  });
}

const ANSWERED = all(true, true, true, true);

Deno.test("with --send, the rule that has dropped a packet decides", async () => {
  const world = healthyWorld();
  const by = {
    table: "nft ip mine",
    chain: "forward",
    rule: "meta pkttype host drop",
  };
  world.sender = senderOf(ANSWERED, { kind: "dropped", by });
  const found = await explainWorld(world);
  assertEquals(
    [found.verdict, found.side, found.stage],
    ["dropped", "this host", "firewall"],
  );
  assertStringIncludes(found.text, "chain forward: meta pkttype host drop");
  assertStringIncludes(found.fix!, "nft insert rule ip mine forward");
});

Deno.test("with --send, a packet that has left decides about rules that cannot be read", async () => {
  const world = healthyWorld();
  world.here.rules = undefined;
  assertEquals((await explainWorld(world)).verdict, "unknown");
  world.sender = senderOf(ANSWERED, { kind: "left" });
  assertEquals((await explainWorld(world)).verdict, "delivered");
});

Deno.test("with --send, a packet that is lost without a rule accuses none", async () => {
  const world = healthyWorld();
  world.sender = senderOf(ANSWERED, { kind: "lost", chains: ["ip raw A"] });
  const found = await explainWorld(world);
  assertEquals(found.verdict, "unknown");
  assertStringIncludes(JSON.stringify(found.findings), "it passed ip raw A");
});

Deno.test("with --send, a packet that cannot be followed leaves what was evaluated, and why", async () => {
  const world = healthyWorld();
  world.sender = {
    echoes: () => Promise.resolve(ANSWERED),
    trace: () => Promise.resolve(unseen("there is no nft")),
  };
  const found = await explainWorld(world);
  assertEquals(found.verdict, "delivered");
  assertStringIncludes(
    JSON.stringify(found.findings),
    "; --send: there is no nft",
  );
});
