/**
 * An agent among fakes.
 *
 * @module
 */

import { Agent, type AgentComponents } from "../../../agent/agent.ts";
import type { Leftover } from "../../../backend/leftovers.ts";
import type { BackendConfig } from "../../../config/network/backend_spec.ts";
import type { HostFile } from "../../../agent/network/host_files.ts";
import type { UnderlayChoice } from "../../../agent/joining.ts";
import type { SubnetChangeOptions } from "../../../agent/changes/subnet_change.ts";
import type { ShellResult } from "../../../linux/shell_command.ts";
import type { SavedNetwork } from "../../../agent/membership.ts";
import type { AddressConflicts } from "../../../agent/network/address_conflicts.ts";
import { AgentState } from "../../../agent/status/state.ts";
import type { DockerLook } from "../../../host/docker/docker_watch.ts";
import type { LodenError } from "../../../errors.ts";
import { FirewallKeeper } from "../../../host/firewall/firewall_keeper.ts";
import type { UnderlayFinding } from "../../../host/underlay/underlay_look.ts";
import type { SysctlFinding } from "../../../host/sysctl_check.ts";
import { parseIpv4 } from "../../../net/ipv4.ts";
import { underlayMtu } from "../../../net/mtu.ts";
import {
  FakeBackend,
  type FakeBackendOptions,
} from "../../fakes/fake_backend.ts";
import { FakeClock } from "../../fakes/fake_clock.ts";
import { FakeFirewall } from "../../fakes/fake_firewall.ts";
import { FakeNftablesMonitor } from "../../fakes/fake_nftables_monitor.ts";
import { FakeMembership } from "../../fakes/fake_membership.ts";
import { FakeProbeNet } from "../../fakes/fake_probe_net.ts";
import { FakeRandom } from "../../fakes/fake_random.ts";
import { FakeEtcd, FakeRegistry } from "../../fakes/fake_registry.ts";
import { FakeRtnetlinkMonitor } from "../../fakes/fake_rtnetlink_monitor.ts";

export const CONFIG = '{ "Network": "10.1.0.0/16" }';
const SUBNET_FILE = "/run/flannel/subnet.env";
const DOCKER_FILE = "/run/flannel_docker_opts.env";

/** What a test can set before the agent starts, or change while it runs. */
export interface RigOptions {
  readonly ipMasq?: boolean;
  readonly forwardRules?: boolean;
  readonly blackholeRoute?: boolean;
  readonly takeOverDevices?: boolean;
  readonly formerBackends?: readonly BackendConfig[];
  readonly backend?: FakeBackendOptions;
  readonly saved?: SavedNetwork;
  readonly acquireDelay?: () => Promise<void>;
  readonly subnetChange?: Partial<SubnetChangeOptions>;
  /** None by default. */
  readonly probePort?: number;
}

export const underlay = {
  interfaceName: "eth0",
  interfaceIndex: 2,
  address: parseIpv4("192.0.2.11")!,
  publicIp: parseIpv4("192.0.2.11")!,
  mtuBytes: underlayMtu(1500),
  mac: new Uint8Array(6),
};

