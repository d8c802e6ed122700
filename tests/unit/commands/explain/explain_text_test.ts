import { assert, assertEquals } from "@std/assert";
import { gatherHost } from "../../../../agent/explain/gather_host.ts";
import {
  type SidedFinding,
  verdictOf,
} from "../../../../agent/explain/verdict.ts";
import {
  renderExplanation,
  toJson,
} from "../../../../commands/explain/explain_text.ts";
import {
  FLOW,
  healthyHost,
  HERE,
  THERE,
} from "../../agent/explain/explain_world.ts";

const FINDINGS: readonly SidedFinding[] = [
  { side: "this host", stage: "route", outcome: "ok", text: "it is right" },
  { side: "way", stage: "way", outcome: "unknown", text: "it is not seen" },
  {
    side: "other host",
    stage: "bridge",
    outcome: "drop",
    text: "docker0 is \x1b[31mdown",
    fix: "ip link set docker0 up",
  },
];
const HOST = await gatherHost(healthyHost(HERE, THERE));
const explanation = (findings: readonly SidedFinding[]) => ({
  flow: { ...FLOW, protocol: 6, port: 80 },
  findings,
  host: HOST,
  verdict: verdictOf(findings),
});

Deno.test("each stage has a line, and the end says who is to blame and what to type", () => {
  assertEquals(
    renderExplanation(explanation(FINDINGS), undefined),
    `10.1.5.2 to 10.1.7.2, tcp port 80, 84 bytes
this host
  OK       route           it is right
way
  unknown  way             it is not seen
other host 192.0.2.12
  DROP     bridge          docker0 is ?[31mdown
dropped by the other host 192.0.2.12, bridge: docker0 is ?[31mdown
to do on 192.0.2.12: ip link set docker0 up
`,
  );
});

Deno.test("on a terminal of 40 columns no line is longer, but for commands and words", () => {
  const text = renderExplanation(explanation(FINDINGS), {
    columns: 40,
    rows: 24,
    colors: false,
  });
  assert(text.split("\n").every((line) => line.length <= 40), text);
});

Deno.test("the way has no stages", () => {
  const findings = [{
    side: "way",
    stage: "way",
    outcome: "drop",
    text: "packets of 1450 bytes are lost",
    fix: "raise the MTU",
  }] as const;
  assertEquals(
    renderExplanation(explanation(findings), undefined).split("\n").slice(-3),
    [
      "dropped on the way: packets of 1450 bytes are lost",
      "to do: raise the MTU",
      "",
    ],
  );
});

Deno.test("what is not seen is named at the end", () => {
  const text = renderExplanation(explanation(FINDINGS.slice(0, 2)), undefined);
  assertEquals(
    text.split("\n").at(-2),
    "unknown: nothing that can be seen drops the packet; not seen: way (way)",
  );
});

Deno.test("JSON has every finding and the verdict", () => {
  assertEquals(toJson(explanation(FINDINGS.slice(2))), {
    schema: 1,
    source: "10.1.5.2",
    destination: "10.1.7.2",
    protocol: "tcp",
    port: 80,
    sizeBytes: 84,
    otherHost: "192.0.2.12",
    findings: [{
      side: "other host",
      stage: "bridge",
      outcome: "drop",
      text: "docker0 is \x1b[31mdown",
      fix: "ip link set docker0 up",
    }],
    verdict: "dropped",
    side: "other host",
    stage: "bridge",
    text: "docker0 is \x1b[31mdown",
    fix: "ip link set docker0 up",
  });
});
