import {
  COMMITTED_BY_NOBODY,
  jointCommittedIndex,
  jointVoteResult,
  majorityCommittedIndex,
  majorityVoteResult,
  type AckedIndexer,
  type VoteResult,
} from "../core/quorum.js";
import { parseUint, strictly } from "./arguments.js";
import { TranscriptError, type Directive } from "./datadriven.js";
import { hex } from "./render.js";
import type { PeerId } from "../core/index.js";

const RESULTS: Record<VoteResult, string> = { pending: "VotePending", lost: "VoteLost", won: "VoteWon" };
/**
 * Returns a handler that runs the directives of one quorum transcript: committed and vote. It also computes each result in other
 * ways that must agree, and prints those that do not.
 */
export function quorumHandler(): (directive: Directive) => string {
  return ({ command, args }) => {
    for (const { key } of args)
      if (!["cfg", "cfgj", "idx", "votes"].includes(key)) throw new TranscriptError(`unknown argument ${key}`);
    const values = (key: string): readonly string[] =>
      args.filter((arg) => arg.key === key).flatMap((arg) => arg.values);
    const isJoint = args.some(({ key }) => key === "cfgj");
    const incoming = ids(values("cfg"));
    const outgoing = values("cfgj").join() === "zero" ? [] : ids(values("cfgj"));
    const voters = [...new Set([...incoming, ...outgoing])];
    if (command === "vote") {
      const cast = values("votes").map(parseVote);
      return mismatch(voters, cast) ?? votes(incoming, isJoint ? outgoing : undefined, keyed(voters, cast));
    }
    const indexes = values("idx").map(parseIndex);
    const refused = mismatch(voters, indexes);
    if (refused !== undefined) return refused;
    if (command !== "committed") throw new TranscriptError(`unknown command ${command}`);
    return committed(incoming, isJoint ? outgoing : undefined, voters, keyed(voters, indexes));
  };
}

/** Reads `y`, `n`, or `_` for a vote not cast. */
function parseVote(value: string): boolean | undefined {
  if (value === "_") return undefined;
  if (value !== "y" && value !== "n") throw new TranscriptError(`unknown vote: ${value}`);
  return value === "y";
}

/** Reads an index above 0, or `_` for a voter nothing is known of. */
function parseIndex(value: string): number | undefined {
  if (value === "_") return undefined;
  const index = strictly(`idx=${value}`, () => parseUint(value));
  if (index === 0) throw new TranscriptError("cannot use 0 as idx");
  return index;
}

function mismatch(voters: readonly PeerId[], given: readonly (number | boolean | undefined)[]): string | undefined {
  if (voters.length === given.length) return undefined;
  const set = [...voters].sort((a, b) => a - b).map((id) => `${id}:{}`);
  const input = given.map((value) => (typeof value === "boolean" ? (value ? 2 : 1) : (value ?? 0)));
  return `error: mismatched input (explicit or _) for voters map[${set.join(" ")}]: [${input.join(" ")}]`;
}

function keyed<T>(voters: readonly PeerId[], given: readonly (T | undefined)[]): Map<PeerId, T> {
  const known = new Map<PeerId, T>();
  voters.forEach((id, i) => {
    const value = given[i];
    if (value !== undefined) known.set(id, value);
  });
  return known;
}

function votes(incoming: PeerId[], outgoing: PeerId[] | undefined, cast: ReadonlyMap<PeerId, boolean>): string {
  if (outgoing === undefined) return `${RESULTS[majorityVoteResult(incoming, cast)]}\n`;
  const result = jointVoteResult(incoming, outgoing, cast);
  const swapped = jointVoteResult(outgoing, incoming, cast);
  return `${swapped === result ? "" : `${RESULTS[swapped]} <-- via symmetry\n`}${RESULTS[result]}\n`;
}

function committed(
  incoming: PeerId[],
  outgoing: PeerId[] | undefined,
  voters: PeerId[],
  known: ReadonlyMap<PeerId, number>,
): string {
  const acked = indexer(known);
  let out = describe(voters, known);
  let result: number;
  if (outgoing === undefined) {
    result = majorityCommittedIndex(incoming, acked);
    const differs = (index: number, how: string): void => {
      if (index !== result) out += `${show(index)} <-- ${how}`;
    };
    differs(countedIndex(incoming, known), "via alternative computation\n");
    differs(jointCommittedIndex(incoming, [], acked), "via zero-joint quorum\n");
    differs(jointCommittedIndex(incoming, incoming, acked), "via self-joint quorum\n");
    for (const [id, index] of known) {
      if (result <= index) continue;
      // What lies below the committed index does not matter, wherever below it is.
      differs(
        majorityCommittedIndex(incoming, indexer(new Map(known).set(id, index - 1))),
        `overlaying ${id}->${index}`,
      );
      differs(majorityCommittedIndex(incoming, indexer(new Map(known).set(id, 0))), `overlaying ${id}->0`);
    }
  } else {
    result = jointCommittedIndex(incoming, outgoing, acked);
    const swapped = jointCommittedIndex(outgoing, incoming, acked);
    if (swapped !== result) out += `${show(swapped)} <-- via symmetry\n`;
  }
  return `${out}${show(result)}\n`;
}

/** Computes the committed index the slow way: the highest index that enough voters have reached. */
function countedIndex(voters: readonly PeerId[], known: ReadonlyMap<PeerId, number>): number {
  if (voters.length === 0) return COMMITTED_BY_NOBODY;
  const reached = (index: number): number => voters.filter((id) => (known.get(id) ?? 0) >= index).length;
  const candidates = [...known.values()].filter((index) => reached(index) > voters.length / 2);
  return Math.max(0, ...candidates);
}

/** Draws one bar per voter, the longer the further it is. */
function describe(voters: readonly PeerId[], known: ReadonlyMap<PeerId, number>): string {
  if (voters.length === 0) return "<empty majority quorum>";
  const n = voters.length;
  const indexOf = (id: PeerId): number => known.get(id) ?? 0;
  const ascending = voters.map(indexOf).sort((a, b) => a - b);
  const rows = [...voters]
    .sort((a, b) => a - b)
    .map((id) => {
      const bar = ascending.indexOf(indexOf(id));
      const drawn = known.has(id) ? `${"x".repeat(bar)}>${" ".repeat(n - bar)}` : `?${" ".repeat(n)}`;
      return `${drawn} ${String(indexOf(id)).padStart(5)}    (id=${hex(id)})\n`;
    });
  return `${" ".repeat(n)}    idx\n${rows.join("")}`;
}

function indexer(known: ReadonlyMap<PeerId, number>): AckedIndexer {
  return { ackedIndex: (id) => known.get(id) ?? 0 };
}

function ids(values: readonly string[]): PeerId[] {
  return [...new Set(values.map((value) => strictly(value, () => parseUint(value))))];
}

function show(index: number): string {
  return index === COMMITTED_BY_NOBODY ? "∞" : String(index);
}
