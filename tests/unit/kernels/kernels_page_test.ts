import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import type { CARDS } from "../../kernels/cards.ts";
import {
  KERNEL_HEAD,
  rowsOfPart,
  updatePage,
} from "../../kernels/kernels_page.ts";
import type { Mode } from "../../kernels/modes.ts";
import { brokenRow, HEAD, type KernelRow } from "../../kernels/rows.ts";

const EMPTY = `# Kernels

<!-- generated: kernels -->
<!-- end of kernels -->

<!-- generated: hosts -->
<!-- end of hosts -->
`;

const row = (
  kernel: string,
  card: keyof typeof CARDS,
  fault: string,
  mode: Mode = ["tun", "auto"],
): KernelRow => ({ ...brokenRow(card, mode, fault), kernel });
const on = (name: string, release: string) => ({
  name,
  release,
  date: "2026-11-29",
});

Deno.test("a run replaces the rows of its kernels, cards and modes, and leaves the others", () => {
  const first = updatePage(EMPTY, [on("6.12", "6.12.1"), on("6.1", "6.1.1")], [
    row("6.12", "vmxnet3", "a"),
    row("6.12", "virtio", "b", ["ebpf", "xdp"]),
    row("6.12", "virtio", "g"),
    row("6.1", "virtio", "c | d"),
  ]);
  const second = updatePage(first, [on("6.12", "6.12.2")], [
    row("6.12", "virtio", "e", ["auto", "auto"]),
    row("6.12", "virtio", "f"),
  ]);
  assertEquals(rowsOfPart(second, "kernels"), [
    ["6.1", "6.1.1", "2026-11-29"],
    ["6.12", "6.12.2", "2026-11-29"],
  ]);
  assertEquals(
    rowsOfPart(second, "hosts").map((cells) => [
      cells[0],
      cells[1],
      cells.at(-1),
    ]),
    [
      ["6.1", "virtio", "c | d"],
      ["6.12", "virtio", "e"],
      ["6.12", "virtio", "b"],
      ["6.12", "virtio", "f"],
      ["6.12", "vmxnet3", "a"],
    ],
  );
});

Deno.test("docs/kernels.md has passed rows only, in today's columns", async () => {
  const page = await Deno.readTextFile("docs/kernels.md");
  // Sorted and padded as the task writes it.
  assertEquals(updatePage(page, [], []), page);
  const rows = rowsOfPart(page, "hosts");
  assertNotEquals(rows, []);
  for (const cells of rows) {
    assertEquals(cells.length, HEAD.length);
    assertMatch(cells.at(-1)!, /^passed(; the driver|$)/, cells.join());
  }
  const kernels = new Set(rows.map(([kernel]) => kernel!));
  const named = rowsOfPart(page, "kernels");
  assertEquals(named.map(([name]) => name), [...kernels]);
  assertEquals(named[0]?.length, KERNEL_HEAD.length);
});
