import { assertEquals, assertNotEquals } from "@std/assert";
import { systemRandom } from "../../../linux/random.ts";
import { makeX25519Key, x25519PublicKey } from "../../../linux/x25519.ts";

/** RFC 7748, section 6.1. */
const KNOWN = {
  "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a":
    "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
  "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb":
    "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
};

Deno.test("a public key follows from the private one as in RFC 7748", () => {
  for (const [privateKey, publicKey] of Object.entries(KNOWN)) {
    assertEquals(
      x25519PublicKey(Uint8Array.fromHex(privateKey)).toHex(),
      publicKey,
    );
  }
});

Deno.test("a new private key is clamped, and is another one each time", () => {
  const [first, second] = [0, 1].map(() => makeX25519Key(systemRandom));
  for (const key of [first!, second!]) {
    assertEquals(key.length, 32);
    assertEquals([key[0]! & 0b111, key[31]! >> 6], [0, 0b01]);
  }
  assertNotEquals(first, second);
});
