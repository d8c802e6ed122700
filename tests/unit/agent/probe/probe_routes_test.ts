import { assertEquals } from "@std/assert";
import { probeRoutes } from "../../../../agent/probe/probe_routes.ts";
import type { ProbeService } from "../../../../agent/probe/probe_service.ts";
import { SystemCallError } from "../../../../linux/errno.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";

const PEER = "10.1.6.0/24";

/** A service that answers what a test says. */
function service(parts: Partial<ProbeService> = {}): ProbeService {
  return {
    address: parseIpv4("10.1.5.0")!,
    failure: undefined,
    peers: { get: (key: string) => key === PEER ? {} : undefined },
    probeNow: (key: string, bytes: number) =>
      Promise.resolve({ udpMs: bytes, icmpMs: key.length }),
    ask: (_key: string, question: Uint8Array) =>
      Promise.resolve({ rttMs: 2, content: question.toReversed() }),
    ...parts,
  } as ProbeService;
}

async function get(
  path: string,
  headers: Readonly<Record<string, string>>,
  of: ProbeService | undefined = service(),
): Promise<[number, unknown]> {
  const handler = probeRoutes(() => of).get(path)!;
  const { body, status } = await handler({
    method: "GET",
    path,
    headers: new Map(Object.entries(headers)),
  });
  const text = String(body);
  return [status, status === 200 ? JSON.parse(text) : text];
}

Deno.test("/probe probes a peer with a packet of the given size, or a small one", async () => {
  assertEquals(await get("/probe", { peer: PEER, bytes: "1400" }), [
    200,
    { udpMs: 1_400, icmpMs: PEER.length },
  ]);
  assertEquals(await get("/probe", { peer: PEER }), [
    200,
    { udpMs: 68, icmpMs: PEER.length },
  ]);
  for (const bytes of ["67", "65536", "1e9", "many", "", "1400.5", "NaN"]) {
    const [status] = await get("/probe", { peer: PEER, bytes });
    assertEquals(status, 400, bytes);
  }
});

Deno.test("/ask passes the question's bytes on, and the answer's back", async () => {
  const question = "AQL_";
  assertEquals(await get("/ask", { peer: PEER, question }), [
    200,
    { answer: "_wIB", rttMs: 2 },
  ]);
  const silent = service({ ask: () => Promise.resolve(undefined) });
  assertEquals(await get("/ask", { peer: PEER, question }, silent), [
    200,
    { answer: null, rttMs: null },
  ]);
  const long = "A".repeat(1_600);
  assertEquals((await get("/ask", { peer: PEER, question: long }))[0], 400);
});

Deno.test("a subnet that no peer has, and a host without probes, are told apart", async () => {
  for (const peer of ["10.1.7.0/24", "no subnet", ""]) {
    assertEquals((await get("/probe", { peer }))[0], 404, peer);
  }
  assertEquals((await get("/ask", {}))[0], 404);
  const taken = service({
    address: undefined as never,
    failure: new SystemCallError("listen on UDP 10.1.5.0:8286", 98),
  });
  assertEquals(await get("/probe", { peer: PEER }, taken), [
    503,
    "Cannot listen on UDP 10.1.5.0:8286: the kernel answered EADDRINUSE\n",
  ]);
  const handler = probeRoutes(() => undefined).get("/ask")!;
  const { status } = await handler({
    method: "GET",
    path: "/ask",
    headers: new Map(),
  });
  assertEquals(status, 503);
});
