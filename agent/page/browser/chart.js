// A live chart: a legend with the present values, and lines of the last minutes.

import { element, setAttribute, setText, svgElement } from "./dom.js";
import { niceCeiling, WINDOW_MS } from "./rates.js";

const WIDTH = 300;
const HEIGHT = 88;

export class Chart {
  #lines;
  #least;
  #format;
  #values = [];
  #paths = [];
  #area = svgElement("path", { class: "area" });
  #svg = svgElement("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
  });
  #top = element("span", { class: "top" });

  /**
   * `lines` are `{ name, kind, value(rates) }`, `least` is the least that the
   * height of the chart stands for.
   */
  constructor(parent, { lines, least, format, title }) {
    this.#lines = lines;
    this.#least = least;
    this.#format = format;
    const legend = element("dl", { class: "legend" });
    this.#svg.append(this.#area);
    for (const { name, kind } of lines) {
      const value = element("dd", {}, "–");
      legend.append(
        element("div", { class: kind }, element("dt", {}, name), value),
      );
      const path = svgElement("path", { class: kind });
      this.#svg.append(path);
      this.#values.push(value);
      this.#paths.push(path);
    }
    setAttribute(this.#svg, "aria-label", title);
    parent.append(element(
      "figure",
      { class: "chart" },
      legend,
      element("div", { class: "plot" }, this.#svg, this.#top),
      element(
        "p",
        { class: "axis" },
        element("span", {}, "5 minutes ago"),
        element("span", {}, "now"),
      ),
    ));
    this.draw([]);
  }

  draw(points) {
    const series = this.#lines.map(({ value }) =>
      points.map(({ atMs, rates }) => {
        const known = rates === undefined ? undefined : value(rates);
        // A counter may be missing.
        return { atMs, value: Number.isFinite(known) ? known : undefined };
      })
    );
    const most = Math.max(
      0,
      ...series.flat().map(({ value }) => value ?? 0),
    );
    const top = niceCeiling(most, this.#least);
    setText(this.#top, this.#format(top).replace(/\.0+ /, " "));
    const endMs = points.at(-1)?.atMs ?? 0;
    series.forEach((line, index) => {
      const now = line.at(-1)?.value;
      setText(
        this.#values[index],
        now === undefined ? "–" : this.#format(now),
      );
      setAttribute(this.#paths[index], "d", pathOf(line, endMs, top, false));
    });
    setAttribute(this.#area, "d", pathOf(series[0], endMs, top, true));
  }
}

/** SVG path data; each run of known values is a line of its own. */
export function pathOf(line, endMs, top, closed) {
  const runs = [];
  let run;
  for (const { atMs, value } of line) {
    if (value === undefined) {
      run = undefined;
      continue;
    }
    if (run === undefined) runs.push(run = []);
    const x = WIDTH * (1 - (endMs - atMs) / WINDOW_MS);
    const y = HEIGHT - 1 - (HEIGHT - 4) * Math.min(1, value / top);
    run.push([x.toFixed(1), y.toFixed(1)]);
  }
  return runs.map((run) => {
    // A line of no length still has round ends: a single value is a dot.
    const text = `M${run.map((point) => point.join(" ")).join("L")}h0`;
    return closed
      ? `${text}L${run.at(-1)[0]} ${HEIGHT}L${run[0][0]} ${HEIGHT}Z`
      : text;
  }).join("");
}
