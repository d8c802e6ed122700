import { assertEquals, assertRejects } from "@std/assert";
import { LodenError } from "../../../../errors.ts";
import { NO_DAEMON_CONFIG } from "../../../../host/docker/daemon_config.ts";
import type { DockerProblem } from "../../../../host/docker/docker_problem.ts";
import {
  type DockerLook,
  watchDocker,
} from "../../../../host/docker/docker_watch.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeRtnetlink } from "../../../fakes/fake_rtnetlink.ts";

const DROPS: DockerProblem = {
  code: "docker.drops-overlay",
  text: "dropped",
  fix: "mend",
};

/** A host whose Docker a test changes while it is watched. */
class Watched {
  readonly clock = new FakeClock();
  readonly rtnetlink = new FakeRtnetlink();
  readonly looks: DockerLook[] = [];
  engineRuns = true;
  /** What each look at the rules finds, in turn; nothing after the last. */
  drops: (DockerProblem | undefined)[] = [];
  error: Error | undefined;
  readonly #end = new AbortController();
  /** Resolves when the watch is over. */
  readonly running: Promise<void>;

  constructor() {
    this.running = watchDocker(
      {
        clock: this.clock,
        rtnetlink: this.rtnetlink,
        isEngineRunning: async () => {
          await Promise.resolve();
          if (this.error !== undefined) throw this.error;
          return this.engineRuns;
        },
        readConfig: () => Promise.resolve(NO_DAEMON_CONFIG),
        findDrops: () => Promise.resolve(this.drops.shift()),
        checkStaleOptions: () => undefined,
      },
      {
        network: parseCidr("10.1.0.0/16")!,
        subnet: parseCidr("10.1.5.0/24")!,
        forward: true,
        masquerade: true,
        overlayDevice: "flannel0",
        directDevices: () => [],
      },
      (look) => this.looks.push(look),
      this.#end.signal,
    );
    this.running.catch(() => {});
  }

  get codes(): string[] | undefined {
    return this.looks.at(-1)?.problems.map(({ code }) => code);
  }

  addBridge(address: string): void {
    const { index } = this.rtnetlink.addLink({
      name: "docker0",
      kind: "bridge",
    });
    this.rtnetlink.addAddress(index, address);
  }

  async end(): Promise<void> {
    this.#end.abort();
    await this.running;
  }
}

Deno.test("a daemon is seen when it starts, and gone when it ends", async () => {
  const host = new Watched();
  host.engineRuns = false;
  await host.clock.settle();
  assertEquals(host.looks, [{ status: undefined, problems: [] }]);
  host.engineRuns = true;
  host.addBridge("10.1.5.1/24");
  await host.clock.advance(10_000);
  assertEquals(host.looks.at(-1)?.status, {
    version: null,
    bridge: "docker0 10.1.5.1/24",
    firewall: null,
  });
  host.engineRuns = false;
  await host.clock.advance(10_000);
  assertEquals(host.looks.at(-1)?.status, undefined);
  await host.end();
});

Deno.test("a bridge elsewhere is reported while a daemon runs, but not one that Docker left behind", async () => {
  const host = new Watched();
  host.addBridge("172.17.0.1/16");
  await host.clock.advance(10_000);
  assertEquals(host.codes, ["docker.bridge-elsewhere"]);
  host.engineRuns = false;
  await host.clock.advance(10_000);
  assertEquals(host.codes, []);
  await host.end();
});

Deno.test("a bridge that moves to the lease is seen within a second", async () => {
  const host = new Watched();
  host.addBridge("172.17.0.1/16");
  await host.clock.settle();
  assertEquals(host.codes, ["docker.bridge-elsewhere"]);
  host.addBridge("10.1.5.1/24");
  await host.clock.advance(1_000);
  assertEquals(host.codes, []);
  const { length } = host.looks;
  await host.clock.advance(9_000);
  assertEquals(host.looks.length, length);
  await host.end();
});

Deno.test("drops that are gone two seconds later are those of a Docker that starts", async () => {
  const host = new Watched();
  host.addBridge("10.1.5.1/24");
  host.drops = [DROPS, undefined];
  await host.clock.advance(2_000);
  assertEquals(host.codes, []);
  host.drops = [DROPS, DROPS];
  await host.clock.advance(12_000);
  assertEquals(host.codes, ["docker.drops-overlay"]);
  await host.end();
});

Deno.test("a failed check reports nothing, and the next one does", async () => {
  const host = new Watched();
  host.error = new LodenError("firewall.refused", "refused");
  await host.clock.advance(20_000);
  assertEquals(host.looks, []);
  host.error = undefined;
  await host.clock.advance(10_000);
  assertEquals(host.looks.length, 1);
  await host.end();
});

Deno.test("a defect ends the watch instead of hiding in it", async () => {
  const host = new Watched();
  host.error = new TypeError("a defect");
  await assertRejects(() => host.running, TypeError, "a defect");
});