/** Records every call to every part, in order. */
export class AgentRig {
  readonly clock = new FakeClock();
  readonly etcd = new FakeEtcd(this.clock);
  readonly firewall = new FakeFirewall();
  readonly antiSpoofing = new FakeFirewall();
  /** The overlay's device, as the firewall was told, each time. */
  readonly setOverlayDevice: (string | undefined)[] = [];
  readonly probes = new FakeProbeNet();
  readonly calls: string[] = [];
  readonly backends: FakeBackend[] = [];
  readonly files = new Map<string, string>();
  readonly state: AgentState;
  readonly agent: Agent;
  membership!: FakeMembership;
  underlayError: (() => unknown) | undefined;
  underlayWarnings: UnderlayChoice["warnings"] = [];
  /** What a look at the underlay finds; `undefined`: it is as it was. */
  underlayFinding: UnderlayFinding | undefined;
  readonly monitor = new FakeRtnetlinkMonitor();
  fileError: (path: string) => unknown = () => undefined;
  footprintError: unknown;
  footprintDelay: () => Promise<void> = () => Promise.resolve();
  /** In the record of what the agent leaves. */
  recordedBackends: readonly string[] = [];
  networkError: unknown;
  isManagerDeaf = false;
  blackholeError: unknown;
  room: AddressConflicts = { overlaps: [], isServed: false };
  leftovers: readonly Leftover[] = [];
  backendRefusal: LodenError | undefined;
  sysctls: SysctlFinding[] = [];
  /** Tells the agent what a look at Docker has found. */
  onDockerLook: (look: DockerLook) => void = () => {};
  /** The devices of the looks at Docker that go on. */
  readonly dockerWatches: (string | undefined)[] = [];
  readonly #ending = new AbortController();
  readonly #options: RigOptions;
  #running: Promise<void> | undefined;

  constructor(options: RigOptions = {}) {
    this.#options = options;
    this.etcd.putConfig(CONFIG);
    this.state = new AgentState({
      version: "0.1.0",
      pid: 4711,
      instance: "coreos.com-network",
      etcdPrefix: "/coreos.com/network",
      etcdEndpoints: ["http://192.0.2.1:2379"],
    }, this.clock);
    this.agent = new Agent(this.parts(), {
      etcd: {
        etcdEndpoints: ["http://192.0.2.1:2379"],
        etcdPrefix: "/coreos.com/network",
        etcdCaFile: "",
        etcdCertFile: "",
        etcdKeyFile: "",
        etcdUsername: "",
        etcdPasswordFile: "",
      },
      network: {
        ipMasq: options.ipMasq ?? false,
        forwardRules: options.forwardRules ?? true,
        randomFully: true,
        antiSpoofing: true,
        blackholeRoute: options.blackholeRoute ?? false,
        formerNetwork: undefined,
        takeOverDevices: options.takeOverDevices ?? false,
        formerBackends: options.formerBackends ?? [],
      },
      probePort: options.probePort,
      subnetChange: {
        action: { kind: "continue" },
        formerSubnet: undefined,
        ...options.subnetChange,
      },
    });
  }

  /** Starts the agent, and lets it come as far as it can without time passing. */
  async start(): Promise<void> {
    this.#running = this.agent.run(this.#ending.signal);
    this.#running.catch(() => {});
    await this.settle();
  }

  /** How the run ended; pending while it has not. */
  get ended(): Promise<void> {
    return this.#running!;
  }

  /** Sends the agent its signal; resolves when it has stopped. */
  async stop(): Promise<void> {
    this.#ending.abort(new DOMException("SIGTERM", "AbortError"));
    await this.clock.advance(1_000);
    await this.ended;
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await this.clock.settle();
  }

