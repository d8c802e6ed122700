/**
 * The blocks of `docs/operate.md` are what the tools print.
 *
 * The hosts are broken as the page says, and the output is compared with the block.
 * What differs from run to run is replaced first (`documentOutput`).
 *
 *     LODEN_UPDATE_DOCS=1 deno task test --source tests/e2e/operate_test.ts
 *
 * writes the blocks into the page.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { after, before, describe, it } from "@std/testing/bdd";
import { exitCodes } from "../../agent/exit_codes.ts";
import type { StatusSnapshot } from "../../agent/status/status_snapshot.ts";
import { replaceParts } from "../../tools/docs/document_parts.ts";
import { type Agent, type AgentOptions, loden } from "../rig/agent.ts";
import { Daemon } from "../rig/daemon.ts";
import type { RigHost } from "../rig/host.ts";
import {
  consoleBlock,
  documentOutput,
  type Replacements,
} from "../support/doc_output.ts";
import { BreakableWorld, BROKEN_WORLDS } from "./broken_worlds.ts";
import { KERNEL_PATH } from "./data_paths.ts";
import { eventually } from "./overlay.ts";

const PAGE = new URL("../../docs/operate.md", import.meta.url);
const PATIENCE_MS = 20_000;
/** For an agent beside the network's own. */
const OTHER_PREFIX = "/other/network";
const WARNINGS = /^warnings/;
/** The end of an explanation. */
const VERDICT = /^ {2}DROP/;

/** A host and its agent. */
interface Station {
  readonly host: RigHost;
  readonly agent: Agent;
}

describe("the operator's page", () => {
  let world: BreakableWorld;
  /** It has no agent at first. */
  let third: RigHost;
  let page: Page;

  before(async () => {
    world = await BreakableWorld.start(KERNEL_PATH[0]!, {
      hosts: 3,
      agents: 2,
    });
    third = world.overlay.rig.host(2);
    page = new Page(world.subnets);
  });
  after(() => world[Symbol.asyncDispose]());

  it("shows a host that is well", async () => {
    await until(
      world.here.agent,
      "an answer of the peer",
      ({ peers: [peer] }) => peer?.probe?.state === "reachable",
    );
    await page.show("healthy", world.here, ["status"], exitCodes.ok);
    await page.show(
      "check-ready",
      world.here,
      ["status", "--check=ready"],
      exitCodes.ok,
    );
  });

  for (
    const [name, broken] of Object.entries({
      "explain-forwarding": "this host does not forward",
      "explain-firewall":
        "a rule of this host's FORWARD chain drops the packet",
      "explain-mtu": "a network on the way has a smaller MTU",
      "explain-port": "UDP port 8285 is blocked in the middle",
    })
  ) {
    it(`shows what explain says when ${broken}`, async () => {
      const { breaks, flags = [], mends } = BROKEN_WORLDS
        .find((each) => each.name === broken)!;
      await using cleanup = new AsyncDisposableStack();
      cleanup.defer(async () => {
        await mends(world);
        await world.untilWell();
      });
      await breaks(world);
      const { here, there } = world;
      await page.show(
        name,
        here,
        ["explain", ...flags, here.container.address, there.container.address],
        1,
        VERDICT,
      );
    });
  }

  it("shows hosts without etcd", async () => {
    const { here, overlay: { rig } } = world;
    await rig.etcd.kill();
    // It has never run, so it has no saved state.
    await using hosts = new AsyncDisposableStack();
    const station = await start(hosts, third);
    await until(
      station.agent,
      "that it waits",
      ({ waitingFor }) => waitingFor !== null,
    );
    await page.show(
      "boot-without-etcd",
      station,
      ["status"],
      exitCodes.notReady,
      /^(?:warnings|not ready)/,
    );
    await station.agent.stop();
    await page.show("not-running", station, ["status"], exitCodes.notRunning);
    await untilWarned(here, "etcd.unavailable");
    await page.show("etcd-gone", here, ["status"], exitCodes.ok, WARNINGS);
    await rig.etcd.start();
  });

  it("shows a host on whose lease Docker is not", async () => {
    // Docker was started before the agent, without its options.
    await third.addContainer({ bip: "172.17.0.1/16", mtuBytes: 1500 });
    await using hosts = new AsyncDisposableStack();
    const docker = hosts.use(await standInForDocker(third));
    const station = await start(hosts, third, {
      prepare: [
        "mount -t tmpfs none /run",
        `echo ${docker.pid} >/run/docker.pid`,
      ],
    });
    await station.agent.ready();
    page.subnets.push((await station.agent.status()).subnet!);
    await untilWarned(station, "docker.bridge-elsewhere");
    await page.show(
      "subnet-changed",
      station,
      ["status"],
      exitCodes.ok,
      WARNINGS,
    );
  });

  it("shows a host that has no config", async () => {
    await using hosts = new AsyncDisposableStack();
    const flags = [`--etcd-prefix=${OTHER_PREFIX}`];
    const station = await start(hosts, third, { flags });
    const said = () =>
      loden(third.namespace, ["status", ...flags], environmentOf(station));
    await eventually(
      "that it waits for a config",
      said,
      ({ stdout }) => stdout.includes("config.missing"),
      PATIENCE_MS,
    );
    await page.show(
      "no-config",
      station,
      ["status"],
      exitCodes.notReady,
      WARNINGS,
      flags,
    );
  });

  it("shows a host whose disk is full", async () => {
    await using hosts = new AsyncDisposableStack();
    const full = `${third.directory}/full`;
    const station = await start(hosts, third, {
      flags: [`--subnet-file=${full}/subnet.env`],
      prepare: [
        `mkdir -p ${full}`,
        `mount -t tmpfs -o size=4k,nr_inodes=1,mode=755 none ${full}`,
      ],
    });
    await untilWarned(station, "files.subnet-env");
    await page.show(
      "disk-full",
      station,
      ["status"],
      exitCodes.notReady,
      WARNINGS,
    );
  });

  it("is what was shown", () => page.finish());
});

