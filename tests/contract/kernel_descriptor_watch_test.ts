import { assertEquals, assertRejects } from "@std/assert";
import { DescriptorWatch } from "../../linux/descriptor_watch.ts";
import { SystemCallError } from "../../linux/errno.ts";
import { libc } from "../../linux/libc.ts";
import {
  clearEvent,
  openEventDescriptor,
  signalEvent,
} from "../../linux/poll.ts";
import { descriptorWatchContract } from "./descriptor_watch_contract.ts";

descriptorWatchContract("DescriptorWatch", () => {
  const descriptors = [openEventDescriptor(), openEventDescriptor()];
  const watch = new DescriptorWatch(descriptors);
  return {
    watch,
    setReady: (index, ready) =>
      (ready ? signalEvent : clearEvent)(descriptors[index]!),
    async [Symbol.asyncDispose]() {
      await watch.stop();
      for (const descriptor of descriptors) libc().close(descriptor);
    },
  };
});

const openDescriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;

Deno.test("a watch closes its own descriptor and no other one", async () => {
  const before = openDescriptors();
  const descriptor = openEventDescriptor();
  const watch = new DescriptorWatch([descriptor]);
  const waiting = watch.wait();
  await watch.stop();
  await waiting;
  assertEquals(openDescriptors(), before + 1);
  libc().close(descriptor);
});

Deno.test("a watch names a descriptor that was closed", async () => {
  const closed = openEventDescriptor();
  const watch = new DescriptorWatch([closed]);
  libc().close(closed);
  const error = await assertRejects(() => watch.wait(), SystemCallError);
  assertEquals(
    error.message,
    "Cannot wait for descriptors: the kernel answered EBADF: number 0 of 1 was closed",
  );
  await watch.stop();
});

Deno.test("a watch says why the kernel does not wait", async () => {
  // More descriptors than RLIMIT_NOFILE allows: EINVAL.
  const watch = new DescriptorWatch(
    Array.from({ length: 2_000_000 }, () => -1),
  );
  const error = await assertRejects(() => watch.wait(), SystemCallError);
  assertEquals(error.code, "linux.EINVAL");
  await watch.stop();
});

Deno.test("a hundred watches leave no thread of the pool behind", async () => {
  const descriptor = openEventDescriptor();
  for (let round = 0; round < 100; round++) {
    const watch = new DescriptorWatch([descriptor]);
    const waiting = watch.wait();
    await watch.stop();
    await waiting;
  }
  // A wait gets its turn only while a thread of the pool is free.
  signalEvent(descriptor);
  const watch = new DescriptorWatch([descriptor]);
  assertEquals(await watch.wait(), [true]);
  await watch.stop();
  libc().close(descriptor);
});

Deno.test("a process ends by itself once its watch is stopped", async () => {
  const source = (name: string) =>
    new URL(`../../linux/${name}`, import.meta.url).href;
  const program = `
    import { DescriptorWatch } from "${source("descriptor_watch.ts")}";
    import { openEventDescriptor } from "${source("poll.ts")}";
    const watch = new DescriptorWatch([openEventDescriptor()]);
    const waiting = watch.wait();
    setTimeout(() => watch.stop(), 1);
    console.log(await waiting);
  `;
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", program],
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(60_000),
  }).output();
  assertEquals(new TextDecoder().decode(output.stdout), "[ false ]\n");
  assertEquals(output.code, 0);
});
