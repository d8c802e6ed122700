import { assertEquals } from "@std/assert";
import { checkBridges } from "../../../../host/docker/bridge_fit.ts";
import {
  NO_DAEMON_CONFIG,
  parseDaemonConfig,
} from "../../../../host/docker/daemon_config.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { FakeRtnetlink } from "../../../fakes/fake_rtnetlink.ts";

const network = parseCidr("10.1.0.0/16")!;
const subnet = parseCidr("10.1.5.0/24")!;

/** Judges bridges that are given as `NAME ADDRESS/LENGTH`. */
function judge(bridges: readonly string[], config = NO_DAEMON_CONFIG) {
  const rtnetlink = new FakeRtnetlink();
  for (const text of bridges) {
    const [name, address] = text.split(" ") as [string, string];
    const { index } = rtnetlink.addLink({ name, kind: "bridge" });
    rtnetlink.addAddress(index, address);
  }
  return checkBridges(
    { network, subnet, config },
    rtnetlink.links(),
    rtnetlink.addresses(),
  );
}

for (
  const { title, bridges, onLease, code, fix } of [
    {
      title: "docker0 on the lease is as it should be",
      bridges: ["docker0 10.1.5.1/24"],
      onLease: "docker0 10.1.5.1/24",
    },
    {
      title: "another network's bridge on the lease is enough",
      bridges: ["docker0 172.17.0.1/16", "loden0 10.1.5.1/24"],
      onLease: "loden0 10.1.5.1/24",
    },
    {
      title: "a bridge on a part of the lease is enough",
      bridges: ["docker0 10.1.5.129/25"],
      onLease: "docker0 10.1.5.129/25",
    },
    {
      title: "without any bridge there is nothing to say",
      bridges: [],
    },
    {
      title: "a docker0 of Docker's own choice is elsewhere",
      bridges: ["docker0 172.17.0.1/16"],
      code: "docker.bridge-elsewhere",
      fix: "systemctl restart docker",
    },
    {
      title: "a docker0 on another host's subnet is foreign",
      bridges: ["docker0 10.1.9.1/24"],
      code: "docker.bridge-foreign",
      fix: "systemctl restart docker",
    },
    {
      title: "a docker0 that is wider than the lease is foreign",
      bridges: ["docker0 10.1.5.1/16"],
      code: "docker.bridge-foreign",
      fix: "systemctl restart docker",
    },
    {
      title: "a network of Docker's on another host's subnet has to go",
      bridges: ["docker0 10.1.5.1/24", "br-0123456789ab 10.1.7.1/24"],
      onLease: "docker0 10.1.5.1/24",
      code: "docker.bridge-foreign",
      fix: "docker network rm 0123456789ab",
    },
    {
      title: "another program's bridge has to give its address back",
      bridges: ["docker0 10.1.5.1/24", "lab0 10.1.7.1/24"],
      onLease: "docker0 10.1.5.1/24",
      code: "docker.bridge-foreign",
      fix: "ip address del 10.1.7.1/24 dev lab0",
    },
  ]
) {
  Deno.test(title, () => {
    const fit = judge(bridges);
    assertEquals(fit.onLease, onLease);
    assertEquals(fit.problem?.code, code);
    assertEquals(fit.problem?.fix, fix);
  });
}

Deno.test("what daemon.json has of the options is named, since Docker refuses them in two places", () => {
  const config = parseDaemonConfig('{ "mtu": 1400, "bip": "172.17.0.1/16" }');
  const { problem } = judge(["docker0 172.17.0.1/16"], config);
  assertEquals(
    problem?.fix,
    'remove "bip" and "mtu" from /etc/docker/daemon.json, then systemctl ' +
      "restart docker",
  );
});
