/**
 * The units, their order and what Docker's unit is given.
 *
 * @module
 */

import { CommandMissingError } from "../../../linux/command.ts";
import { type Cidr, contains } from "../../../net/cidr.ts";
import type { Check, DoctorHost } from "../check.ts";
import { type Finding, findingOn, type FindingsOn } from "../finding.ts";

const UNITS = ["loden.service", "docker.service", "flanneld.service"] as const;
const PROPERTIES = [
  "Id",
  "LoadState",
  "ActiveState",
  "UnitFileState",
  "NeedDaemonReload",
  "After",
  "ExecStart",
];

type Properties = ReadonlyMap<string, string>;

/** See the module. */
export const systemdCheck: Check = {
  name: "systemd",
  run: async (host, signal) => {
    const units = await readUnits(host, signal);
    if (typeof units === "string") {
      return [findingOn("systemd.manager", "systemd").note(units)];
    }
    const [loden, docker, flanneld] = units;
    const isInstalled = isLoaded(loden);
    const { subnetEnv } = await host.network(signal);
    const isBeside = hasOtherBridge(host, subnetEnv.subnet);
    return [
      ...lodenUnit(loden),
      ...isInstalled && isLoaded(docker) ? dockerUnit(docker, isBeside) : [],
      ...flanneldUnit(flanneld),
    ];
  },
};

/** Or why there are none. */
async function readUnits(
  { exists, runner }: DoctorHost,
  signal: AbortSignal,
): Promise<[Properties, Properties, Properties] | string> {
  // sd_booted(3)
  if (!exists("/run/systemd/system")) return "does not run here";
  const words = ["show", `--property=${PROPERTIES.join(",")}`, ...UNITS];
  try {
    const result = await runner.run("systemctl", words, { signal });
    if (result.code !== 0) {
      return `cannot be asked: ${result.stderr.trim().split("\n")[0]}`;
    }
    const [first, second, third] = parseUnits(result.stdout);
    return first && second && third
      ? [first, second, third]
      : "cannot be asked: its answer is not complete";
  } catch (error) {
    if (error instanceof CommandMissingError) return error.message;
    throw error;
  }
}

/** One block for each unit, `NAME=VALUE` a line, with an empty line between. */
function parseUnits(text: string): Properties[] {
  return text.trim().split(/\n\n+/).map((block) =>
    new Map(
      block.split("\n").map((line) => {
        const at = line.indexOf("=");
        return [line.slice(0, at), line.slice(at + 1)] as const;
      }),
    )
  );
}

function isLoaded(unit: Properties): boolean {
  return unit.get("LoadState") === "loaded";
}

function lodenUnit(unit: Properties): Finding[] {
  const fact = findingOn("systemd.loden", "loden.service");
  if (!isLoaded(unit)) return [fact.note("is not installed")];
  const active = unit.get("ActiveState") ?? "";
  const file = unit.get("UnitFileState") ?? "";
  const findings: Finding[] = [];
  if (active === "failed") {
    findings.push(fact.problem("has failed", "journalctl -u loden -e"));
  }
  if (file === "disabled" || file === "masked") {
    findings.push(
      fact.warning(
        `is ${file}: the network does not start at boot`,
        file === "masked"
          ? "systemctl unmask loden && systemctl enable loden"
          : "systemctl enable loden",
      ),
    );
  }
  findings.push(...reload(unit, fact));
  return findings.length > 0 ? findings : [fact.ok(`${file}, ${active}`)];
}

/** Names that the options file gives Docker's options. */
const OPTIONS = /\$\{?(DOCKER_OPT_BIP|DOCKER_NETWORK_OPTIONS|DOCKER_OPTS)\b/;

/** A network of its own on the lease needs none of Docker's unit. */
function hasOtherBridge(
  { rtnetlink }: DoctorHost,
  subnet: Cidr | undefined,
): boolean {
  if (subnet === undefined) return false;
  const holders = rtnetlink.addresses()
    .filter(({ address }) => contains(subnet, address))
    .map(({ interfaceIndex }) => interfaceIndex);
  return rtnetlink.links().some(({ index, kind, name }) =>
    kind === "bridge" && name !== "docker0" && holders.includes(index)
  );
}

function dockerUnit(unit: Properties, isBeside: boolean): Finding[] {
  const fact = findingOn("systemd.docker", "docker.service");
  const after = (unit.get("After") ?? "").split(" ");
  const isOrdered = ["loden.service", "flanneld.service"]
    .some((name) => after.includes(name));
  const hasOptions = OPTIONS.test(unit.get("ExecStart") ?? "");
  const faults = [
    ...isOrdered ? [] : [
      "is not ordered after loden.service, so it may start " +
      "before the lease is known",
    ],
    ...hasOptions
      ? []
      : ["starts dockerd without the options that the agent writes"],
  ];
  const findings = reload(unit, fact);
  if (faults.length > 0) {
    findings.unshift(
      fact[isBeside ? "note" : "warning"](
        faults.join(", and "),
        isBeside
          ? undefined
          : isOrdered
          ? "systemctl cat docker, and in the last drop-in that sets " +
            "ExecStart= keep $DOCKER_OPT_BIP $DOCKER_OPT_MTU $DOCKER_OPT_IPMASQ"
          : DROP_IN,
      ),
    );
  }
  return findings.length > 0
    ? findings
    : [fact.ok("starts after the agent, with its options")];
}

/** `packaging/systemd/docker.service.d/50-loden.conf`, without its comments. */
export const DOCKER_DROP_IN: readonly string[] = [
  "[Unit]",
  "After=loden.service",
  "[Service]",
  "EnvironmentFile=-/run/flannel_docker_opts.env",
  "ExecStart=",
  "ExecStart=dockerd -H fd:// --containerd=/run/containerd/containerd.sock " +
  "$DOCKER_OPTS $DOCKER_OPT_BIP $DOCKER_OPT_MTU $DOCKER_OPT_IPMASQ " +
  "$DOCKER_OPT_ALLOW_DIRECT_ROUTING $DOCKER_OPT_BRIDGE_ACCEPT_FWMARK",
];

const DROP_IN_DIRECTORY = "/etc/systemd/system/docker.service.d";
const DROP_IN =
  `mkdir -p ${DROP_IN_DIRECTORY} && printf '%s\\n' ${
    DOCKER_DROP_IN.map((line) => `'${line}'`).join(" ")
  } >${DROP_IN_DIRECTORY}/50-loden.conf && systemctl daemon-reload && ` +
  "systemctl restart docker";

function reload(
  unit: Properties,
  fact: FindingsOn,
): Finding[] {
  if (unit.get("NeedDaemonReload") !== "yes") return [];
  return [
    fact.warning(
      "has changed on disk since systemd read it",
      "systemctl daemon-reload",
    ),
  ];
}

/** As an alias of loden.service it is Loden. */
function flanneldUnit(unit: Properties): Finding[] {
  const isAlias = unit.get("Id") === "loden.service";
  if (isAlias || !isLoaded(unit)) return [];
  const isUsed = unit.get("UnitFileState") === "enabled" ||
    unit.get("ActiveState") === "active";
  const fact = findingOn("systemd.flanneld", "flanneld.service");
  return [
    isUsed
      ? fact.warning(
        "is flannel's own and starts beside Loden",
        "systemctl disable --now flanneld",
      )
      : fact.note("is flannel's own, and disabled"),
  ];
}
