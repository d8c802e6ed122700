/**
 * What `jsr:@std/yaml@1` exports, as far as it is used here.
 *
 * @module
 */

export interface ParseOptions {
  allowDuplicateKeys?: boolean;
  schema?: "core" | "default" | "failsafe" | "json" | "extended";
  onWarning?(error: Error): void;
}

export declare function parse(content: string, options?: ParseOptions): unknown;
