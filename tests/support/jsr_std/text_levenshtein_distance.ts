/**
 * What `jsr:@std/text@1/levenshtein-distance` exports.
 *
 * @module
 */

export declare function levenshteinDistance(str1: string, str2: string): number;
