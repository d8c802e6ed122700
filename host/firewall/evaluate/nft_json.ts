/**
 * Values of nft's JSON, of which nothing is taken for granted.
 *
 * @module
 */

/** An object. */
export type Json = Readonly<Record<string, unknown>>;

/** The elements of a table's sets and maps, by `@name`. */
export type NftSets = ReadonlyMap<string, readonly unknown[]>;

/** Whether it has fields. */
export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Its elements; none if it is no list. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The key of a `meta` expression. */
export function metaKey(expression: unknown): string | undefined {
  const meta = isObject(expression) ? expression.meta : undefined;
  return isObject(meta) && typeof meta.key === "string" ? meta.key : undefined;
}
