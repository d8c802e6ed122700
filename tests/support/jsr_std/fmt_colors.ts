/**
 * What `jsr:@std/fmt@1/colors` exports, as far as it is used here.
 *
 * @module
 */

export declare function bold(str: string): string;
export declare function cyan(str: string): string;
export declare function dim(str: string): string;
export declare function red(str: string): string;
export declare function yellow(str: string): string;
