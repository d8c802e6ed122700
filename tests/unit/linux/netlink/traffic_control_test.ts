import { assertEquals } from "@std/assert";
import {
  addClsactRequest,
  listFiltersRequest,
  parseBpfFilter,
  parseFilterPriority,
  putBpfFilterRequest,
  removeBpfFilterRequest,
  removeClsactRequest,
} from "../../../../linux/netlink/traffic_control.ts";
import { fromHex, toHex } from "./hex.ts";

/** `TCA_KIND` "bpf". */
const KIND_BPF = "07 00 01 00 62 70 66 00 ";

Deno.test("the clsact discipline is asked for with the handle and parent that it always has", () => {
  const { type, flags, payload } = addClsactRequest(7);
  // RTM_NEWQDISC; NLM_F_CREATE | NLM_F_EXCL.
  assertEquals([type, flags], [36, 0x600]);
  assertEquals(
    toHex(payload),
    "00 00 00 00 07 00 00 00 00 00 ff ff f1 ff ff ff 00 00 00 00 " +
      "0a 00 01 00 63 6c 73 61 63 74 00 00",
  );
});

Deno.test("the clsact discipline is removed by its handle and parent", () => {
  const { type, payload } = removeClsactRequest(7);
  assertEquals(type, 37);
  assertEquals(
    toHex(payload),
    "00 00 00 00 07 00 00 00 00 00 ff ff f1 ff ff ff 00 00 00 00",
  );
});

Deno.test("filters are listed by direction", () => {
  const parents = (["ingress", "egress"] as const).map((direction) => {
    const { type, payload } = listFiltersRequest(7, direction);
    assertEquals(type, 46);
    return toHex(payload.subarray(12, 16));
  });
  assertEquals(parents, ["f2 ff ff ff", "f3 ff ff ff"]);
});

const NEW = {
  interfaceIndex: 7,
  direction: "egress",
  priority: 8285,
  descriptor: 9,
  name: "loden_tx",
  replace: false,
} as const;

Deno.test("a new filter must not be there yet, and gets its verdict from the program", () => {
  const { type, flags, payload } = putBpfFilterRequest(NEW);
  // RTM_NEWTFILTER; NLM_F_CREATE | NLM_F_EXCL.
  assertEquals([type, flags], [44, 0x600]);
  assertEquals(
    toHex(payload),
    // 8285 is 0x205d; ETH_P_ALL in network byte order.
    "00 00 00 00 07 00 00 00 01 00 00 00 f3 ff ff ff 00 03 5d 20 " +
      KIND_BPF +
      "24 00 02 80 " +
      "08 00 06 00 09 00 00 00 " +
      "0d 00 07 00 6c 6f 64 65 6e 5f 74 78 00 00 00 00 " +
      "08 00 08 00 01 00 00 00",
  );
});

Deno.test("a filter that takes another's place has its handle and priority", () => {
  const { flags, payload } = putBpfFilterRequest({
    ...NEW,
    direction: "ingress",
    replace: true,
  });
  // NLM_F_REPLACE alone: it fails when there is nothing to replace.
  assertEquals(flags, 0x100);
  assertEquals(
    toHex(payload.subarray(0, 20)),
    "00 00 00 00 07 00 00 00 01 00 00 00 f2 ff ff ff 00 03 5d 20",
  );
});

Deno.test("a filter is removed by direction, priority and handle", () => {
  const { type, payload } = removeBpfFilterRequest(7, "ingress", 8285);
  assertEquals(type, 45);
  assertEquals(
    toHex(payload),
    "00 00 00 00 07 00 00 00 01 00 00 00 f2 ff ff ff 00 03 5d 20 " +
      KIND_BPF.trim(),
  );
});

/** `struct tcmsg` of a filter with handle 1 and priority 8285. */
const HEADER = "00 00 00 00 07 00 00 00 01 00 00 00 f2 ff ff ff 00 03 5d 20 ";

Deno.test("a listed filter says which program it runs", () => {
  const payload = fromHex(
    HEADER + KIND_BPF + "08 00 0b 00 00 00 00 00 " +
      "1c 00 02 00 " +
      "0d 00 07 00 6c 6f 64 65 6e 5f 72 78 00 00 00 00 " +
      "08 00 0b 00 2a 00 00 00",
  );
  assertEquals(parseBpfFilter(payload), {
    priority: 8285,
    programId: 42,
    name: "loden_rx",
  });
});

Deno.test("a priority without a filter, a filter of another kind and one without a program have a priority only", () => {
  const noOptions = fromHex(HEADER + KIND_BPF);
  const otherKind = fromHex(
    HEADER + "08 00 01 00 75 33 32 00 " + "0c 00 02 00 08 00 0b 00 2a 00 00 00",
  );
  const noProgram = fromHex(
    HEADER + KIND_BPF + "0c 00 02 00 08 00 08 00 01 00 00 00",
  );
  for (const payload of [noOptions, otherKind, noProgram]) {
    assertEquals(parseBpfFilter(payload), undefined);
    assertEquals(parseFilterPriority(payload), 8285);
  }
});
