import { assert, assertEquals } from "@std/assert";
import { renderFindings } from "../../../../commands/doctor/doctor_text.ts";
import type { Finding } from "../../../../commands/doctor/finding.ts";

const FINDINGS: readonly Finding[] = [
  { code: "kernel.tun", severity: "ok", what: "TUN", value: "works" },
  {
    code: "clock.sync",
    severity: "warning",
    what: "clock",
    value: "no time server sets it",
    fix: "timedatectl set-ntp true",
  },
  {
    code: "sysctl.forwarding",
    severity: "problem",
    what: "forwarding",
    value: "net.ipv4.ip_forward is 0: the kernel forwards nothing",
    fix: "sysctl -w net.ipv4.ip_forward=1",
  },
];

function terminal(columns: number) {
  return { columns, rows: 24, colors: false };
}

Deno.test("a fact is a line, with its cure beneath and the number of problems at the end", () => {
  assertEquals(renderFindings(FINDINGS, undefined).split("\n"), [
    "ok       TUN         works",
    "warning  clock       no time server sets it",
    "           to do: timedatectl set-ntp true",
    "problem  forwarding  net.ipv4.ip_forward is 0: the kernel forwards nothing",
    "           to do: sysctl -w net.ipv4.ip_forward=1",
    "1 problem, 1 warning",
    "",
  ]);
});

Deno.test("on 40 columns no line is longer, and a fact has its words on lines of their own", () => {
  const text = renderFindings(FINDINGS, terminal(40));
  for (const line of text.split("\n")) assert(line.length <= 40, line);
  assertEquals(text.split("\n").slice(-6), [
    "problem forwarding",
    "  net.ipv4.ip_forward is 0: the kernel",
    "  forwards nothing",
    "  to do: sysctl -w net.ipv4.ip_forward=1",
    "1 problem, 1 warning",
    "",
  ]);
});

Deno.test("without anything wrong the last line says so", () => {
  const text = renderFindings(FINDINGS.slice(0, 1), undefined);
  assertEquals(text.split("\n").at(-2), "nothing to note");
});

Deno.test("what came from elsewhere cannot control the terminal", () => {
  const [fact] = FINDINGS;
  const text = renderFindings([{ ...fact!, value: "\x1b[2J" }], terminal(80));
  assert(!text.includes("\x1b"));
});
