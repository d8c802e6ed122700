import { ProgramPath } from "../support/packet_paths.ts";
import { UNDERLAY } from "../support/program_world.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import { packetFatesContract } from "./packet_fates_contract.ts";

testInNamespace("programs decide as the table says", import.meta.url, () => {
  runSync("ip", ["link", "set", "lo", "address", UNDERLAY.mac]);

  packetFatesContract(
    "the programs",
    "programs",
    (surroundings) => new ProgramPath(surroundings),
  );
});
