/**
 * Probes between real agents: on both data paths of udp, and with a backend that
 * has no device of its own. The worlds run side by side, because most of the time
 * is waiting.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { after, before, describe, it } from "@std/testing/bdd";
import { instancePaths } from "../../agent/instance/instance.ts";
import type { ProbeResult } from "../../agent/probe/prober.ts";
import type { PeerProbeStatus } from "../../agent/status/status_snapshot.ts";
import type { Agent } from "../rig/agent.ts";
import type { Container } from "../rig/container.ts";
import { Rig } from "../rig/rig.ts";
import { eventually } from "./overlay.ts";
import { program } from "./programs/path.ts";

const PREFIX = "/coreos.com/network";
const PORT = "8286";
/** What the switch lets through after the first test. */
const NARROW_BYTES = 1_400;
const TABLE = "bridge between";

interface Case {
  readonly name: string;
  readonly backend: string;
  readonly flags: readonly string[];
  /** Bytes of the outer headers. */
  readonly overheadBytes: number;
  /** The last number of a host's address in the overlay. */
  readonly host: number;
}

const CASES: readonly Case[] = [
  {
    name: "udp, tun",
    backend: "udp",
    flags: ["--datapath=tun"],
    overheadBytes: 28,
    host: 0,
  },
  {
    name: "udp, ebpf",
    backend: "udp",
    flags: ["--datapath=ebpf"],
    overheadBytes: 28,
    host: 0,
  },
  { name: "host-gw", backend: "host-gw", flags: [], overheadBytes: 0, host: 1 },
];

/** Two hosts whose switch a test can narrow or cut. */
class World {
  private constructor(
    readonly of: Case,
    readonly rig: Rig,
    readonly agents: readonly Agent[],
    readonly containers: readonly Container[],
  ) {}

  static async start(of: Case): Promise<World> {
    await using cleanup = new AsyncDisposableStack();
    const rig = cleanup.use(await Rig.create({ hosts: 2 }));
    await rig.startEtcd();
    await rig.publish({
      Network: "10.1.0.0/16",
      Backend: { Type: of.backend },
    });
    await rig.switch.run([
      "nft",
      `add table ${TABLE}; add chain ${TABLE} forward ` +
      `{ type filter hook forward priority 0; }`,
    ]);
    const ends = await Promise.all(rig.hosts.map(async (host) => {
      const agent = await rig.startAgent(host, { flags: of.flags });
      await agent.ready();
      return {
        agent,
        container: await host.addContainer(await agent.bridge()),
      };
    }));
    cleanup.move();
    return new World(
      of,
      rig,
      ends.map(({ agent }) => agent),
      ends.map(({ container }) => container),
    );
  }

  async between(rule: string | undefined): Promise<void> {
    await this.rig.switch.run([
      "nft",
      `flush chain ${TABLE} forward` +
      (rule === undefined ? "" : `; add rule ${TABLE} forward ${rule}`),
    ]);
  }

  /** Until what the first host says of the second fits. */
  async until(
    what: string,
    fits: (probe: PeerProbeStatus, warnings: readonly string[]) => boolean,
  ): Promise<void> {
    await eventually(
      `${this.of.name}: ${what}`,
      async () => {
        const { peers, warnings } = await this.agents[0]!.status();
        const [peer] = peers;
        const codes = warnings.map(({ code }) => code);
        return { probe: peer?.probe ?? undefined, codes };
      },
      ({ codes, probe }) => probe !== undefined && fits(probe, codes),
      30_000,
    );
  }

  /** The second host is probed by the first one at once. */
  async probeNow(bytes: number): Promise<ProbeResult> {
    const { socket } = instancePaths(
      this.agents[0]!.files.runDirectory,
      PREFIX,
    );
    const { peers: [peer] } = await this.agents[0]!.status();
    using client = Deno.createHttpClient({
      proxy: { transport: "unix", path: socket },
    });
    const response = await fetch("http://127.0.0.1/probe", {
      client,
      headers: { peer: peer!.subnet, bytes: `${bytes}` },
    });
    return await response.json();
  }

  async counters(): Promise<Readonly<Record<string, number>>> {
    const { probes } = await this.agents[0]!.status();
    return probes!.counters;
  }

