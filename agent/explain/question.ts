/**
 * What an agent asks another one about a packet, and the answer, as the contents
 * of `net/probe_message.ts`: JSON in UTF-8.
 *
 * @module
 */

import * as v from "valibot";
import type { Finding, Outcome } from "../../net/finding.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";
import { ipv4Text, jsonIn } from "../../net/schemas.ts";
import type { Flow } from "./flow.ts";

/** See the module. */
export interface Question {
  readonly flow: Flow;
  /** From where the outer packets come; `undefined` behind a NAT. */
  readonly outerSource: Ipv4 | undefined;
}

const VERSION = 1;
const WORDS = { ok: "o", drop: "d", unknown: "u" } as const;
const OUTCOMES: ReadonlyMap<string, Outcome> = new Map([
  [WORDS.ok, "ok"],
  [WORDS.drop, "drop"],
  [WORDS.unknown, "unknown"],
]);
/** Longer texts of stages that are passed say nothing that matters. */
const SHORT_TEXT = 60;
const CUT_TEXT = 120;

const byte = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255));
const word = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535));
const questionSchema = v.object({
  v: v.literal(VERSION),
  from: ipv4Text,
  to: ipv4Text,
  proto: byte,
  port: v.exactOptional(word),
  size: word,
  outer: v.exactOptional(ipv4Text),
});
const text = v.pipe(v.string(), v.maxLength(1_200));
const answerSchema = v.array(
  v.pipe(
    v.array(text),
    v.minLength(3),
    v.maxLength(4),
  ),
);

/** The content of a question. */
export function encodeQuestion({ flow, outerSource }: Question): Uint8Array {
  const { destination, port, protocol, sizeBytes, source } = flow;
  return new TextEncoder().encode(JSON.stringify({
    v: VERSION,
    from: formatIpv4(source),
    to: formatIpv4(destination),
    proto: protocol,
    port,
    size: sizeBytes,
    outer: outerSource === undefined ? undefined : formatIpv4(outerSource),
  }));
}

/** `undefined` for anything else, and for another version's question. */
export function decodeQuestion(content: Uint8Array): Question | undefined {
  const result = v.safeParse(
    questionSchema,
    jsonIn(new TextDecoder().decode(content)),
  );
  if (!result.success) return undefined;
  const { from, outer, port, proto, size, to } = result.output;
  return {
    flow: {
      source: from,
      destination: to,
      protocol: proto,
      sizeBytes: size,
      ...port !== undefined && { port },
    },
    outerSource: outer,
  };
}

/**
 * The content of an answer, in at most `spaceBytes`: what matters least is left
 * out first.
 */
export function encodeAnswer(
  findings: readonly Finding[],
  spaceBytes: number,
): Uint8Array | undefined {
  const shortened = (most: number, mostOfOk: number) =>
    findings.map(({ fix, outcome, stage, text }) => [
      stage,
      WORDS[outcome],
      text.slice(0, outcome === "ok" ? mostOfOk : most),
      ...fix === undefined ? [] : [fix.slice(0, most)],
    ]);
  const last = shortened(CUT_TEXT, 0).filter(([, outcome]) =>
    outcome !== WORDS.ok
  );
  return [
    shortened(Infinity, Infinity),
    shortened(Infinity, SHORT_TEXT),
    shortened(Infinity, 0),
    shortened(CUT_TEXT, 0),
    last.slice(-2),
  ].map((each) => new TextEncoder().encode(JSON.stringify(each)))
    .find(({ length }) => length <= spaceBytes);
}

/** `undefined` for anything else. */
export function decodeAnswer(content: Uint8Array): Finding[] | undefined {
  const result = v.safeParse(
    answerSchema,
    jsonIn(new TextDecoder().decode(content)),
  );
  if (!result.success) return undefined;
  const findings = result.output.map(
    ([stage, word, text, fix]): Finding | undefined => {
      const outcome = OUTCOMES.get(word!);
      return outcome && {
        stage: stage!,
        outcome,
        text: text!,
        ...fix !== undefined && { fix },
      };
    },
  ).filter((finding) => finding !== undefined);
  return findings.length === result.output.length ? findings : undefined;
}
