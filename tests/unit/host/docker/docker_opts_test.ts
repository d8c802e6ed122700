import { assertEquals, assertThrows } from "@std/assert";
import {
  AGENT_CONTENT,
  type DockerOptsContent,
  findRouteAway,
  renderAgentDockerOpts,
  renderDockerOpts,
} from "../../../../host/docker/docker_opts.ts";
import { DockerOptsError } from "../../../../host/errors.ts";
import type { Route } from "../../../../linux/netlink/rtnetlink.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import { overlayMtu } from "../../../../net/mtu.ts";

const SUBNET_FILE = {
  FLANNEL_NETWORK: "10.1.0.0/16",
  FLANNEL_SUBNET: "10.1.74.1/24",
  FLANNEL_MTU: "1472",
  FLANNEL_IPMASQ: "true",
};
const BOTH: DockerOptsContent = {
  individual: true,
  combined: true,
  combinedKey: "DOCKER_OPTS",
  ipMasq: true,
};
const INDIVIDUAL = `DOCKER_OPT_BIP="--bip=10.1.74.1/24"
DOCKER_OPT_IPMASQ="--ip-masq=false"
DOCKER_OPT_MTU="--mtu=1472"
`;
const COMBINED = `" --bip=10.1.74.1/24 --ip-masq=false --mtu=1472"\n`;

Deno.test("both forms have the script's lines, order and spaces", () => {
  assertEquals(
    renderDockerOpts(SUBNET_FILE, BOTH),
    `${INDIVIDUAL}DOCKER_OPTS=${COMBINED}`,
  );
});

Deno.test("the individual form alone has no combined line", () => {
  const content = { ...BOTH, combined: false };
  assertEquals(renderDockerOpts(SUBNET_FILE, content), INDIVIDUAL);
});

Deno.test("the combined form alone is one line under the name asked for", () => {
  const content = { ...BOTH, individual: false, combinedKey: "X" };
  assertEquals(renderDockerOpts(SUBNET_FILE, content), `X=${COMBINED}`);
});

Deno.test("Docker masquerades exactly when the agent does not", () => {
  const content = { ...BOTH, combined: false };
  const line = (FLANNEL_IPMASQ: string) =>
    renderDockerOpts({ FLANNEL_IPMASQ }, content);
  assertEquals(line("false"), `DOCKER_OPT_IPMASQ="--ip-masq=true"\n`);
  assertEquals(line("true"), `DOCKER_OPT_IPMASQ="--ip-masq=false"\n`);
  assertEquals(line(""), "");
});

Deno.test("a FLANNEL_IPMASQ that is neither word is refused, unless it is left out", () => {
  const variables = { ...SUBNET_FILE, FLANNEL_IPMASQ: "yes" };
  assertThrows(
    () => renderDockerOpts(variables, BOTH),
    DockerOptsError,
    `must be true or false: current value is "yes"`,
  );
  assertEquals(
    renderDockerOpts(variables, { ...BOTH, individual: false, ipMasq: false }),
    `DOCKER_OPTS=" --bip=10.1.74.1/24 --mtu=1472"\n`,
  );
});

Deno.test("what the combined variable held before comes first, two spaces apart", () => {
  assertEquals(
    renderDockerOpts(
      { FLANNEL_MTU: "1472", DOCKER_OPTS: "--label=x" },
      { ...BOTH, individual: false },
    ),
    `DOCKER_OPTS="--label=x  --mtu=1472"\n`,
  );
});

Deno.test("other DOCKER_OPT_ variables are passed on in alphabetical order", () => {
  assertEquals(
    renderDockerOpts(
      {
        DOCKER_OPT_ZZ: "--debug --icc=false",
        DOCKER_OPT_AA: "--ipv6",
        DOCKER_OPT_MTU: "--mtu=9",
        FLANNEL_MTU: "1472",
        MY_DOCKER_OPT_X: "no",
      },
      BOTH,
    ),
    `DOCKER_OPT_AA="--ipv6"
DOCKER_OPT_MTU="--mtu=1472"
DOCKER_OPT_ZZ="--debug --icc=false"
DOCKER_OPTS=" --ipv6 --mtu=1472 --debug --icc=false"
`,
  );
});

Deno.test("without anything known the combined line is empty", () => {
  assertEquals(renderDockerOpts({}, BOTH), `DOCKER_OPTS=""\n`);
});

const ENV = {
  network: parseCidr("10.1.0.0/16")!,
  subnet: parseCidr("10.1.74.0/24")!,
  mtuBytes: overlayMtu(1472),
  ipMasq: true,
};

Deno.test("the agent's file has both forms and leaves DOCKER_OPTS to its owner", () => {
  assertEquals(
    renderAgentDockerOpts(ENV, {}),
    `${INDIVIDUAL}${AGENT_CONTENT.combinedKey}=${COMBINED}`,
  );
});

Deno.test("further options of Docker's stand in the agent's file in both forms", () => {
  assertEquals(
    renderAgentDockerOpts({ ...ENV, ipMasq: false }, {
      DOCKER_OPT_ALLOW_DIRECT_ROUTING: "--allow-direct-routing",
    }),
    `DOCKER_OPT_ALLOW_DIRECT_ROUTING="--allow-direct-routing"
DOCKER_OPT_BIP="--bip=10.1.74.1/24"
DOCKER_OPT_IPMASQ="--ip-masq=true"
DOCKER_OPT_MTU="--mtu=1472"
DOCKER_NETWORK_OPTIONS=" --allow-direct-routing --bip=10.1.74.1/24 --ip-masq=true --mtu=1472"
`,
  );
});

Deno.test("a route that takes the own subnet away over a gateway is found, a bridge's is not", () => {
  const subnet = parseCidr("10.1.74.0/24")!;
  const bridge: Route = {
    destination: subnet,
    type: "unicast",
    table: 254,
    interfaceIndex: 3,
    gateway: undefined,
    preferredSource: undefined,
    metric: 0,
    scope: "link",
    protocol: 2,
    mtuBytes: undefined,
    multipath: false,
  };
  const away = { ...bridge, gateway: parseIpv4("192.0.2.1") };
  const other = { ...away, destination: parseCidr("10.1.75.0/24")! };
  assertEquals(findRouteAway(subnet, [bridge, other]), undefined);
  assertEquals(findRouteAway(subnet, [bridge, other, away]), away);
});
