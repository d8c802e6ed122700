/**
 * All commands. Help, completion and dispatch use this table.
 *
 * @module
 */

import { AGENT_FLAGS } from "../config/flags.ts";
import type { CommandEntry } from "./command.ts";
import {
  agentFlags,
  ANONYMIZE_FLAG,
  APPLY_DRY_RUN_FLAG,
  ARCHIVE_FLAG,
  CHECK_FLAG,
  DRY_RUN_FLAG,
  ETCD_FLAG_NAMES,
  FORCE_FLAG,
  JSON_FLAG,
  OUTPUT_FLAG,
  PCAP_FLAG,
  PEER_FLAG,
  PORT_FLAG,
  PROTO_FLAG,
  REASON_FLAG,
  ROOT_FLAG,
  RUN_FLAG,
  SEND_FLAG,
  SIZE_FLAG,
  STATE_FLAG,
  WAIT_FLAG,
  WATCH_FLAG,
  WEB_FLAG,
} from "./flags.ts";

/** Which agent, and where it runs. */
const PLACE = agentFlags(["etcd-prefix", "run-dir", "config"]);
const PLACE_AND_STATE = agentFlags([
  "etcd-prefix",
  "run-dir",
  "state-dir",
  "config",
]);

/** In the order of `loden help`. */
export const commandTable: readonly CommandEntry[] = [
  {
    name: "agent",
    synopsis: "[FLAG]...",
    help: "run the agent, with flanneld's flags; the default command",
    flags: AGENT_FLAGS,
    load: () => import("./agent/agent.ts"),
  },
  {
    name: "status",
    synopsis:
      "[--json|--watch|--check=WORD|--web] [--wait[=DURATION]] [FLAG]...",
    help: "show the state of the running agent",
    flags: [JSON_FLAG, WATCH_FLAG, WAIT_FLAG, CHECK_FLAG, WEB_FLAG, ...PLACE],
    load: () => import("./status/status.ts"),
  },
  {
    name: "metrics",
    synopsis: "[--output=FILE] [FLAG]...",
    help: "print the metrics of the running agent, for a file collector",
    flags: [OUTPUT_FLAG, ...PLACE],
    load: () => import("./metrics/metrics.ts"),
  },
  {
    name: "doctor",
    synopsis: "[--json] [FLAG]...",
    help: "check this host, etcd and Docker, before or after a start",
    flags: [JSON_FLAG, ...AGENT_FLAGS],
    load: () => import("./doctor/doctor.ts"),
  },
  {
    name: "explain",
    synopsis:
      "[--proto=WORD] [--port=N] [--size=N] [--send] [--json] [FLAG]... FROM TO",
    help:
      "say what happens to a packet between two containers or hosts, and why",
    flags: [
      PROTO_FLAG,
      PORT_FLAG,
      SIZE_FLAG,
      SEND_FLAG,
      JSON_FLAG,
      ...PLACE_AND_STATE,
    ],
    load: () => import("./explain/explain.ts"),
  },
  {
    name: "monitor",
    synopsis: "[--peer=HOST] [--reason=LIST] [--json] [--pcap=FILE] [FLAG]...",
    help: "show dropped packets and changes as they happen",
    flags: [JSON_FLAG, PEER_FLAG, REASON_FLAG, PCAP_FLAG, ...PLACE],
    load: () => import("./monitor/monitor.ts"),
  },
  {
    name: "config show",
    synopsis: "[--json] [FLAG]...",
    help: "show every setting and where its value comes from",
    flags: [JSON_FLAG, ...AGENT_FLAGS],
    load: () => import("./config/config_show.ts"),
  },
  {
    name: "config get",
    synopsis: "[FLAG]...",
    help: "print the network config that is in etcd",
    flags: agentFlags(ETCD_FLAG_NAMES),
    load: () => import("./config/config_get.ts"),
  },
  {
    name: "config put",
    synopsis: "[--force] [FLAG]... JSON",
    help: "check a network config and publish it in etcd",
    flags: [FORCE_FLAG, ...agentFlags(ETCD_FLAG_NAMES)],
    load: () => import("./config/config_put.ts"),
  },
  {
    name: "cloud-config apply",
    synopsis: "[--root=DIR] [--dry-run] FILE",
    help: "apply a CoreOS cloud-config: write its files, start its units",
    flags: [ROOT_FLAG, APPLY_DRY_RUN_FLAG],
    load: () => import("./cloud_config/cloud_config_apply.ts"),
  },
  {
    name: "docker-opts",
    synopsis: "[-f FILE] [-d FILE] [-i] [-c] [-m] [-k KEY]",
    help: "write Docker's options from subnet.env, like mk-docker-opts.sh",
    flags: [],
    load: () => import("./docker_opts.ts"),
  },
  {
    name: "docker-network",
    synopsis: "[--run] [FLAG]... [NAME]",
    help: "print the command that creates a Docker network on the lease",
    flags: [RUN_FLAG, ...agentFlags(["subnet-file", "config"])],
    load: () => import("./docker_network.ts"),
  },
  {
    name: "firewall show",
    synopsis: "[--json] [FLAG]...",
    help: "show the firewall rules of this network, and which are missing",
    flags: [JSON_FLAG, ...PLACE],
    load: () => import("./firewall_show.ts"),
  },
  {
    name: "cleanup",
    synopsis: "[--dry-run] [--state] [FLAG]...",
    help: "remove what a stopped agent left on this host",
    flags: [DRY_RUN_FLAG, STATE_FLAG, ...PLACE_AND_STATE],
    load: () => import("./cleanup/cleanup.ts"),
  },
  {
    name: "bundle",
    synopsis: "[--output=FILE] [--anonymize] [FLAG]...",
    help: "gather what a bug report needs in one archive, without secrets",
    flags: [ARCHIVE_FLAG, ANONYMIZE_FLAG, ...PLACE_AND_STATE],
    load: () => import("./bundle/bundle.ts"),
  },
  {
    name: "completion",
    synopsis: "bash|zsh|fish",
    help: "print a completion script for a shell",
    flags: [],
    load: () => import("./completion/completion.ts"),
  },
  {
    name: "version",
    synopsis: "[--json]",
    help: "print the versions of Loden, its runtime and the kernel",
    flags: [JSON_FLAG],
    load: () => import("./version.ts"),
  },
  {
    name: "help",
    synopsis: "[COMMAND]",
    help: "print this list, or the help of a command",
    flags: [],
    load: () => import("./help/help.ts"),
  },
];
