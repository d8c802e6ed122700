/**
 * What `jsr:@std/testing@1/bdd` exports, as far as it is used here. The originals
 * take objects with options, too.
 *
 * @module
 */

type Hook = () => void | Promise<void>;

export declare function describe(name: string, fn: () => void): unknown;
export declare function it(
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void;
export declare function before(fn: Hook): void;
export declare function after(fn: Hook): void;
