import { UserSpacePath } from "../support/packet_paths.ts";
import { packetFatesContract } from "./packet_fates_contract.ts";

packetFatesContract(
  "the user-space path",
  "userSpace",
  (surroundings) => new UserSpacePath(surroundings),
);
