/**
 * What `jsr:@std/assert@1` exports, as far as it is used here.
 *
 * @module
 */

// deno-lint-ignore no-explicit-any -- the original has it, for constructors
type Constructor<Made> = new (...args: any[]) => Made;
// deno-lint-ignore no-explicit-any -- the original has it, for abstract classes
type AnyConstructor = abstract new (...args: any[]) => any;
type InstanceOf<Class extends AnyConstructor> = Class extends
  abstract new (...args: infer _) => infer Made ? Made : never;
// deno-lint-ignore no-explicit-any -- any object is compared
type AnyObject = Record<PropertyKey, any>;

export declare function assert(expr: unknown, msg?: string): asserts expr;
export declare function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance?: number,
  msg?: string,
): void;
export declare function assertEquals<T>(
  actual: T,
  expected: T,
  msg?: string,
): void;
export declare function assertExists<T>(
  actual: T,
  msg?: string,
): asserts actual is NonNullable<T>;
export declare function assertInstanceOf<Class extends AnyConstructor>(
  actual: unknown,
  expectedType: Class,
  msg?: string,
): asserts actual is InstanceOf<Class>;
export declare function assertMatch(
  actual: string,
  expected: RegExp,
  msg?: string,
): void;
export declare function assertNotEquals<T>(
  actual: T,
  expected: T,
  msg?: string,
): void;
export declare function assertObjectMatch(
  actual: AnyObject,
  expected: AnyObject,
  msg?: string,
): void;
export declare function assertRejects(
  fn: () => PromiseLike<unknown>,
  msg?: string,
): Promise<unknown>;
export declare function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: Constructor<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export declare function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T;
export declare function assertStringIncludes(
  actual: string,
  expected: string,
  msg?: string,
): void;
export declare function assertThrows(fn: () => unknown, msg?: string): unknown;
export declare function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: Constructor<E>,
  msgIncludes?: string,
  msg?: string,
): E;
