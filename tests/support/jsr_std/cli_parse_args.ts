/**
 * What `jsr:@std/cli@1/parse-args` exports, as far as it is used here. The types
 * of the original also cover dotted, collected and negatable arguments.
 *
 * @module
 */

type Names<Name extends string> = Name | readonly Name[];

interface Options<
  Strings extends string,
  Booleans extends string,
  Defaults extends object,
> {
  string?: Names<Strings>;
  boolean?: Names<Booleans>;
  alias?: Record<string, string | readonly string[]>;
  default?: Defaults;
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

type Values<
  Strings extends string,
  Booleans extends string,
  Defaults extends object,
> =
  & { [Name in Exclude<Strings, keyof Defaults | "_">]?: string }
  & { [Name in Booleans]: boolean }
  & { [Name in keyof Defaults]: Defaults[Name] | string }
  & { _: (string | number)[] }
  & Record<string, unknown>;

export declare function parseArgs<
  Strings extends string = never,
  Booleans extends string = never,
  // deno-lint-ignore ban-types -- no defaults
  Defaults extends object = {},
>(
  args: string[],
  options?: Options<Strings, Booleans, Defaults>,
): Values<Strings, Booleans, Defaults>;
