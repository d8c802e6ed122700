/**
 * The state of an agent that runs, for tests of what shows it.
 *
 * @module
 */

import type { BackendStatus } from "../../backend/backend.ts";
import { AgentState } from "../../agent/status/state.ts";
import type { PeerStatus } from "../../agent/status/status_snapshot.ts";
import { FakeClock } from "../fakes/fake_clock.ts";

/** Of the agent with process id 4711. */
export function newAgentState(clock = new FakeClock()): AgentState {
  return new AgentState({
    version: "0.1.0",
    pid: 4711,
    instance: "a",
    etcdPrefix: "/a",
    etcdEndpoints: ["http://192.0.2.1:2379"],
  }, clock);
}

/** Another host; its lease was confirmed and used two hours after midnight. */
export const PEER: PeerStatus = {
  subnet: "10.1.6.0/24",
  publicIp: "192.0.2.12",
  backendType: "udp",
  dataPath: "ebpf",
  stale: false,
  confirmed: "2026-01-01T02:00:00.000Z",
  since: "2026-01-01T02:00:00.000Z",
  probe: {
    state: "reachable",
    since: "2026-01-01T02:00:00.000Z",
    way: "udp",
    rttMs: 0.31,
    lossRatio: 0,
    mtuBytes: 1472,
    lastAnswer: "2026-01-01T05:00:00.000Z",
  },
};

const BACKEND: BackendStatus = {
  type: "udp",
  dataPath: "tun",
  reason: "the only one",
  details: { "receive on eth0": "direct", "attached by": "tcx" },
  device: "flannel0",
  peers: 1,
  counters: { "tx.packets": 3, "rx.drop.ttl": 0 },
};

/** The network of the agent is up, with every fact. */
export function bringUp(
  state: AgentState,
  peers: readonly PeerStatus[] = [PEER],
): AgentState {
  state.set({
    ready: true,
    network: "10.1.0.0/16",
    subnet: "10.1.5.0/24",
    underlay: {
      interface: "eth0",
      address: "10.0.0.5",
      publicIp: "192.0.2.11",
      mtuBytes: 1500,
    },
    overlay: { device: "flannel0", mtuBytes: 1472 },
    files: [{ path: "/run/x", written: true }, {
      path: "/run/y",
      written: false,
    }],
  });
  state.attach({
    backend: () => BACKEND,
    backendRestarts: () => 2,
    peerCount: () => peers.length,
    peerStates: () =>
      peers.map(({ probe, stale, subnet }) => ({
        subnet,
        stale,
        probe: probe === null ? undefined : {
          state: probe.state,
          rttMs: probe.rttMs ?? undefined,
          lossRatio: probe.lossRatio ?? undefined,
          mtuBytes: probe.mtuBytes ?? undefined,
          answerAgeMs: probe.lastAnswer === null
            ? undefined
            : Date.parse(state.summary().time) - Date.parse(probe.lastAnswer),
        },
      })),
    peers: () => peers,
  });
  state.enter("running");
  return state;
}
