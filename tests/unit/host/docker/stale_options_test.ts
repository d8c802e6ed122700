import { assertEquals, assertStringIncludes } from "@std/assert";
import { checkStaleOptions } from "../../../../host/docker/stale_options.ts";
import { parseCidr } from "../../../../net/cidr.ts";

const context = {
  network: parseCidr("10.1.0.0/16")!,
  subnet: parseCidr("10.1.5.0/24")!,
  subnetFile: "/run/other.env",
};

Deno.test("a file that names another host's subnet is stale, and one command writes it again", () => {
  const text = 'DOCKER_OPT_BIP="--bip=10.1.9.1/24"\n';
  const problem = checkStaleOptions(text, context);
  assertEquals(problem?.code, "docker.options-stale");
  assertStringIncludes(problem!.text, "--bip=10.1.9.1/24");
  assertEquals(
    problem?.fix,
    "loden docker-opts -i -c -f /run/other.env -d /run/flannel_docker_opts.env",
  );
});

for (
  const text of [
    'DOCKER_OPT_BIP="--bip=10.1.5.1/24"\n',
    'DOCKER_OPT_BIP="--bip=10.2.9.1/24"\n',
    "DOCKER_OPT_MTU=--mtu=1472\n",
    "",
  ]
) {
  Deno.test(`a file is not stale when it says ${JSON.stringify(text)}`, () => {
    assertEquals(checkStaleOptions(text, context), undefined);
  });
}
