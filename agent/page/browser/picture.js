// The picture of the peers: this host in the middle, and the hosts that it reaches.

import { setText, svgElement } from "./dom.js";
import { cellsOf, hasTrouble, ordered, reachCounts, reachOf } from "./peers.js";
import { count, counted } from "./text.js";

/** With so many, each has its address beside it. */
const MOST_NAMED = 12;
/** So many lie on a ring, and each has a line; with more, only trouble has one. */
const MOST_ON_RING = 48;
/** More peers share dots. */
const MOST_DOTS = 1500;
/** Each turn of a sunflower's seeds: no two lie in one direction. */
const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5));
const WORST_FIRST = ["silent", "trouble", "unknown", "reached"];

/** Where the dots are: on a ring, or as the seeds of a sunflower. */
export function places(number) {
  if (number <= MOST_ON_RING) {
    const [ring, radius] = number <= MOST_NAMED ? [70, 5.5] : [98, 4.5];
    return Array.from({ length: number }, (_, index) => {
      const turn = number === 1 ? 0.25 : (index + 0.5) / number;
      const angle = 2 * Math.PI * turn - Math.PI / 2;
      return { x: ring * Math.cos(angle), y: ring * Math.sin(angle), radius };
    });
  }
  const radius = Math.max(1, Math.min(4.5, 55 / Math.sqrt(number)));
  return Array.from({ length: number }, (_, index) => {
    const angle = index * GOLDEN_ANGLE;
    const distance = 16 + 90 * Math.sqrt((index + 0.5) / number);
    return {
      x: distance * Math.cos(angle),
      y: distance * Math.sin(angle),
      radius,
    };
  });
}

/** The peers of each dot, neighbours by subnet, and the worst state of them. */
export function dotsOf(peers) {
  const sorted = ordered(peers, "subnet", false);
  const share = Math.max(1, Math.ceil(sorted.length / MOST_DOTS));
  const dots = [];
  for (let first = 0; first < sorted.length; first += share) {
    const group = sorted.slice(first, first + share);
    const states = group.map(reachOf);
    dots.push({
      peers: group,
      state: WORST_FIRST.find((state) => states.includes(state)),
    });
  }
  return { dots, share };
}

/** What the picture says, in words. */
export function describePicture(peers) {
  if (peers.length === 0) return "There are no other hosts yet.";
  const { reached, silent, trouble, unknown } = reachCounts(peers);
  const words = [
    [reached, "reached"],
    [trouble, "reached with trouble"],
    [silent, "not reached"],
    [unknown, "not measured"],
  ].filter(([number]) => number > 0)
    .map(([number, word]) => `${count(number)} ${word}`);
  return `This host and ${counted(peers.length, "peer")}: ${words.join(", ")}.`;
}

export class Picture {
  #svg;
  #text;
  #choose;
  #drawn = "";

  /** `choose` is called with the subnet of a dot that is clicked. */
  constructor(svg, text, choose) {
    this.#svg = svg;
    this.#text = text;
    this.#choose = choose;
  }

  draw(peers, nowMs) {
    const { dots, share } = dotsOf(peers);
    const note = share === 1 ? "" : ` One dot stands for ${share} peers.`;
    setText(this.#text, describePicture(peers) + note);
    const drawn = JSON.stringify(
      dots.map(({ peers, state }) => [peers[0].subnet, peers.length, state]),
    );
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const isNamed = dots.length <= MOST_NAMED;
    const spots = places(dots.length);
    const ways = [];
    const marks = [];
    dots.forEach(({ peers, state }, index) => {
      const spot = spots[index];
      const isOnRing = dots.length <= MOST_ON_RING;
      if (isOnRing || state === "silent" || state === "trouble") {
        ways.push(svgElement("line", {
          class: `way ${state}`,
          x2: spot.x.toFixed(1),
          y2: spot.y.toFixed(1),
        }));
      }
      const mark = this.#mark(peers, state, spot, isNamed, nowMs);
      // The last is on top.
      if (state === "silent" || state === "trouble") marks.push(mark);
      else marks.unshift(mark);
      if (isNamed) marks.push(name(peers[0], spot));
    });
    // Room for the addresses beside the ring; seeds need none.
    this.#svg.setAttribute(
      "viewBox",
      isNamed ? "-172 -92 344 184" : "-114 -114 228 228",
    );
    this.#svg.replaceChildren(
      ...ways,
      svgElement("circle", { class: "self", r: 7 }),
      ...marks,
    );
  }

  /** Shapes differ as well as colours: a circle, a diamond, a square. */
  #mark(peers, state, { x, y, radius }, isNamed, nowMs) {
    const kind = `peer ${state}${isNamed ? "" : " many"}`;
    const stands = state === "silent" || state === "trouble";
    const size = stands ? Math.max(radius, 2.5) : radius;
    const mark = stands
      ? svgElement("rect", {
        class: kind,
        x: (-size).toFixed(2),
        y: (-size).toFixed(2),
        width: (2 * size).toFixed(2),
        height: (2 * size).toFixed(2),
        transform: `translate(${x.toFixed(2)} ${y.toFixed(2)})${
          state === "trouble" ? " rotate(45)" : ""
        }`,
      })
      : svgElement("circle", {
        class: kind,
        cx: x.toFixed(2),
        cy: y.toFixed(2),
        r: size.toFixed(2),
      });
    const worst = peers.find(hasTrouble) ?? peers[0];
    const { host, reach, subnet } = cellsOf(worst, nowMs);
    const more = peers.length === 1 ? "" : ` and ${peers.length - 1} more`;
    mark.append(
      svgElement("title", {}, `${subnet} on ${host}: ${reach}${more}`),
    );
    mark.addEventListener("click", () => this.#choose(subnet));
    return mark;
  }
}

function name({ subnet }, { x, y }) {
  const isLeft = x < -1;
  return svgElement(
    "text",
    {
      x: (x + (isLeft ? -10 : 10)).toFixed(1),
      y: (y + 4).toFixed(1),
      "text-anchor": isLeft ? "end" : "start",
    },
    String(subnet),
  );
}
