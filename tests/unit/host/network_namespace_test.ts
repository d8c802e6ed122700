import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { networkNamespaceOf } from "../../../host/network_namespace.ts";

/** Runs `cat` behind `prefix`, for as long as `body` takes. */
async function withProcess(
  prefix: readonly string[],
  body: (pid: number) => void,
): Promise<void> {
  const [program, ...args] = [...prefix, "cat"];
  const process = new Deno.Command(program!, {
    args,
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  const reader = process.stdout.getReader();
  // What it answers, it says from where it is.
  await writer.write(new TextEncoder().encode("there\n"));
  await reader.read();
  try {
    body(process.pid);
  } finally {
    await writer.close();
    await reader.cancel();
    await process.status;
  }
}

Deno.test("processes of one network namespace have one number, others another", async () => {
  const ours = networkNamespaceOf("self");
  await withProcess([], (pid) => assertEquals(networkNamespaceOf(pid), ours));
  await withProcess(
    ["unshare", "--net"],
    (pid) => assertNotEquals(networkNamespaceOf(pid), ours),
  );
});

Deno.test("a process that is gone has none", () => {
  assertThrows(() => networkNamespaceOf(2 ** 30), Deno.errors.NotFound);
});
