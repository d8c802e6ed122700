import { assertEquals } from "@std/assert";
import {
  getXdpRequest,
  NO_PROGRAM,
  parseXdp,
  setXdpRequest,
} from "../../../../linux/netlink/xdp.ts";
import { fromHex, toHex } from "./hex.ts";

/** `struct ifinfomsg` of device 7. */
const HEADER = "00 00 00 00 07 00 00 00 00 00 00 00 00 00 00 00";

const attributesOf = (request: { payload: Uint8Array }) => {
  assertEquals(toHex(request.payload.subarray(0, 16)), HEADER);
  return toHex(request.payload.subarray(16));
};

Deno.test("one device is asked for", () => {
  const { type, flags, payload } = getXdpRequest(7);
  assertEquals([type, flags, toHex(payload)], [18, 0, HEADER]);
});

Deno.test("a program is put into the driver, and only where there is none", () => {
  const request = setXdpRequest(7, 9, undefined);
  assertEquals(request.type, 19);
  assertEquals(
    attributesOf(request),
    // IFLA_XDP { IFLA_XDP_FD 9, IFLA_XDP_FLAGS UPDATE_IF_NOEXIST | DRV_MODE }.
    "14 00 2b 80 08 00 01 00 09 00 00 00 08 00 03 00 05 00 00 00",
  );
});

Deno.test("a program takes the place of the one that is expected there", () => {
  assertEquals(
    attributesOf(setXdpRequest(7, 9, 8)),
    // DRV_MODE | REPLACE; IFLA_XDP_EXPECTED_FD 8.
    "1c 00 2b 80 08 00 01 00 09 00 00 00 08 00 03 00 14 00 00 00 " +
      "08 00 08 00 08 00 00 00",
  );
});

Deno.test("no program is descriptor -1, with and without an expectation", () => {
  assertEquals(
    attributesOf(setXdpRequest(7, NO_PROGRAM, undefined)),
    "14 00 2b 80 08 00 01 00 ff ff ff ff 08 00 03 00 04 00 00 00",
  );
  assertEquals(
    attributesOf(setXdpRequest(7, NO_PROGRAM, 8)),
    "1c 00 2b 80 08 00 01 00 ff ff ff ff 08 00 03 00 14 00 00 00 " +
      "08 00 08 00 08 00 00 00",
  );
});

const answer = (xdp: string) => fromHex(`${HEADER} ${xdp}`);

Deno.test("a free hook has no program", () => {
  assertEquals(parseXdp(answer("")), undefined);
  // IFLA_XDP_ATTACHED none.
  assertEquals(
    parseXdp(answer("0c 00 2b 80 05 00 02 00 00 00 00 00")),
    undefined,
  );
});

Deno.test("the program of each mode is read, with its mode", () => {
  const withMode = (attached: string, attribute: string) =>
    parseXdp(answer(
      `1c 00 2b 80 05 00 02 00 ${attached} 00 00 00 ` +
        `08 00 04 00 2a 00 00 00 08 00 ${attribute} 00 2a 00 00 00`,
    ));
  assertEquals(withMode("01", "05"), { id: 42, mode: "native" });
  assertEquals(withMode("02", "06"), { id: 42, mode: "generic" });
  assertEquals(withMode("03", "07"), { id: 42, mode: "offloaded" });
});

Deno.test("of several programs the driver's is the one", () => {
  assertEquals(
    parseXdp(answer(
      // XDP_ATTACHED_MULTI: generic 41, native 42.
      "1c 00 2b 80 05 00 02 00 04 00 00 00 " +
        "08 00 06 00 29 00 00 00 08 00 05 00 2a 00 00 00",
    )),
    { id: 42, mode: "native" },
  );
});

Deno.test("an older kernel's one id belongs to the mode that it names", () => {
  assertEquals(
    parseXdp(
      answer("14 00 2b 80 05 00 02 00 02 00 00 00 08 00 04 00 2a 00 00 00"),
    ),
    { id: 42, mode: "generic" },
  );
});
