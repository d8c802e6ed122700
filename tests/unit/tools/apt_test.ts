import { assertEquals } from "@std/assert";
import { failuresOfUpdate } from "../../../tools/apt.ts";

Deno.test("mirrors that do not answer are named, although apt-get update ends with code 0", () => {
  const said = `Ign:1 http://mirror.example/debian trixie InRelease
Err:1 http://mirror.example/debian trixie InRelease
  Temporary failure resolving 'mirror.example'
Reading package lists...
W: Failed to fetch http://mirror.example/debian/dists/trixie/InRelease  Temporary failure resolving 'mirror.example'
W: Some index files failed to download. They have been ignored, or old ones used instead.
`;
  assertEquals(failuresOfUpdate(said), [
    "W: Failed to fetch http://mirror.example/debian/dists/trixie/InRelease  " +
    "Temporary failure resolving 'mirror.example'",
  ]);
});
