import { assert, assertEquals } from "@std/assert";
import {
  belongsTo,
  isLeftover,
  isOwn,
  startTicks,
  uniqueRigName,
} from "../../rig/names.ts";

const START = 123_456;
const NAME = `loden-77-${START.toString(36)}-1`;

Deno.test("two rigs of one process have different names, and neither is a leftover", () => {
  const first = uniqueRigName();
  const second = uniqueRigName();
  assert(first !== second);
  assert(!isLeftover(first));
  assert(!isLeftover(second));
});

Deno.test("a process's own rigs are those that it has named, and no others", () => {
  const name = uniqueRigName();
  assert(isOwn(name));
  assert(isOwn(`${name}-h1`));
  for (const other of [NAME, "loden-demo", `loden-${Deno.pid}-0-1`, ""]) {
    assert(!isOwn(other), other);
  }
});

Deno.test("a rig is a leftover when its owner is gone, or another process has its id", () => {
  assert(isLeftover(NAME, () => undefined));
  assert(isLeftover(NAME, () => START + 1));
  assert(!isLeftover(NAME, () => START));
});

Deno.test("the parts of a rig are judged like the rig", () => {
  for (const part of ["sw", "h1", "h1-c1"]) {
    assert(isLeftover(`${NAME}-${part}`, () => undefined));
    assert(!isLeftover(`${NAME}-${part}`, () => START));
  }
});

Deno.test("names of others are never leftovers", () => {
  for (
    const name of [
      "loden",
      "loden-demo",
      "loden-demo-h1",
      "loden-etcd-abc123",
      "my-loden-77-abc-1",
      "",
    ]
  ) {
    assert(!isLeftover(name, () => undefined), name);
  }
});

Deno.test("a rig does not own the parts of one whose name begins alike", () => {
  assert(belongsTo("loden-7-x-1-h1", "loden-7-x-1"));
  assert(belongsTo("loden-7-x-1", "loden-7-x-1"));
  assert(!belongsTo("loden-7-x-10", "loden-7-x-1"));
  assert(!belongsTo("loden-7-x-10-h1", "loden-7-x-1"));
});

Deno.test("the start of a process is a number, of none undefined", () => {
  assert(startTicks(Deno.pid)! > 0);
  // Larger than pid_max can be.
  assertEquals(startTicks(2 ** 22 + 1), undefined);
});