  /** A host's address in the overlay. */
  hostAddress(number: number): string {
    return this.containers[number]!.address.replace(
      /\d+$/,
      `${this.of.host}`,
    );
  }
}

describe("probes", () => {
  let worlds: readonly World[] = [];
  const inAll = (body: (world: World) => Promise<void>) => async () => {
    await Promise.all(worlds.map(body));
  };

  before(async () => {
    worlds = await Promise.all(CASES.map((each) => World.start(each)));
  });
  after(async () => {
    await Promise.all(worlds.map((each) => each.rig[Symbol.asyncDispose]()));
  });

  it(
    "say that a host is reachable, by UDP and with the overlay's MTU",
    inAll(async (world) => {
      const mtuBytes = 1_500 - world.of.overheadBytes;
      await world.until(
        "the host as reachable",
        (probe, codes) =>
          probe.state === "reachable" && probe.way === "udp" &&
          probe.mtuBytes === mtuBytes && probe.rttMs! < 1_000 &&
          !codes.some((code) => /^(peers|probes)\./.test(code)),
      );
      const { icmpMs, udpMs } = await world.probeNow(mtuBytes);
      assert(udpMs !== null && icmpMs !== null, world.of.name);
      assertEquals(await world.probeNow(mtuBytes + 1), {
        udpMs: null,
        icmpMs: null,
      });
    }),
  );

  it(
    "find the MTU of a path that drops larger packets without a word",
    inAll(async (world) => {
      await world.between(`ether type ip ip length > ${NARROW_BYTES} drop`);
      const { udpMs } = await world.probeNow(1_500 - world.of.overheadBytes);
      assertEquals(udpMs, null);
      await world.until(
        "the path's MTU",
        ({ mtuBytes, state }, codes) =>
          state === "reachable" &&
          mtuBytes === NARROW_BYTES - world.of.overheadBytes &&
          codes.includes("peers.path-mtu"),
      );
    }),
  );

  it(
    "notice a host that is cut off, within seconds of its turn",
    inAll(async (world) => {
      await world.between("ether type ip drop");
      await world.probeNow(68);
      await world.until(
        "the host as unreachable",
        ({ lossRatio, state }, codes) =>
          state === "unreachable" && lossRatio! > 0 &&
          codes.includes("peers.unreachable"),
      );
    }),
  );

  it(
    "are not answered to a container, under its own address or another host's",
    inAll(async (world) => {
      // The other host is cut off, so only the container can ask.
      const before = await world.counters();
      const { address, namespace } = world.containers[0]!;
      const forged = world.hostAddress(1);
      await namespace.ip([`address add ${forged}/32 dev eth0`]);
      for (const source of [address, forged]) {
        assertEquals(
          await namespace.run(
            program("probe_ask.ts", source, world.hostAddress(0), PORT),
          ),
          "no answer\n",
          world.of.name,
        );
      }
      const after = await world.counters();
      assertEquals(after.answered, before.answered, world.of.name);
      assert(after.refused! > before.refused!, world.of.name);
    }),
  );

  it(
    "notice that the host is back",
    inAll(async (world) => {
      await world.between(undefined);
      await world.until(
        "the host as reachable again",
        ({ state, way }, codes) =>
          state === "reachable" && way === "udp" &&
          !codes.includes("peers.unreachable"),
      );
    }),
  );

  it(
    "are not answered to a container that its host masquerades",
    inAll(async (world) => {
      const host = world.rig.host(1).namespace;
      const { address, namespace } = world.containers[1]!;
      // As Docker does without --ip-masq.
      await host.run([
        ...["iptables", "-t", "nat", "-I", "POSTROUTING"],
        ...["-s", `${address}/32`, "!", "-o", "docker0", "-j", "MASQUERADE"],
      ]);
      const before = await world.counters();
      assertEquals(
        await namespace.run(
          program("probe_ask.ts", address, world.hostAddress(0), PORT),
        ),
        "no answer\n",
        world.of.name,
      );
      const after = await world.counters();
      assertEquals(after.refused! - before.refused!, 3, world.of.name);
    }),
  );
});
