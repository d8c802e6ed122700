/**
 * Figures as multiples of another path's: VXLAN's and the bare underlay's, if
 * they are measured.
 *
 * A ratio is taken within a turn, where the two were measured right after each
 * other: what drifts on the machine drifts for both. The median of a run's turns
 * is the run's, and the median of the runs counts.
 *
 * @module
 */

import {
  FIGURE_NAMES,
  type FigureName,
  type RunFigures,
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

/** Run `i` of `runs` is compared with run `i` of `base`, turn by turn. */
export function ratiosTo(
  base: readonly RunFigures[],
  runs: readonly RunFigures[],
): PathRatios {
  const ratios: Partial<Record<FigureName, Ratio>> = {};
  for (const name of FIGURE_NAMES) {
    const values = runs.flatMap((figures, index) => {
      const others = base[index]?.[name] ?? [];
      const turns = (figures[name] ?? []).flatMap((own, turn) =>
        others[turn] ? [own / others[turn]] : []
      );
      return turns.length === 0 ? [] : [median(turns)];
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
