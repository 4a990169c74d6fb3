import {
  COMMITTED_BY_NOBODY,
  jointCommittedIndex,
  jointVoteResult,
  majorityCommittedIndex,
  majorityVoteResult,
  type AckedIndexer,
  type VoteResult,
} from "../core/quorum.js";
import type { PeerId } from "../core/index.js";
import type { Directive } from "./datadriven.js";

const RESULTS: Record<VoteResult, string> = { pending: "VotePending", lost: "VoteLost", won: "VoteWon" };
const VOTES: ReadonlyMap<string, boolean | undefined> = new Map([
  ["y", true],
  ["n", false],
  ["_", undefined],
]);

/**
 * Returns a handler that runs the directives of one quorum transcript: committed and vote. It also computes each result in other
 * ways that must agree, and prints those that do not.
 */
export function quorumHandler(): (directive: Directive) => string {
  return ({ command, args }) => {
    const values = (key: string): readonly string[] => args.find((arg) => arg.key === key)?.values ?? [];
    const isJoint = args.some(({ key }) => key === "cfgj");
    const incoming = ids(values("cfg"));
    const outgoing = values("cfgj")[0] === "zero" ? [] : ids(values("cfgj"));
    const voters = [...new Set([...incoming, ...outgoing])];
    const given = values(command === "vote" ? "votes" : "idx");
    if (voters.length !== given.length) {
      return `error: mismatched input (explicit or _) for voters ${voters.join(" ")}: ${given.join(" ")}`;
    }
    if (command === "vote") return votes(incoming, isJoint ? outgoing : undefined, voters, given);
    if (command === "committed") return committed(incoming, isJoint ? outgoing : undefined, voters, given);
    return "unknown command";
  };
}

function votes(incoming: PeerId[], outgoing: PeerId[] | undefined, voters: PeerId[], given: readonly string[]): string {
  const cast = new Map<PeerId, boolean>();
  voters.forEach((id, i) => {
    const vote = VOTES.get(given[i] ?? "");
    if (vote !== undefined) cast.set(id, vote);
  });
  if (outgoing === undefined) return `${RESULTS[majorityVoteResult(incoming, cast)]}\n`;
  const result = jointVoteResult(incoming, outgoing, cast);
  const swapped = jointVoteResult(outgoing, incoming, cast);
  return `${swapped === result ? "" : `${RESULTS[swapped]} <-- via symmetry\n`}${RESULTS[result]}\n`;
}

function committed(
  incoming: PeerId[],
  outgoing: PeerId[] | undefined,
  voters: PeerId[],
  given: readonly string[],
): string {
  const known = new Map<PeerId, number>();
  voters.forEach((id, i) => {
    if (given[i] !== "_") known.set(id, Number(given[i]));
  });
  const acked = indexer(known);
  let out = describe(voters, known);
  let result: number;
  if (outgoing === undefined) {
    result = majorityCommittedIndex(incoming, acked);
    const differs = (index: number, how: string): void => {
      if (index !== result) out += `${show(index)} <-- ${how}\n`;
    };
    differs(countedIndex(incoming, known), "via alternative computation");
    differs(jointCommittedIndex(incoming, [], acked), "via zero-joint quorum");
    differs(jointCommittedIndex(incoming, incoming, acked), "via self-joint quorum");
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
      return `${drawn} ${String(indexOf(id)).padStart(5)}    (id=${id})\n`;
    });
  return `${" ".repeat(n)}    idx\n${rows.join("")}`;
}

function indexer(known: ReadonlyMap<PeerId, number>): AckedIndexer {
  return { ackedIndex: (id) => known.get(id) ?? 0 };
}

function ids(values: readonly string[]): PeerId[] {
  return [...new Set(values.map(Number))];
}

function show(index: number): string {
  return index === COMMITTED_BY_NOBODY ? "∞" : String(index);
}
