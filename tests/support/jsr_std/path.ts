/**
 * What `jsr:@std/path@1` exports, as far as it is used here.
 *
 * @module
 */

export declare function dirname(path: string | URL): string;
export declare function fromFileUrl(url: string | URL): string;
export declare function join(path: string | URL, ...paths: string[]): string;
export declare function resolve(...pathSegments: string[]): string;
