import { assert, assertEquals } from "@std/assert";
import {
  ATTRIBUTE_BYTES,
  BY_ID,
  type Layout,
  MAP_BATCH,
  MAP_CREATE,
  MAP_ELEMENT,
  MAP_INFO,
  MAP_INFO_BYTES,
  OBJECT_INFO,
  PROGRAM_ATTACH,
  PROGRAM_INFO,
  PROGRAM_INFO_BYTES,
  PROGRAM_LOAD,
  PROGRAM_QUERY,
  TEST_RUN,
} from "../../../../linux/bpf/layouts.ts";

/**
 * `offsetof` of the kernel's names, in the order of the fields here: by clang
 * for x86_64-linux-gnu and for aarch64-linux-gnu, from `linux/bpf.h`.
 */
const COMPILED: readonly [Layout, readonly string[], readonly number[]][] = [
  [
    MAP_CREATE,
    ["type", "keyBytes", "valueBytes", "maxEntries", "flags", "name"],
    [0, 4, 8, 12, 16, 28],
  ],
  [MAP_ELEMENT, ["map", "key", "value", "flags"], [0, 8, 16, 24]],
  [
    MAP_BATCH,
    ["keys", "values", "count", "map", "elementFlags", "flags"],
    [16, 24, 32, 36, 40, 48],
  ],
  [
    PROGRAM_LOAD,
    [
      ...["type", "slots", "instructions", "license", "logLevel"],
      ...["logBytes", "log", "flags", "name"],
    ],
    [0, 4, 8, 16, 24, 28, 32, 44, 48],
  ],
  [
    PROGRAM_ATTACH,
    ["interfaceIndex", "program", "attachType", "flags", "replacedProgram"],
    [0, 4, 8, 12, 16],
  ],
  [
    PROGRAM_QUERY,
    ["interfaceIndex", "attachType", "programIds", "count"],
    [0, 4, 16, 24],
  ],
  [
    TEST_RUN,
    [
      ...["program", "returnValue", "dataInBytes", "dataOutBytes", "dataIn"],
      ...["dataOut", "repeat", "durationNs", "contextInBytes"],
      ...["contextOutBytes", "contextIn", "contextOut"],
    ],
    [0, 4, 8, 12, 16, 24, 32, 36, 40, 44, 48, 56],
  ],
  [BY_ID, ["id"], [0]],
  [OBJECT_INFO, ["object", "infoBytes", "info"], [0, 4, 8]],
  [
    MAP_INFO,
    ["type", "id", "keyBytes", "valueBytes", "maxEntries", "flags", "name"],
    [0, 4, 8, 12, 16, 20, 24],
  ],
  [
    PROGRAM_INFO,
    ["type", "id", "tag", "mapCount", "mapIds", "name"],
    [0, 4, 8, 52, 56, 64],
  ],
];

Deno.test("each field is where a C compiler puts it on x86-64 and arm64", () => {
  for (const [layout, fields, offsets] of COMPILED) {
    assertEquals(Object.keys(layout), fields);
    assertEquals(Object.values(layout).map(({ offset }) => offset), offsets);
  }
});

Deno.test("64-bit fields are aligned, and each structure is as long as its fields need", () => {
  for (const [layout] of COMPILED) {
    for (const { offset, bytes } of Object.values(layout)) {
      assertEquals(offset % bytes, 0);
      assert(offset + bytes <= ATTRIBUTE_BYTES);
    }
  }
  // Each ends with its name of 16 bytes.
  assertEquals(MAP_INFO.name.offset + 16, MAP_INFO_BYTES);
  assertEquals(PROGRAM_INFO.name.offset + 16, PROGRAM_INFO_BYTES);
});
