/**
 * Runs a program on data of ours (`BPF_PROG_TEST_RUN`).
 *
 * @module
 */

import type { BpfProgram, TestRun, TestRunResult } from "./bpf.ts";
import { COMMAND, TEST_RUN } from "./layouts.ts";
import { fixedBytes, fixedCopy, Structure } from "./structure.ts";
import { bpf } from "./system_call.ts";

/** Default room for what a program may add. */
const DEFAULT_GROWTH_BYTES = 256;

/** Runs `program` and waits for it. */
export function testRunProgram(
  program: BpfProgram,
  { data, repeat = 1, context, dataOutBytes }: TestRun,
): TestRunResult {
  const dataOut = fixedBytes(
    dataOutBytes ?? data.length + DEFAULT_GROWTH_BYTES,
  );
  const contextOut = fixedBytes(context?.length ?? 0);
  const attributes = new Structure(TEST_RUN)
    .set("program", program.descriptor)
    .set("repeat", repeat)
    .set("dataInBytes", data.length)
    .point("dataIn", fixedCopy(data))
    .set("dataOutBytes", dataOut.length)
    .point("dataOut", dataOut);
  if (context !== undefined) {
    attributes
      .set("contextInBytes", context.length)
      .point("contextIn", fixedCopy(context))
      .set("contextOutBytes", contextOut.length)
      .point("contextOut", contextOut);
  }
  bpf(
    `run the program ${program.name} on test data`,
    COMMAND.programTestRun,
    attributes,
  );
  return {
    returnValue: attributes.get("returnValue"),
    data: dataOut.slice(0, attributes.get("dataOutBytes")),
    durationNs: attributes.get("durationNs"),
    ...(context === undefined ? {} : { context: contextOut }),
  };
}
