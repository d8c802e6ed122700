/**
 * The benchmark's programs that stay and answer questions.
 *
 * @module
 */

import { assert, assertRejects } from "@std/assert";
import { Conversation } from "../../bench/measure/conversation.ts";
import type { NetNamespace } from "../rig/namespace.ts";
import { testInNamespace } from "./in_namespace.ts";

const HERE = { commandPrefix: ["env"] } as unknown as NetNamespace;
const ADDRESS = "127.0.0.1";

testInNamespace("The benchmark's programs", import.meta.url, () => {
  Deno.test("round trips are made as often as they are asked for", async () => {
    const start = (role: string) =>
      Conversation.start(HERE, [], [
        ...["request_response.ts", role, ADDRESS, "1"] as const,
      ]);
    await using _serving = await start("serve");
    await using asking = await start("ask");
    for (let turn = 0; turn < 2; turn++) {
      const { p50Us, p99Us, perSecond } = await asking.ask<
        Record<"perSecond" | "p50Us" | "p99Us", number>
      >(20);
      assert(perSecond > 0 && p50Us > 0 && p99Us >= p50Us);
    }
  });

  for (const [port, how] of ["messages", "segmented"].entries()) {
    Deno.test(`${how}: packets are counted while they are sent`, async () => {
      const words = [ADDRESS, `${port + 1}`] as const;
      await using receiver = await Conversation.start(
        HERE,
        // As in the benchmark: other tests take no time from it.
        ["chrt", "--rr", "2"],
        ["udp_receive.ts", ...words],
      );
      await using sender = await Conversation.start(
        HERE,
        ["taskset", "--cpu-list", "0"],
        ["udp_send.ts", ...words, how],
      );
      for (let turn = 0; turn < 2; turn++) {
        const [perSecond, nanoseconds] = await Promise.all([
          receiver.ask<number>(40),
          sender.ask<number>(80),
        ]);
        assert(perSecond > 0 && nanoseconds > 0);
      }
    });
  }

  Deno.test("a program that cannot work ends, and that is an error", async () => {
    await assertRejects(
      () =>
        Conversation.start(HERE, [], [
          ...["request_response.ts", "ask", ADDRESS, "1"] as const,
        ]),
      Error,
      "request_response.ts must answer: it ended with code 1",
    );
  });
});
