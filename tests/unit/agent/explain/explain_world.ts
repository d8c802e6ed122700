/**
 * Two hosts on which nothing is wrong: 192.0.2.11 with 10.1.5.0/24 and 192.0.2.12
 * with 10.1.7.0/24, each with a container.
 *
 * @module
 */

import { answerQuestion } from "../../../../agent/explain/answer.ts";
import {
  explain,
  type PacketSender,
} from "../../../../agent/explain/explain.ts";
import type { Flow } from "../../../../agent/explain/flow.ts";
import { seen } from "../../../../agent/explain/fact.ts";
import { gatherHost } from "../../../../agent/explain/gather_host.ts";
import {
  type SidedFinding,
  type Verdict,
  verdictOf,
} from "../../../../agent/explain/verdict.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { formatIpv4, type Ipv4, parseIpv4 } from "../../../../net/ipv4.ts";
import { FakeHostReader } from "../../../fakes/fake_host_reader.ts";
import { bringUp, newAgentState, PEER } from "../../../support/agent_state.ts";

/** One of the two. */
export interface WorldHost {
  readonly publicIp: string;
  readonly subnet: string;
  readonly container: string;
}

export const HERE: WorldHost = {
  publicIp: "192.0.2.11",
  subnet: "10.1.5.0/24",
  container: "10.1.5.2",
};
export const THERE: WorldHost = {
  publicIp: "192.0.2.12",
  subnet: "10.1.7.0/24",
  container: "10.1.7.2",
};

export const ip = (text: string): Ipv4 => parseIpv4(text)!;

export const FLOW: Flow = {
  source: ip(HERE.container),
  destination: ip(THERE.container),
  protocol: 1,
  sizeBytes: 84,
};

/** The host `own` beside `other`. */
export function healthyHost(own: WorldHost, other: WorldHost): FakeHostReader {
  const reader = new FakeHostReader();
  const { kernel } = reader;
  const eth0 = kernel.addLink({ name: "eth0", up: true });
  kernel.addAddress(eth0.index, `${own.publicIp}/24`);
  const flannel0 = kernel.addLink({
    name: "flannel0",
    up: true,
    kind: "veth",
    mtuBytes: 1472,
  });
  kernel.addAddress(flannel0.index, own.subnet.replace("/24", "/32"));
  kernel.addRoute({
    destination: parseCidr(other.subnet)!,
    interfaceIndex: flannel0.index,
  });
  kernel.addRoute({
    destination: parseCidr("10.1.0.0/16")!,
    type: "unreachable",
    metric: 0x1000_0000,
  });
  const docker0 = kernel.addLink({
    name: "docker0",
    up: true,
    kind: "bridge",
    mtuBytes: 1472,
  });
  kernel.addAddress(docker0.index, own.subnet.replace("0/24", "1/24"));
  kernel.learnt.push({
    interfaceIndex: eth0.index,
    address: ip(other.publicIp),
    state: "reachable",
    mac: Uint8Array.of(2, 0, 0, 0, 0, 9),
  });
  for (const device of ["eth0", "flannel0", "docker0"]) {
    reader.settings.set(`net/ipv4/conf/${device}/forwarding`, "1");
  }
  reader.settings.set("net/ipv4/ip_forward", "1");
  const state = bringUp(newAgentState(), [{ ...PEER, ...other }]);
  reader.snapshot = {
    ...state.snapshot(),
    subnet: own.subnet,
    underlay: {
      interface: "eth0",
      address: own.publicIp,
      publicIp: own.publicIp,
      mtuBytes: 1500,
    },
  };
  reader.left = {
    network: parseCidr("10.1.0.0/16")!,
    subnet: parseCidr(own.subnet)!,
    files: [],
    firewall: {
      masquerade: true,
      forward: true,
      randomFully: true,
      enableNftables: false,
    },
  };
  reader.inspection = {
    findings: [{ stage: "program", outcome: "ok", text: "it is attached" }],
    checksSenders: true,
  };
  reader.containers.set(ip(own.container), {
    container: {
      pid: 812,
      name: "web",
      inside: seen({
        route: {
          kind: "found",
          answer: {
            interfaceIndex: 2,
            gateway: ip(own.subnet.replace("0/24", "1")),
            source: ip(own.container),
            mtuBytes: undefined,
          },
        },
        mtuBytes: 1472,
        deviceName: "eth0",
        isUp: true,
      }),
    },
    isComplete: true,
  });
  return reader;
}

/** What may be broken. */
export interface World {
  readonly here: FakeHostReader;
  readonly there: FakeHostReader;
  /** Whether the question arrives. */
  isConnected: boolean;
  sender: PacketSender | undefined;
}

export function healthyWorld(): World {
  return {
    here: healthyHost(HERE, THERE),
    there: healthyHost(THERE, HERE),
    isConnected: true,
    sender: undefined,
  };
}

/** Where a packet ends, and all that was found. */
export async function explainWorld(
  { here, isConnected, sender, there }: World,
  flow: Partial<Flow> = {},
): Promise<Verdict & { readonly findings: readonly SidedFinding[] }> {
  const { signal } = new AbortController();
  const findings = await explain(
    {
      reader: here,
      askPeer: (peer, question) =>
        isConnected && formatIpv4(peer.publicIp) === THERE.publicIp
          ? answerQuestion(
            there,
            question,
            { subnet: parseCidr(HERE.subnet)! },
            1_186,
          )
          : Promise.resolve(undefined),
      ...sender && { sender },
    },
    await gatherHost(here),
    { ...FLOW, ...flow },
    signal,
  );
  return { ...verdictOf(findings), findings };
}