/** Collects the blocks. */
class Page {
  readonly #blocks: Record<string, string> = {};
  /** Of the hosts. Which they get is left to chance; the page counts from 10.1.5. */
  readonly subnets: string[];

  constructor(subnets: readonly string[]) {
    this.subnets = [...subnets];
  }

  /**
   * Runs a command on a host and keeps what it prints.
   *
   * @param from so the first line begins that is kept.
   * @param flags that are not shown.
   */
  async show(
    name: string,
    station: Station,
    words: readonly string[],
    expected: number,
    from?: RegExp,
    flags: readonly string[] = [],
  ): Promise<void> {
    const { exitCode, stderr, stdout } = await loden(
      station.host.namespace,
      [...words, ...flags],
      environmentOf(station),
    );
    assertEquals(exitCode, expected, `${name}: ${stdout}${stderr}`);
    const replacements = [
      ...pathsOf(station),
      ...this.subnets.map((subnet, index) =>
        [subnet.replace(/0\/24$/, ""), `10.1.${5 + index}.`] as const
      ),
      [OTHER_PREFIX, "/coreos.com/network"],
      ["other-network", "coreos.com-network"],
      // As it is without the flag of the tests.
      ["set by --datapath=ebpf", "the fastest that works here"],
    ] as const;
    this.#blocks[name] = consoleBlock(
      documentOutput(`loden ${words.join(" ")}`, replacements),
      // What it waits for is said only if that takes a while.
      documentOutput(stdout === "" ? stderr : stdout, replacements),
      from,
    );
  }

  /** Compares them with the page, or writes them into it. */
  async finish(): Promise<void> {
    const present = await Deno.readTextFile(PAGE);
    if (Deno.env.get("LODEN_UPDATE_DOCS") === "1") {
      const parts = { ...partsOf(present), ...this.#blocks };
      await Deno.writeTextFile(PAGE, replaceParts(present, parts));
      return;
    }
    const wanted = replaceParts(present, this.#blocks);
    assertEquals(present, wanted, "LODEN_UPDATE_DOCS=1 updates the page");
  }
}

/** Those that the page has: a test that fails must not empty others. */
function partsOf(page: string): Record<string, string> {
  const found = page.matchAll(
    /<!-- generated: (\S+) -->\n\n?([^]*?)\n?<!-- end of \1 -->/g,
  );
  return Object.fromEntries([...found].map(([, name, part]) => [name!, part!]));
}

function environmentOf({ agent: { files } }: Station): Record<string, string> {
  return {
    FLANNELD_RUN_DIR: files.runDirectory,
    FLANNELD_STATE_DIR: files.stateDirectory,
  };
}

function pathsOf({ agent: { files }, host }: Station): Replacements {
  const { dockerOptsFile, runDirectory, stateDirectory, subnetFile } = files;
  return [
    [runDirectory, "/run/loden"],
    [stateDirectory, "/var/lib/loden"],
    [subnetFile, "/run/flannel/subnet.env"],
    [`${host.directory}/full`, "/run/flannel"],
    [dockerOptsFile, "/run/flannel_docker_opts.env"],
  ];
}

/** A process with Docker's name, by which the agent sees that Docker runs. */
async function standInForDocker(host: RigHost): Promise<Daemon> {
  const path = `${host.directory}/dockerd`;
  await Deno.copyFile("/usr/bin/sleep", path);
  await Deno.chmod(path, 0o755);
  return new Daemon({
    name: "what stands for Docker",
    command: [...host.namespace.commandPrefix, path, "600"],
    logFile: `${host.directory}/dockerd.log`,
  });
}

async function start(
  cleanup: AsyncDisposableStack,
  host: RigHost,
  options: Partial<AgentOptions> = {},
): Promise<Station> {
  const agent = await host.startAgent({
    etcdEndpoints: "http://192.0.2.1:2379",
    ...options,
  });
  cleanup.use(agent);
  cleanup.defer(async () => void await agent.stop());
  return { host, agent };
}

/** Waits until a warning is shown. */
async function untilWarned({ agent }: Station, code: string): Promise<void> {
  await until(
    agent,
    `the warning ${code}`,
    ({ warnings }) =>
      warnings.some((each) => each.code === code && each.visible),
  );
}

async function until(
  agent: Agent,
  what: string,
  condition: (status: StatusSnapshot) => boolean,
): Promise<void> {
  await eventually(
    what,
    // Its socket is not there from the first moment.
    () => agent.status().catch(() => undefined),
    (status) => status !== undefined && condition(status),
    PATIENCE_MS,
  );
}
