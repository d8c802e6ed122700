import { assertEquals } from "@std/assert";
import { deviceCounters } from "../../../../agent/metrics/device_counters.ts";

Deno.test("the kernel's statistics of a device have the names of the data path's counters", async () => {
  const root = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${root}/flannel.1/statistics`, { recursive: true });
    const files = [
      ["tx", "packets"],
      ["tx", "bytes"],
      ["tx", "dropped"],
      ["rx", "packets"],
      ["rx", "bytes"],
      ["rx", "dropped"],
    ];
    for (const [index, [direction, what]] of files.entries()) {
      await Deno.writeTextFile(
        `${root}/flannel.1/statistics/${direction}_${what}`,
        `${index}\n`,
      );
    }
    assertEquals(deviceCounters("flannel.1", root), {
      "tx.packets": 0,
      "tx.bytes": 1,
      "tx.drop.device": 2,
      "rx.packets": 3,
      "rx.bytes": 4,
      "rx.drop.device": 5,
    });
    assertEquals(deviceCounters("flannel.2", root), {});
    assertEquals(deviceCounters(undefined, root), {});
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
