/**
 * What every {@linkcode Ethtool} does. Run on the kernel's and on the fake.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { ERRNO, SystemCallError } from "../../linux/errno.ts";
import { type Ethtool, FeatureRefusedError } from "../../linux/ethtool.ts";

/** A veth as the kernel makes it. */
export interface EthtoolWorld extends Disposable {
  readonly ethtool: Ethtool;
  readonly veth: string;
}

/** Registers the tests; `makeWorld` makes a new world for each. */
export function ethtoolContract(
  implementation: string,
  makeWorld: () => EthtoolWorld,
): void {
  const test = (sentence: string, prove: (world: EthtoolWorld) => void) =>
    Deno.test(`${implementation} ${sentence}`, () => {
      using world = makeWorld();
      prove(world);
    });
  const active = ({ ethtool, veth }: EthtoolWorld, ...names: string[]) => {
    const features = ethtool.features(veth);
    return names.map((name) => features.get(name)?.active);
  };

  test("reports what is on and what can be changed", ({ ethtool, veth }) => {
    const features = ethtool.features(veth);
    assertEquals(features.get("tx-udp-segmentation"), {
      active: true,
      requested: true,
      changeable: true,
    });
    assertEquals(features.get("rx-lro"), {
      active: false,
      requested: false,
      changeable: false,
    });
    assertEquals(features.get("no-such-offload"), undefined);
    assertEquals(features.has(""), false);
  });

  test("changes the named offloads and leaves the others", (world) => {
    const { ethtool, veth } = world;
    ethtool.setFeatures(veth, {
      "tx-udp-segmentation": false,
      "tx-tcp-segmentation": false,
    });
    const names = [
      "tx-udp-segmentation",
      "tx-tcp-segmentation",
      "tx-tcp6-segmentation",
      "tx-generic-segmentation",
    ];
    assertEquals(active(world, ...names), [false, false, true, true]);
    ethtool.setFeatures(veth, { "tx-udp-segmentation": true });
    assertEquals(active(world, ...names), [true, false, true, true]);
  });

  test("accepts a value that is set already, fixed or not", ({ ethtool, veth }) => {
    ethtool.setFeatures(veth, { "tx-udp-segmentation": true, "rx-lro": false });
    ethtool.setFeatures(veth, {});
  });

  test("changes what it can and names what it cannot", (world) => {
    const { ethtool, veth } = world;
    const error = assertThrows(
      () =>
        ethtool.setFeatures(veth, {
          "rx-lro": true,
          "no-such-offload": false,
          "tx-tcp-segmentation": false,
        }),
      FeatureRefusedError,
    );
    assertEquals(
      error.message,
      `Cannot set the offloads of ${veth}: rx-lro must be on, ` +
        "no-such-offload must be off: current value is off [fixed], " +
        "unknown to this kernel",
    );
    assertEquals(error.features, ["rx-lro", "no-such-offload"]);
    assertEquals(active(world, "tx-tcp-segmentation"), [false]);
  });

  test("names the driver", ({ ethtool, veth }) => {
    assertEquals(ethtool.driver(veth), "veth");
  });

  test("says when there is no such device", ({ ethtool }) => {
    for (const name of ["absent", "a-name-that-is-too-long"]) {
      for (
        const attempt of [
          () => ethtool.features(name),
          () => ethtool.setFeatures(name, { "rx-gro": true }),
          () => ethtool.driver(name),
        ]
      ) {
        const error = assertThrows(attempt, SystemCallError, name);
        assertEquals(error.errno, ERRNO.ENODEV);
      }
    }
  });
}
