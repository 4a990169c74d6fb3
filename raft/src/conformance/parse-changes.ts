import type { ConfChangeSingle, ConfChangeType } from "../core/index.js";

const TYPES: ReadonlyMap<string, ConfChangeType> = new Map([
  ["v", "addNode"],
  ["l", "addLearnerNode"],
  ["r", "removeNode"],
  ["u", "updateNode"],
]);

/**
 * Parses `v1 l2 r3 u4`.
 * @throws Error naming the word that is none of it.
 */
export function parseChanges(text: string): ConfChangeSingle[] {
  const words = text.trim() === "" ? [] : text.trim().split(/\s+/);
  return words.map((word) => {
    const type = TYPES.get(word.slice(0, 1));
    if (word.length < 2) throw new Error(`unknown token ${word}`);
    if (type === undefined) throw new Error(`unknown input: ${word}`);
    return { type, nodeId: Number(word.slice(1)) };
  });
}
