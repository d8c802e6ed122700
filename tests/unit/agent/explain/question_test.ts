import { assert, assertEquals } from "@std/assert";
import { answerQuestion } from "../../../../agent/explain/answer.ts";
import {
  decodeAnswer,
  decodeQuestion,
  encodeAnswer,
  encodeQuestion,
} from "../../../../agent/explain/question.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import type { Finding } from "../../../../net/finding.ts";
import { FLOW, healthyWorld, HERE, ip } from "./explain_world.ts";

const ASKER = { subnet: parseCidr(HERE.subnet)! };

Deno.test("a question is read as it was written", () => {
  for (
    const question of [
      { flow: FLOW, outerSource: undefined },
      {
        flow: { ...FLOW, protocol: 6, port: 443, sizeBytes: 1472 },
        outerSource: ip("192.0.2.11"),
      },
    ]
  ) {
    assertEquals(decodeQuestion(encodeQuestion(question)), question);
  }
});

Deno.test("an answer is read as it was written", () => {
  const findings: Finding[] = [
    { stage: "route", outcome: "ok", text: "it is there" },
    { stage: "bridge", outcome: "drop", text: "it is down", fix: "lift it" },
    { stage: "container", outcome: "unknown", text: "not seen" },
  ];
  assertEquals(decodeAnswer(encodeAnswer(findings, 1_186)!), findings);
});

Deno.test("an answer that is too long keeps what matters", () => {
  const findings: Finding[] = [
    ...Array.from({ length: 12 }, (_, index): Finding => ({
      stage: `stage ${index}`,
      outcome: "ok",
      text: "x".repeat(200),
    })),
    { stage: "bridge", outcome: "drop", text: "y".repeat(200), fix: "lift it" },
  ];
  for (const spaceBytes of [1_186, 500, 400]) {
    const content = encodeAnswer(findings, spaceBytes)!;
    assert(content.length <= spaceBytes);
    const last = decodeAnswer(content)!.at(-1)!;
    assertEquals([last.stage, last.outcome, last.fix], [
      "bridge",
      "drop",
      "lift it",
    ]);
  }
  assertEquals(encodeAnswer(findings, 20), undefined);
});

Deno.test("an agent answers only about packets from the asker's subnet to its own", async () => {
  const { there } = healthyWorld();
  const ask = (flow: Partial<typeof FLOW>) =>
    answerQuestion(
      there,
      encodeQuestion({ flow: { ...FLOW, ...flow }, outerSource: undefined }),
      ASKER,
      1_186,
    );
  assert(await ask({}) !== undefined);
  assertEquals(await ask({ source: ip("10.1.9.2") }), undefined);
  assertEquals(await ask({ destination: ip("192.0.2.12") }), undefined);
});

Deno.test("what is no question gets no answer", async () => {
  const { there } = healthyWorld();
  for (const text of ["", "x", "{}", '{"v":2}', "[1]"]) {
    const content = new TextEncoder().encode(text);
    assertEquals(await answerQuestion(there, content, ASKER, 1_186), undefined);
  }
});
