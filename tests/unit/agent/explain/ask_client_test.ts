import { assertEquals, assertRejects } from "@std/assert";
import {
  AgentAnswerError,
  AgentNotRunningError,
} from "../../../../agent/errors.ts";
import {
  askPeer,
  CannotAskError,
} from "../../../../agent/explain/ask_client.ts";
import { instancePaths } from "../../../../agent/instance/instance.ts";
import type {
  PlainAnswer,
  PlainRequest,
} from "../../../../agent/status/http_message.ts";
import { StatusServer } from "../../../../agent/status/status_server.ts";
import { parseCidr } from "../../../../net/cidr.ts";

const SUBNET = parseCidr("10.1.7.0/24")!;
const QUESTION = Uint8Array.of(0xfb, 0xff, 1);
const { signal } = new AbortController();

/** Asks an agent that answers so; what it was asked is kept. */
async function ask(answer: PlainAnswer) {
  const runDir = await Deno.makeTempDir();
  const paths = instancePaths(runDir, "/a");
  const asked: PlainRequest[] = [];
  const server = StatusServer.start(
    paths,
    new Map([["/ask", (request: PlainRequest) => {
      asked.push(request);
      return answer;
    }]]),
  );
  try {
    const found = await askPeer(paths.socket, SUBNET, QUESTION, signal);
    return { found, headers: asked[0]!.headers };
  } finally {
    await server.stop();
    await Deno.remove(runDir, { recursive: true });
  }
}

const says = (status: number, body: string): PlainAnswer => ({ status, body });

Deno.test("the agent is given the peer and the question, and gives the answer", async () => {
  const { found, headers } = await ask(says(200, '{"answer":"-_8B"}'));
  assertEquals(found, QUESTION);
  assertEquals(
    [headers.get("peer"), headers.get("question")],
    ["10.1.7.0/24", "-_8B"],
  );
});

Deno.test("no answer of the peer is none", async () => {
  assertEquals((await ask(says(200, '{"answer":null}'))).found, undefined);
});

Deno.test("an agent that cannot ask says why", async () => {
  await assertRejects(
    () => ask(says(503, "probes are off\n")),
    CannotAskError,
    "Cannot ask the other agent: probes are off",
  );
});

Deno.test("what is no answer of an agent is refused", async () => {
  for (const body of ["", "{}", '{"answer":1}', '{"answer":"?"}', "[]"]) {
    await assertRejects(() => ask(says(200, body)), AgentAnswerError);
  }
});

Deno.test("without an agent there is no one to ask", async () => {
  await assertRejects(
    () => askPeer("/nonexistent/socket", SUBNET, QUESTION, signal),
    AgentNotRunningError,
  );
});
