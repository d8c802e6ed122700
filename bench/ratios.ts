/**
 * Figures as multiples of another path's: VXLAN's and the bare underlay's, if
 * they are measured.
 *
 * A ratio is taken within a run, where the two were measured seconds apart, and
 * its median over the runs counts: what drifts on the machine drifts for both.
 *
 * @module
 */

import {
  FIGURE_NAMES,
  type FigureName,
  type PathFigures,
  significant,
} from "./figures.ts";
import { median } from "./median.ts";

/** A multiple of what another path reached; of the runs. */
export interface Ratio {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** The figures that both paths have. */
export type PathRatios = Readonly<Partial<Record<FigureName, Ratio>>>;

/** Run `i` of `runs` is compared with run `i` of `base`. */
export function ratiosTo(
  base: readonly PathFigures[],
  runs: readonly PathFigures[],
): PathRatios {
  const ratios: Partial<Record<FigureName, Ratio>> = {};
  for (const name of FIGURE_NAMES) {
    const values = runs.flatMap((figures, index) => {
      const own = figures[name];
      const other = base[index]?.[name];
      return own === undefined || !other ? [] : [own / other];
    });
    if (values.length === 0) continue;
    ratios[name] = ratioOf(values);
  }
  return ratios;
}

/** @param values The multiple in each run, at least one. */
export function ratioOf(values: readonly number[]): Ratio {
  return {
    median: significant(median(values)),
    least: significant(Math.min(...values)),
    most: significant(Math.max(...values)),
  };
}
