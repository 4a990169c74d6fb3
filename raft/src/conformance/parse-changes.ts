import { CommandError, parseUint } from "./arguments.js";
import type { ConfChangeSingle, ConfChangeType } from "../core/index.js";

const TYPES: ReadonlyMap<string, ConfChangeType> = new Map([
  ["v", "addNode"],
  ["l", "addLearnerNode"],
  ["r", "removeNode"],
  ["u", "updateNode"],
]);

/**
 * Parses `v1 l2 r3 u4`: one blank between two changes.
 * @throws CommandError naming the word that is none of it.
 */
export function parseChanges(text: string): ConfChangeSingle[] {
  const words = text.trim() === "" ? [] : text.trim().split(" ");
  return words.map((word) => {
    if (word.length < 2) throw new CommandError(`unknown token ${word}`);
    const type = TYPES.get(word.slice(0, 1));
    if (type === undefined) throw new CommandError(`unknown input: ${word}`);
    return { type, nodeId: parseUint(word.slice(1)) };
  });
}
