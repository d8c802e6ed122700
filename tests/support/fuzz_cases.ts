/**
 * How many random cases each property about foreign bytes gets: few in the suite,
 * many in `deno task test:long`, which sets the variable.
 *
 * @module
 */

/** The variable of {@linkcode FUZZ_CASES}. */
export const FUZZ_VARIABLE = "LODEN_FUZZ_CASES";

/** See the module's text. */
export const FUZZ_CASES = Number(Deno.env.get(FUZZ_VARIABLE) ?? 2_000);