  /** All parts of an agent, among fakes. */
  parts(): AgentComponents {
    const call = (name: string) => this.calls.push(name);
    const registry = new FakeRegistry(this.etcd);
    return {
      clock: this.clock,
      random: new FakeRandom(),
      state: this.state,
      registry: {
        readConfig: (signal) => {
          call("registry.readConfig");
          return registry.readConfig(signal);
        },
        watchConfig: (signal) => registry.watchConfig(signal),
        reconnect: () => call("registry.reconnect"),
        close: () => {
          call("registry.close");
          registry.close();
        },
      },
      createMembership: (events) => {
        this.membership = new FakeMembership(events, {
          clock: this.clock,
          onCall: call,
          ...this.#options.saved && { saved: this.#options.saved },
          ...this.#options.acquireDelay &&
            { acquireDelay: this.#options.acquireDelay },
        });
        return this.membership;
      },
      pickUnderlay: () => {
        call("underlay");
        const error = this.underlayError?.();
        if (error !== undefined) throw error;
        return { underlay, warnings: this.underlayWarnings };
      },
      underlayView: {
        openMonitor: () => this.monitor,
        look: (current) =>
          this.underlayFinding ?? { kind: "same", underlay: current },
        warnings: () => this.underlayWarnings,
      },
      refuseBackend: () => this.backendRefusal,
      createBackend: ({ backend: { type } }) => {
        const backend = new FakeBackend({
          ...this.#options.backend,
          type,
          onCall: call,
        });
        this.backends.push(backend);
        return backend;
      },
      containerBridges: () => ["docker0"],
      createFirewall: (_config, events, devices) => {
        const keeper = new FirewallKeeper({
          select: () =>
            Promise.resolve({
              firewall: this.firewall,
              antiSpoofing: this.antiSpoofing,
              reason: "a test",
              others: [],
              forDocker: [],
            }),
          clock: this.clock,
          ...devices,
          openMonitor: () => new FakeNftablesMonitor(),
        }, { resyncSeconds: 5, ...events });
        return {
          ensure: async (rules, signal) => {
            await keeper.ensure(rules, signal);
            call("firewall.set");
          },
          setOverlayDevices: (device) => this.setOverlayDevice.push(device),
          start: (signal) => keeper.start(signal),
          stop: () => keeper.stop(),
          status: () => keeper.status(),
        };
      },
      files: [
        this.#file(SUBNET_FILE, "files.subnet-env"),
        this.#file(DOCKER_FILE, "files.docker-opts"),
      ],
      ensureBlackholeRoute: () => {
        call("blackhole");
        if (this.blackholeError !== undefined) throw this.blackholeError;
      },
      removeBlackholeRoute: () => call("blackhole removed"),
      findAddressConflicts: () => this.room,
      findLeftovers: () => this.leftovers,
      removeLeftover: (leftover) => {
        call(`remove ${leftover.what}`);
        this.leftovers = this.leftovers.filter((each) => each !== leftover);
      },
      checkSysctls: () => this.sysctls,
      watchDocker: (overlay, onLook, signal) => {
        call(`docker of ${overlay.overlayDevice}`);
        this.onDockerLook = onLook;
        this.dockerWatches.push(overlay.overlayDevice);
        return this.clock.sleep(Number.MAX_SAFE_INTEGER, signal).catch(
          () => void this.dockerWatches.shift(),
        );
      },
      notifier: {
        ready: (status) => {
          if (this.isManagerDeaf) return false;
          call(`READY ${status}`);
          return true;
        },
        status: (text) => this.statuses.push(text) > 0,
        stopping: () => call("STOPPING"),
      },
      refuseNetworkOfOthers: () =>
        this.networkError === undefined
          ? Promise.resolve()
          : Promise.reject(this.networkError),
      runShell: (command, { env, signal }) => {
        call(`run ${command}`);
        this.commands.push({ command, env: { ...env } });
        return this.runCommand(signal);
      },
      probes: this.probes,
      saveFootprint: async ({ backends = [] }) => {
        call("footprint");
        await this.footprintDelay();
        if (this.footprintError !== undefined) throw this.footprintError;
        this.recordedBackends = backends.map(({ type }) => type);
      },
    };
  }

  /** A command of `--on-subnet-change` and what it is given. */
  readonly commands: { command: string; env: Record<string, string> }[] = [];
  runCommand: (signal: AbortSignal) => Promise<ShellResult> = () =>
    Promise.resolve({ code: 0, stdout: "", stderr: "" });

  /** Every STATUS text, in order. */
  readonly statuses: string[] = [];

  #file(path: string, warning: HostFile["warning"]): HostFile {
    return {
      path,
      warning,
      write: (env) => {
        const error = this.fileError(path);
        if (error !== undefined) return Promise.reject(error);
        this.calls.push(`write ${path}`);
        this.files.set(path, JSON.stringify(env));
        return Promise.resolve();
      },
    };
  }
}
