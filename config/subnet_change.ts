/**
 * `--on-subnet-change`: what happens when Docker is given another subnet.
 *
 * @module
 */

/** `continue`, `exit`, or a command for the shell. */
export type SubnetChangeAction =
  | { readonly kind: "continue" | "exit" }
  | { readonly kind: "run"; readonly command: string };

const RUN = "run:";

/** `undefined` for anything else. */
export function parseSubnetChangeAction(
  text: string,
): SubnetChangeAction | undefined {
  if (text === "continue" || text === "exit") return { kind: text };
  if (!text.startsWith(RUN)) return undefined;
  const command = text.slice(RUN.length).trim();
  return command === "" || command.includes("\0")
    ? undefined
    : { kind: "run", command };
}
