import { assertEquals } from "@std/assert";
import {
  planDockerPass,
  planDockerPassRemoval,
} from "../../../../host/firewall/docker_pass_plan.ts";
import type { FirewallRules } from "../../../../host/firewall/firewall.ts";
import { parseIptablesSave } from "../../../../host/firewall/iptables_text.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { RULES } from "../../../contract/firewall_contract.ts";

const WITH_DEVICE: FirewallRules = { ...RULES, overlayDevice: "flannel0" };
const ACCEPT = `-s 10.1.0.0/16 -d 10.1.27.0/24 -i flannel0 ` +
  `-m comment --comment "loden docker" -j ACCEPT`;
const JUMP = `-m comment --comment "loden docker" -j LODEN-DOCKER`;

/** Docker's rules as iptables-save prints them; parts may be replaced. */
function host(
  { raw = "", user = "", docker = "! -i docker0 -o docker0" } = {},
) {
  const lines = (chain: string, rules: string) =>
    rules.split("\n").filter((rule) => rule !== "")
      .map((rule) => `-A ${chain} ${rule}\n`).join("");
  return parseIptablesSave(`*raw
:PREROUTING ACCEPT [0:0]
${lines("PREROUTING", raw)}COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
${lines("DOCKER", docker && `${docker} -j DROP`)}${
    lines("DOCKER-USER", user)
  }COMMIT
`);
}

Deno.test("Docker 28's drops are passed ahead of them, behind the administrator's rules", () => {
  const { script } = planDockerPass(
    host({
      raw: "-s 192.0.2.7/32 -j DROP\n" +
        "-d 10.1.27.2/32 ! -i docker0 -j DROP\n" +
        "-d 10.1.27.3/32 ! -i docker0 -j DROP",
      user: "-s 10.1.66.0/24 -j DROP\n-j RETURN",
    }),
    WITH_DEVICE,
  );
  assertEquals(
    script,
    `*raw
:LODEN-DOCKER - [0:0]
-A LODEN-DOCKER ${ACCEPT}
-I PREROUTING 2 ${JUMP}
COMMIT
*filter
:LODEN-DOCKER - [0:0]
-A LODEN-DOCKER ${ACCEPT}
-I DOCKER-USER 2 ${JUMP}
COMMIT
`,
  );
});

Deno.test("without encapsulation the source's route decides, which the table raw looks up for both", () => {
  const from = "-s 10.1.0.0/16 -d 10.1.27.0/24 -i eth0";
  const comment = `-m comment --comment "loden docker"`;
  const mark = `-A LODEN-DOCKER ${from} -m rpfilter ${comment} ` +
    "-j MARK --set-xmark 0x1000000/0x1000000";
  const accept = `-A LODEN-DOCKER ${from} -m mark --mark 0x1000000/0x1000000 ` +
    `${comment} -j ACCEPT`;
  const { script } = planDockerPass(host(), {
    ...RULES,
    directDevices: ["eth0"],
  });
  assertEquals(script.match(/^-A LODEN-DOCKER.*/gm), [mark, accept, accept]);
});

Deno.test("the drops of 28.0, one for each port, count too; another subnet's do not", () => {
  const { script } = planDockerPass(
    host({
      raw: "-d 172.18.0.2/32 ! -i br-1 -j DROP\n" +
        "-d 10.1.27.2/32 ! -i docker0 -p tcp -m tcp --dport 80 -j DROP",
    }),
    WITH_DEVICE,
  );
  assertEquals(
    script.match(/^-I PREROUTING.*/m)?.[0],
    `-I PREROUTING 2 ${JUMP}`,
  );
  assertEquals(
    script.match(/^-A DOCKER-USER.*/m)?.[0],
    `-A DOCKER-USER ${JUMP}`,
  );
});

