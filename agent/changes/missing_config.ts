/**
 * The error if etcd has no network config, with the commands that publish one.
 *
 * @module
 */

import { AGENT_FLAGS } from "../../config/flags.ts";
import type { Settings } from "../../config/settings.ts";
import { LodenError } from "../../errors.ts";
import { shellWord } from "../../linux/shell_word.ts";

const EXAMPLE = '{ "Network": "10.1.0.0/16" }';

/** The settings that locate the key in etcd. */
export type EtcdSettings = Pick<
  Settings,
  | "etcdEndpoints"
  | "etcdPrefix"
  | "etcdCaFile"
  | "etcdCertFile"
  | "etcdKeyFile"
  | "etcdUsername"
  | "etcdPasswordFile"
>;

/** `<prefix>/config` is absent. It may be published at any time. */
export class ConfigMissingError extends LodenError {
  readonly retryable = true;

  constructor(settings: EtcdSettings) {
    super(
      "config.missing",
      `Cannot read the network config: ${settings.etcdPrefix}/config must ` +
        `be in etcd: there is no such key`,
      { hint: configCommands(settings).join(" or ") },
    );
  }
}

/**
 * The commands that would create the key with this value, with this agent's own
 * options, ready to be pasted into a shell. A password is prompted for, never
 * shown.
 */
export function configCommands(
  settings: EtcdSettings,
  value: string = EXAMPLE,
): [string, string] {
  const { etcdCaFile, etcdCertFile, etcdKeyFile, etcdUsername } = settings;
  const endpoints = settings.etcdEndpoints.join(",");
  const etcdctl = [
    "ETCDCTL_API=3 etcdctl",
    option("--endpoints", endpoints),
    option("--cacert", etcdCaFile),
    option("--cert", etcdCertFile),
    option("--key", etcdKeyFile),
    option("--user", etcdUsername),
    "put",
    shellWord(`${settings.etcdPrefix}/config`),
    shellWord(value),
  ];
  const loden = [
    "loden config put",
    optionUnlessDefault("etcd-endpoints", endpoints),
    optionUnlessDefault("etcd-prefix", settings.etcdPrefix),
    option("--etcd-cafile", etcdCaFile),
    option("--etcd-certfile", etcdCertFile),
    option("--etcd-keyfile", etcdKeyFile),
    option("--etcd-username", etcdUsername),
    option("--etcd-password-file", settings.etcdPasswordFile),
    shellWord(value),
  ];
  return [join(etcdctl), join(loden)];
}

function option(name: string, value: string): string {
  return value === "" ? "" : `${name}=${shellWord(value)}`;
}

function optionUnlessDefault(name: string, value: string): string {
  const flag = AGENT_FLAGS.find((each) => each.name === name)!;
  return value === flag.default ? "" : option(`--${name}`, value);
}

function join(words: readonly string[]): string {
  return words.filter((word) => word !== "").join(" ");
}
