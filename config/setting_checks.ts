/**
 * Checks of settings beyond the types of their flags.
 *
 * @module
 */

import { isMulticast, parseIpv4 } from "../net/ipv4.ts";
import { badValueError, SettingsError } from "./errors.ts";
import { cleanEtcdPrefix } from "./etcd_endpoints.ts";
import type { AgentFlagName } from "./flags.ts";
import { translateGoRegex } from "./go_regex.ts";
import type { ChosenValues, SettingEntry } from "./precedence.ts";
import { parseSubnetChangeAction } from "./subnet_change.ts";

/** A rule that a text breaks. */
interface TextRefusal {
  /** Ends the sentence "… must be". */
  readonly rule: string;
  readonly hint: string;
}

/** @returns the rule that the text breaks, `undefined` when it breaks none. */
type TextCheck = (text: string) => TextRefusal | undefined;

/** IFNAMSIZ - 1, linux/if.h. */
const LONGEST_DEVICE_NAME = 15;

/** The checks by flag; for a list, of each element. Empty texts are not checked. */
const TEXT_CHECKS: Readonly<Record<string, TextCheck>> = {
  "etcd-prefix": checkPrefix,
  "iface-regex": checkRegex,
  "iface-can-reach": checkHostAddress,
  "public-ip": checkHostAddress,
  "healthz-ip": checkListenAddress,
  "metrics-ip": checkListenAddress,
  "device": checkDeviceName,
  "subnet-file": checkFilePath,
  "docker-opts-file": checkFilePath,
  "etcd-cafile": checkFilePath,
  "etcd-certfile": checkFilePath,
  "etcd-keyfile": checkFilePath,
  "etcd-password-file": checkFilePath,
  "on-subnet-change": checkSubnetChange,
};

/** Settings that must not be empty. */
const REQUIRED: readonly string[] = [
  "etcd-endpoints",
  "etcd-prefix",
  "subnet-file",
  "device",
  "state-dir",
  "run-dir",
  "healthz-ip",
  "metrics-ip",
  "on-subnet-change",
];

/**
 * Refuses flags of modes that Loden does not have and texts that break a rule.
 *
 * @throws {SettingsError}
 */
export function checkEntries(chosen: ChosenValues): void {
  for (const entry of chosen.entries) {
    const where = chosen.where(entry.flag.name as AgentFlagName);
    refuseOtherModes(entry, where);
    checkTexts(entry, where);
  }
}

function refuseOtherModes({ flag, value }: SettingEntry, where: string): void {
  // A flag with its default value has no effect.
  if (flag.status.kind !== "refused" || value === flag.default) return;
  throw new SettingsError(
    "settings.refused",
    `Cannot use the settings: ${where} must not be set: ${flag.status.reason}`,
    { hint: flag.status.hint },
  );
}

function checkTexts({ flag, value }: SettingEntry, where: string): void {
  if (flag.status.kind !== "active") return;
  if (REQUIRED.includes(flag.name) && value === "") {
    const hint = `for example ${flag.default}`;
    throw badValueError({ where, rule: "set", current: "", hint });
  }
  const check = TEXT_CHECKS[flag.name];
  if (check === undefined) return;
  for (const text of [value].flat()) {
    if (typeof text !== "string" || text === "") continue;
    const refusal = check(text);
    if (refusal) throw badValueError({ where, current: text, ...refusal });
  }
}

/** An address that one other host can have. */
function checkHostAddress(text: string): TextRefusal | undefined {
  const address = parseIpv4(text);
  const usable = address !== undefined && address >>> 24 !== 0 &&
    !isMulticast(address) && address >>> 28 !== 0xf;
  return usable ? undefined : {
    rule: "the IPv4 address of a host",
    hint: "for example 192.168.10.7",
  };
}

function checkListenAddress(text: string): TextRefusal | undefined {
  const ipv6 = /^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(text) &&
    URL.canParse(`http://[${text}]`);
  return ipv6 || parseIpv4(text) !== undefined ? undefined : {
    rule: "an IP address",
    hint: "for example 0.0.0.0 for all, 127.0.0.1 for this host only",
  };
}

/** The kernel's dev_valid_name and dev_alloc_name (net/core/dev.c). */
function checkDeviceName(text: string): TextRefusal | undefined {
  const usable = text.length <= LONGEST_DEVICE_NAME &&
    /^[!-~]+$/.test(text) && !/[/:]/.test(text) &&
    text !== "." && text !== ".." &&
    /^[^%]*(%d)?[^%]*$/.test(text);
  return usable ? undefined : {
    rule: `a device name of at most ${LONGEST_DEVICE_NAME} characters ` +
      `without space, "/" and ":", with at most one %d`,
    hint: "for example flannel%d",
  };
}

function checkPrefix(text: string): TextRefusal | undefined {
  return cleanEtcdPrefix(text) === undefined
    ? { rule: "a key prefix", hint: "for example /coreos.com/network" }
    : undefined;
}

function checkFilePath(text: string): TextRefusal | undefined {
  return text.endsWith("/") || text.includes("\0")
    ? { rule: "the path of a file", hint: `for example ${text}file` }
    : undefined;
}

function checkSubnetChange(text: string): TextRefusal | undefined {
  return parseSubnetChangeAction(text) === undefined
    ? {
      rule: "continue, exit or run: and a command",
      hint: "for example run:systemctl try-restart docker",
    }
    : undefined;
}

function checkRegex(text: string): TextRefusal | undefined {
  try {
    translateGoRegex(text);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error
      ? error.message.replace(/^.*: /s, "")
      : String(error);
    return {
      rule: `a regular expression (${reason})`,
      hint: "for example ^192\\.168\\. or ^eth[0-9]+$",
    };
  }
}

/**
 * Refuses a margin that is not shorter than the TTL. The default margin is not
 * refused: with a shorter TTL, the margin is half of the TTL.
 *
 * @throws {SettingsError}
 */
export function checkLeaseTimes(chosen: ChosenValues): void {
  const ttlSeconds = chosen.values["subnet-lease-ttl"];
  const marginSeconds = chosen.values["subnet-lease-renew-margin"] * 60;
  const { provenance } = chosen.entries.find(({ flag }) =>
    flag.name === "subnet-lease-renew-margin"
  )!;
  if (provenance.source === "default" || marginSeconds < ttlSeconds) return;
  throw new SettingsError(
    "settings.renew-margin",
    `Cannot use the settings: ${chosen.where("subnet-lease-renew-margin")} ` +
      `must be shorter than ${chosen.where("subnet-lease-ttl")}: current ` +
      `values are ${marginSeconds} and ${ttlSeconds} seconds`,
    {
      hint: "use a longer --subnet-lease-ttl, or remove the margin: the " +
        "default is then half of the TTL",
    },
  );
}