Deno.test("a Docker before 28 is left alone, and so is a host without Docker", () => {
  const before = host({ docker: "", user: "-j RETURN" });
  assertEquals(planDockerPass(before, WITH_DEVICE).script, "");
  assertEquals(planDockerPass(new Map(), WITH_DEVICE).script, "");
});

Deno.test("without a device, or with --iptables-forward-rules=false, nothing is passed", () => {
  assertEquals(planDockerPass(host(), RULES).script, "");
  assertEquals(
    planDockerPass(host(), { ...WITH_DEVICE, forward: false }).script,
    "",
  );
});

Deno.test("a table that Docker has not loaded is not loaded", () => {
  const tables = host();
  tables.delete("raw");
  assertEquals(planDockerPass(tables, WITH_DEVICE).script.match(/^\*.*/gm), [
    "*filter",
  ]);
});

const settled = (over: { raw?: string; user?: string } = {}) => {
  const tables = host({
    raw: `${JUMP}\n-d 10.1.27.2/32 ! -i docker0 -j DROP`,
    user: `${JUMP}\n-j RETURN`,
    ...over,
  });
  for (const table of ["raw", "filter"]) {
    tables.set(
      table,
      new Map([...tables.get(table)!, ["LODEN-DOCKER", [ACCEPT]]]),
    );
  }
  return tables;
};

Deno.test("rules that are in place stay", () => {
  assertEquals(planDockerPass(settled(), WITH_DEVICE).lines, []);
});

Deno.test("a call that has got behind Docker's rules, or is there twice, is moved", () => {
  const behind = `-d 10.1.27.2/32 ! -i docker0 -j DROP\n${JUMP}`;
  assertEquals(
    planDockerPass(settled({ raw: behind }), WITH_DEVICE).script,
    `*raw\n-D PREROUTING ${JUMP}\n-I PREROUTING 1 ${JUMP}\nCOMMIT\n`,
  );
  const twice = `${JUMP}\n${JUMP}\n-j RETURN`;
  assertEquals(
    planDockerPass(settled({ user: twice }), WITH_DEVICE).script,
    `*filter\n-D DOCKER-USER ${JUMP}\n-D DOCKER-USER ${JUMP}\n` +
      `-I DOCKER-USER 1 ${JUMP}\nCOMMIT\n`,
  );
});

Deno.test("a new subnet takes the old one's place, and another network's rule stays", () => {
  const tables = settled();
  const foreign = ACCEPT.replaceAll("10.1.", "10.2.");
  for (const table of ["raw", "filter"]) {
    (tables.get(table) as Map<string, string[]>)
      .set("LODEN-DOCKER", [ACCEPT, foreign]);
  }
  const { script } = planDockerPass(tables, {
    ...WITH_DEVICE,
    subnet: parseCidr("10.1.28.0/24")!,
  });
  assertEquals(
    script.match(/^-A LODEN-DOCKER -s \S+ -d \S+/gm)?.slice(0, 2),
    [
      "-A LODEN-DOCKER -s 10.2.0.0/16 -d 10.2.27.0/24",
      "-A LODEN-DOCKER -s 10.1.0.0/16 -d 10.1.28.0/24",
    ],
  );
  const removal = planDockerPassRemoval(tables, RULES.network);
  assertEquals(
    removal.lines,
    ["raw", "filter"].map((table) =>
      `${table}: write chain LODEN-DOCKER, 1 rules (1 not of this network)`
    ),
  );
});

Deno.test("the last rule's removal takes the chains and the calls along", () => {
  for (const network of [RULES.network, undefined]) {
    const { script } = planDockerPassRemoval(settled(), network);
    assertEquals(
      script,
      ["raw PREROUTING", "filter DOCKER-USER"].map((place) => {
        const [table, parent] = place.split(" ");
        return `*${table}\n:LODEN-DOCKER - [0:0]\n-D ${parent} ${JUMP}\n` +
          "-X LODEN-DOCKER\nCOMMIT\n";
      }).join(""),
    );
  }
});
