import { assertEquals, assertThrows } from "@std/assert";
import { AgentInNamespaceError } from "../../../../agent/errors.ts";
import { instancePaths } from "../../../../agent/instance/instance.ts";
import { claimNamespace } from "../../../../agent/instance/namespace_claim.ts";
import { libc } from "../../../../linux/libc.ts";
import { NamespaceLock } from "../../../../linux/namespace_lock.ts";
import { abstractSockets } from "../../../../linux/unix_sockets.ts";
import { CapturedLogs } from "../../../support/capture_logs.ts";
import { FakeRandom } from "../../../fakes/fake_random.ts";

const NOBODY = 65534;
const SETFSUID = Deno.build.arch === "x86_64" ? 122 : 151;

/** What is made meanwhile belongs to another user: setfsuid(2), of this thread. */
function asNobody<T>(make: () => T): T {
  libc().syscall(SETFSUID, NOBODY, 0, 0);
  try {
    return make();
  } finally {
    libc().syscall(SETFSUID, 0, 0, 0);
  }
}

/** A network that nothing else on this machine has. */
function network() {
  const prefix = `/claim-${crypto.randomUUID()}`;
  const paths = instancePaths("/nowhere", prefix);
  return {
    socketName: `loden/${paths.name}`,
    claim: (isAgent = true) =>
      claimNamespace(paths, prefix, {
        random: new FakeRandom(Math.floor(Math.random() * 1e9)),
        mayBeAgents: () => isAgent,
      }),
  };
}

Deno.test("a network is claimed once, under the name that earlier versions use", () => {
  const { claim, socketName } = network();
  {
    using _first = claim();
    assertEquals(NamespaceLock.acquire(socketName), undefined);
    assertThrows(() => claim(), AgentInNamespaceError);
    using _other = network().claim();
  }
  using _again = claim();
});

Deno.test("the claim of an agent of an earlier version is honoured", () => {
  const { claim, socketName } = network();
  // It binds the name, and that is all that it does.
  using _former = NamespaceLock.acquire(socketName);
  assertThrows(() => claim(), AgentInNamespaceError);
});

Deno.test("another user's process that has the name blocks nobody, and two agents exclude each other all the same", () => {
  using logs = new CapturedLogs();
  const { claim, socketName } = network();
  using squatter = asNobody(() => NamespaceLock.acquire(socketName)!);
  assertEquals(
    abstractSockets().find(({ name }) => name === socketName)?.uid,
    NOBODY,
  );
  using first = claim();
  assertEquals(logs.events("agent.claim-ignored").length, 1);
  assertThrows(() => claim(), AgentInNamespaceError);
  // Also when the name is free again.
  squatter[Symbol.dispose]();
  assertThrows(() => claim(), AgentInNamespaceError);
  first[Symbol.dispose]();
  using _next = claim();
});

Deno.test("another user who takes many names beside the network's blocks nobody", () => {
  const { claim, socketName } = network();
  using stack = new DisposableStack();
  for (let number = 0; number < 300; number++) {
    const name = `${socketName}/${number}`;
    stack.use(asNobody(() => NamespaceLock.acquire(name)!));
  }
  using _claim = claim();
});

Deno.test("a process of root's that cannot be an agent blocks nobody", () => {
  const { claim, socketName } = network();
  using _squatter = NamespaceLock.acquire(socketName);
  using _claim = claim(false);
});
