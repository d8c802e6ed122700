/**
 * Encodes and decodes leases in etcd: flannel's keys and values, byte for byte
 * (compat 3.1, 3.2).
 *
 * Loden appends two fields of its own, {@linkcode HOST_ID_FIELD} and
 * {@linkcode DATA_PATH_FIELD}, after flannel's, which flannel ignores. It
 * writes no other key under `<prefix>/subnets`, because one that flannel cannot
 * read makes every flannel lose all its peers (compat 3.7).
 *
 * @module
 */

import { join } from "node:path/posix";
import * as v from "valibot";
import { type Cidr, cidrOf } from "../net/cidr.ts";
import {
  formatIpv4,
  type Ipv4,
  isLoopback,
  isMulticast,
  parseIpv4,
} from "../net/ipv4.ts";
import { dataPathName, jsonIn, textOf } from "../net/schemas.ts";
import { hostIdText } from "./host_id.ts";
import type { LeaseAttributes } from "./lease.ts";

/** Identifies the installation that wrote a lease; see `docs/lease.md`. */
export const HOST_ID_FIELD = "LodenHostId";

/** The holder's data path: `ebpf` or `tun`. */
const DATA_PATH_FIELD = "LodenDataPath";

/** A decoded value, or why it could not be decoded. */
export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string };

/** Backend types that flannel omits from the value. */
const UNNAMED_BACKENDS = new Set(["udp", "alloc"]);

/** `<prefix>/config`, joined and cleaned as Go's `path.Join` does. */
export function configKey(prefix: string): string {
  return join(prefix, "config");
}

/** The prefix of every lease's key: `<prefix>/subnets/`. */
export function subnetsPrefix(prefix: string): string {
  return `${join(prefix, "subnets")}/`;
}

/** The prefix of liveness probes: `<prefix>/loden/roll-call/`. */
export function livenessProbePrefix(prefix: string): string {
  return `${join(prefix, "loden", "roll-call")}/`;
}

/** A lease's key below {@linkcode subnetsPrefix}: `10.1.5.0-24`. */
export function leaseName(subnet: Cidr): string {
  return `${formatIpv4(subnet.address)}-${subnet.prefixLength}`;
}

/**
 * Parses a key below {@linkcode subnetsPrefix}. Of a dual-stack key it uses the
 * IPv4 half. As in flannel, the length is at most 31.
 */
export function parseLeaseName(name: string): Decoded<Cidr> {
  const match = /^([0-9.]+)-([0-9]+)(?:&[0-9a-f:.]+-[0-9]{1,3})?$/.exec(name);
  const address = match === null ? undefined : parseIpv4(match[1]!);
  if (match === null || address === undefined) {
    return refuse("the key must be like 10.1.5.0-24");
  }
  const length = match[2]!;
  if (!/^(0|[1-9][0-9]?)$/.test(length) || Number(length) > 31) {
    return refuse("the prefix length in the key must be 0 to 31");
  }
  const subnet = cidrOf(address, Number(length));
  if (subnet.address !== address) {
    return refuse(
      `the address in the key must be that of the network: ${
        leaseName(subnet)
      }`,
    );
  }
  return { ok: true, value: subnet };
}

/**
 * A lease's value: flannel's fields in flannel's order and spelling, then the
 * host id and the data path, then unknown fields of the former value.
 */
export function encodeLeaseValue(attributes: LeaseAttributes): string {
  const { backendType, backendData, hostId, dataPath, unknownFields } =
    attributes;
  const fields: Record<string, unknown> = {
    PublicIP: formatIpv4(attributes.publicIp),
    PublicIPv6: null,
    ...(UNNAMED_BACKENDS.has(backendType) ? {} : { BackendType: backendType }),
    ...(backendData === undefined ? {} : { BackendData: backendData }),
    ...(hostId === undefined ? {} : { [HOST_ID_FIELD]: hostId }),
    ...(dataPath === undefined ? {} : { [DATA_PATH_FIELD]: dataPath }),
    ...unknownFields,
  };
  return JSON.stringify(fields).replace(GO_ESCAPED, escapeAsGo);
}

/**
 * Go's encoding/json escapes these as `\u003c`; in JSON they occur only in
 * strings.
 */
const GO_ESCAPED = /[<>&\u2028\u2029]/g;

function escapeAsGo(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/**
 * flannel's fields and Loden's, in lower case, since field names are matched
 * regardless of case, as in Go. flannel's IPv6 fields are known and not kept,
 * because they belong to another host.
 */
const valueSchema = v.object({
  publicip: textOf(parseHostAddress, "the IPv4 address of a host"),
  publicipv6: v.optional(v.unknown()),
  backendtype: v.nullish(v.string("a string")),
  backenddata: v.optional(v.unknown()),
  backendv6data: v.optional(v.unknown()),
  // A malformed host id is ignored; the lease still counts.
  lodenhostid: v.fallback(
    v.optional(hostIdText),
    undefined,
  ),
  lodendatapath: dataPathName,
});

/** flannel's spelling of the fields that can be refused. */
const FIELD_NAMES: Readonly<Record<string, string>> = {
  publicip: "PublicIP",
  backendtype: "BackendType",
};

/** Parses a lease's value, flannel's or ours. */
export function decodeLeaseValue(text: string): Decoded<LeaseAttributes> {
  const json = jsonIn(text);
  if (json === undefined) {
    return refuse(`the value must be JSON: current value is ${show(text)}`);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return refuse(
      `the value must be a JSON object: current value is ${show(json)}`,
    );
  }
  const { known, unknown } = sortFields(json);
  const result = v.safeParse(valueSchema, known);
  if (!result.success) return refuse(reasonFor(result.issues[0]));
  const { publicip, backendtype, backenddata } = result.output;
  const { lodenhostid: hostId, lodendatapath: dataPath } = result.output;
  return {
    ok: true,
    value: {
      publicIp: publicip,
      backendType: backendtype || "udp",
      ...(backenddata !== undefined && backenddata !== null &&
        { backendData: backenddata }),
      ...(hostId !== undefined && { hostId }),
      ...(dataPath !== undefined && { dataPath }),
      ...(unknown.length > 0 && { unknownFields: Object.fromEntries(unknown) }),
    },
  };
}

function sortFields(json: object) {
  const known: Record<string, unknown> = {};
  const unknown: [string, unknown][] = [];
  for (const [name, value] of Object.entries(json)) {
    const folded = name.toLowerCase();
    if (Object.hasOwn(valueSchema.entries, folded)) known[folded] = value;
    else unknown.push([name, value]);
  }
  return { known, unknown };
}

function reasonFor(issue: v.BaseIssue<unknown>): string {
  const name = FIELD_NAMES[v.getDotPath(issue)!];
  return issue.input === undefined
    ? `${name} must be present`
    : `${name} must be ${issue.message}: current value is ${show(issue.input)}`;
}

/** `undefined` for an address that no host has. */
function parseHostAddress(text: string): Ipv4 | undefined {
  const address = parseIpv4(text);
  if (address === undefined) return undefined;
  const isUsable = address >>> 24 !== 0 && !isLoopback(address) &&
    !isMulticast(address) && address >>> 28 !== 0xf;
  return isUsable ? address : undefined;
}

function refuse(reason: string): { ok: false; reason: string } {
  return { ok: false, reason };
}

/** A value in a message, shortened. */
function show(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
