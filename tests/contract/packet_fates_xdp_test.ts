import { assert, assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import {
  VERDICT,
  XDP_VERDICT,
} from "../../backend/udp/ebpf/programs/layout.ts";
import { ipv4FromBytes } from "../../net/ipv4.ts";
import { address } from "../support/kernel_world.ts";
import {
  macBytes,
  PROGRAM_HOST,
  type ProgramPeer,
  type ProgramRun,
  ProgramWorld,
  UNDERLAY,
} from "../support/program_world.ts";
import { unpadded } from "../support/packet_paths.ts";
import { underlayFrames } from "../support/random_frames.ts";
import { holderOf } from "../support/slow_packets.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";
import { arriving, HOLDERS, inner, RECEIVED } from "./packet_fates_contract.ts";
import { FUZZ_CASES } from "../support/fuzz_cases.ts";

const SENDER_CHECKS = ["strict", "count", "off"] as const;
const RUNS = Math.max(3_000, FUZZ_CASES);
const MARK_BYTES = 4;
const ETHERNET_BYTES = 14;
const OUTER_BYTES = 28;
const INNER_AT = 42;
const IP_SOURCE = 12;
const PLAIN_HEADER = 0x45;

/** The stripped frame; `undefined` for one that was passed on as it came. */
function stripped(
  { frame, verdict }: ProgramRun,
  given: Uint8Array,
): Uint8Array | undefined {
  assertEquals(verdict, XDP_VERDICT.PASS);
  if (frame.length === given.length) {
    assertEquals(frame, given);
    return undefined;
  }
  assertEquals(frame.length, given.length - OUTER_BYTES + MARK_BYTES);
  const mark = new DataView(frame.buffer).getUint32(0, true);
  assertEquals(mark, PROGRAM_HOST.mark);
  return frame.subarray(MARK_BYTES);
}

/** Throws when the XDP program does otherwise than it may, seen from `loden_rx`. */
function check(world: ProgramWorld, given: Uint8Array, name = ""): boolean {
  const about = `${name} ${given.toHex()}`;
  const early = world.run("xdp", given);
  const late = world.run("rx", given);
  const frame = stripped(early, given);
  // Options are for the program that has time for them, and packets that no host
  // knows for the one that counts them.
  const mayBeStripped = late.verdict === VERDICT.REDIRECT &&
    given[INNER_AT] === PLAIN_HEADER &&
    holderOf(ipv4FromBytes(given, INNER_AT + IP_SOURCE), HOLDERS) ===
      ipv4FromBytes(given, ETHERNET_BYTES + IP_SOURCE);
  if (frame === undefined) {
    assertEquals(early.counters, {}, about);
    assertEquals(mayBeStripped, false, about);
    return false;
  }
  assert(mayBeStripped, about);
  assertEquals(early.counters, late.counters, about);
  assertEquals(unpadded(frame), unpadded(late.frame), about);
  // The padding is still there, and nothing else.
  assertEquals(
    frame.subarray(ETHERNET_BYTES),
    given.subarray(ETHERNET_BYTES + OUTER_BYTES),
    about,
  );
  return true;
}

function refusing(helper: "xdp_adjust_head" | "xdp_adjust_meta") {
  return new ProgramWorld({}, HOLDERS, "merge", helper);
}

testInNamespace(
  "loden_xdp strips what loden_rx would take",
  import.meta.url,
  () => {
    runSync("ip", ["link", "set", "lo", "address", UNDERLAY.mac]);

    for (const row of RECEIVED) {
      const verb = row.programs === "strip" ? "strips" : "passes on";
      Deno.test(`loden_xdp ${verb} ${row.name}`, () => {
        using world = new ProgramWorld(
          { senderCheck: row.senderCheck ?? "strict" },
          HOLDERS,
        );
        const isStripped = check(world, row.frame);
        // Such a packet is a holder's own, whatever the check.
        const isHolders = row.name.startsWith("a holder's own");
        assertEquals(isStripped, row.programs === "strip" || isHolders);
      });
    }

    for (const senderCheck of SENDER_CHECKS) {
      Deno.test(`random and mutated frames are stripped if and only if they would be taken, with the sender check ${senderCheck}`, () => {
        using world = new ProgramWorld({ senderCheck }, HOLDERS);
        let count = 0;
        fc.assert(
          fc.property(
            underlayFrames({
              senders: [
                ...HOLDERS.map(({ publicIp }) => publicIp),
                address("192.0.2.99"),
              ],
              sources: ["10.1.2.5", "10.1.2.5", "10.1.3.5", "10.1.2.200"]
                .map(address),
              destinations: ["10.1.1.7", "10.1.1.0", "10.1.2.7"].map(address),
            }),
            (frame) => {
              if (check(world, frame)) count++;
            },
          ),
          { numRuns: RUNS },
        );
        assert(count > RUNS / 100, `${count} of ${RUNS} were stripped`);
      });
    }

    Deno.test("a packet passes whole through a driver that has no room for a mark", () => {
      using world = refusing("xdp_adjust_meta");
      const given = arriving(inner());
      const { counters, frame, verdict } = world.run("xdp", given);
      assertEquals(verdict, XDP_VERDICT.PASS);
      assertEquals(frame, given);
      assertEquals(counters, {});
    });

    Deno.test("a packet whose headers cannot be removed is dropped and counted", () => {
      using world = refusing("xdp_adjust_head");
      const { counters, verdict } = world.run("xdp", arriving(inner()));
      assertEquals(verdict, XDP_VERDICT.DROP);
      assertEquals(counters, { "rx.drop.noRoom": 1 });
    });

    Deno.test("a stripped frame is for the overlay device, and not for the underlay's", () => {
      using world = new ProgramWorld();
      const packet = inner({ payload: new Uint8Array() });
      const { frame } = world.run("xdp", arriving(packet));
      const mac = world.host.device.mac.toHex();
      assertNotEquals(mac, macBytes(UNDERLAY.mac).toHex());
      assertEquals(
        frame.toHex(),
        // The mark, both addresses, IPv4.
        "65646f4c" + mac + mac + "0800" + packet.toHex(),
      );
    });

    Deno.test("a peer whose deadline is over is left to loden_rx", () => {
      const over: ProgramPeer[] = HOLDERS.map((one) => ({
        ...one,
        deadlineNs: 1n,
      }));
      using world = new ProgramWorld({}, over);
      const given = arriving(inner());
      assertEquals(stripped(world.run("xdp", given), given), undefined);
    });

    Deno.test("each of 28 to 62 bytes of a frame is too short to be stripped, but for the last", () => {
      using world = new ProgramWorld();
      const whole = arriving(inner({ payload: new Uint8Array() }).slice(0, 20));
      for (let bytes = ETHERNET_BYTES + 20; bytes < whole.length; bytes++) {
        assertEquals(check(world, whole.slice(0, bytes)), false, `${bytes}`);
      }
    });
  },
);
