/**
 * The kernels that tests can run on: Debian's.
 *
 * @module
 */

import { AMD64, type Architecture, ARM64 } from "./architecture.ts";
import type { CardName } from "./cards.ts";

/** One kernel, by Debian's names of its packages. */
export interface Kernel {
  /** What a person calls it: `6.1`. */
  readonly name: string;
  readonly architecture: Architecture;
  readonly suite: string;
  /** Regular expressions; the newest package that matches each is taken. */
  readonly packages: readonly string[];
  /** Cards whose drivers it has. */
  readonly cards: readonly CardName[];
}

/** The kernels for clouds have no driver of a real card. */
const USUAL = { architecture: AMD64, cards: ["virtio"] } as const;

/** Since 7.2 the image's package is empty, and its parts are two others. */
export const KERNELS: readonly Kernel[] = [
  image(
    "5.10",
    "bullseye-security",
    String.raw`5\.10\.0-[0-9]+(-cloud)?-amd64`,
  ),
  image("6.1", "bookworm-security", String.raw`6\.1\.0-[0-9]+-cloud-amd64`, {
    cards: ["virtio", "vmxnet3", "virtio-66-processors"],
  }),
  image(
    "6.12",
    "trixie-security",
    String.raw`6\.12\.[0-9]+\+deb13-cloud-amd64`,
    {
      cards: [
        "virtio",
        "vmxnet3",
        "virtio-2-queues",
        "virtio-2-queues-plain",
        "virtio-replugged",
        "virtio-lockdown",
      ],
    },
  ),
  image(
    "6.12-full",
    "trixie-security",
    String.raw`6\.12\.[0-9]+\+deb13-amd64`,
    { cards: ["e1000e", "igb"] },
  ),
  {
    ...parts(
      "7.3",
      "trixie-backports",
      String.raw`7\.3\.[0-9]+\+deb13-cloud-amd64`,
    ),
    cards: ["virtio", "vmxnet3"],
  },
  image(
    "6.12-arm64",
    "trixie-security",
    String.raw`6\.12\.[0-9]+\+deb13-cloud-arm64`,
    { architecture: ARM64 },
  ),
  image(
    "6.12-arm64-16k",
    "trixie-security",
    String.raw`6\.12\.[0-9]+\+deb13-arm64-16k`,
    { architecture: ARM64 },
  ),
];

/** The suites that have the kernels of an architecture. */
export function suitesOf(architecture: Architecture): string[] {
  const kernels = KERNELS.filter((kernel) =>
    kernel.architecture === architecture
  );
  return [...new Set(kernels.map(({ suite }) => suite))];
}

function image(
  name: string,
  suite: string,
  version: string,
  options: Partial<Kernel> = {},
): Kernel {
  const packages = [`linux-image-${version}(-unsigned)?`];
  return { ...USUAL, name, suite, packages, ...options };
}

function parts(name: string, suite: string, version: string): Kernel {
  const packages = ["binary", "modules"].map((part) =>
    `linux-${part}-${version}`
  );
  return { ...USUAL, name, suite, packages };
}
