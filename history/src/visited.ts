/** The operations taken so far in one search, and the memory of the situations it has been in. Numbers are indices of operations. */
export interface Visited {
  /** Takes a completed operation, or gives it back. */
  flipCompleted(index: number): void;
  /** Takes an open operation, or gives it back. */
  flipOpen(index: number): void;
  /**
   * Notes the present situation: what is taken, and `state`. Returns false when the search has been in one at least as good: same
   * completed operations, same state, and no open operation taken that is not taken now.
   */
  remember(state: string | number): boolean;
}

interface Situation {
  readonly state: string | number;
  /** The first word of the completed set that is not all ones, and the words from there to the last that is not zero. */
  readonly from: number;
  readonly completed: Int32Array;
  readonly open: Int32Array;
}

/**
 * Creates an empty memory for a search over that many operations. What lies before the first operation not taken is the same for almost
 * all situations a search meets, so a remembered one is only the few words around the search's frontier. Equal hashes are compared in
 * full: a collision never hides a possibility.
 */
export function createVisited(completedCount: number, openCount: number): Visited {
  const completed = new Int32Array((completedCount >>> 5) + 1);
  const open = new Int32Array(Math.ceil(openCount / 32));
  const seen = new Map<number, Situation[]>();
  let hash = 0;

  return {
    flipCompleted(index) {
      flip(completed, index);
      hash ^= scramble(index + 1);
    },
    flipOpen: (index) => flip(open, index),
    remember(state) {
      let from = 0;
      while (completed[from] === -1) from++;
      let to = completed.length;
      while (to > from && completed[to - 1] === 0) to--;
      const bucket = seen.get(hash);
      const isAsGood = (other: Situation): boolean =>
        other.state === state &&
        other.from === from &&
        other.completed.length === to - from &&
        other.completed.every((word, at) => word === completed[from + at]) &&
        other.open.every((word, at) => (word & ~(open[at] ?? 0)) === 0);
      if (bucket?.some(isAsGood)) return false;
      const situation = { state, from, completed: completed.slice(from, to), open: open.slice() };
      if (bucket === undefined) seen.set(hash, [situation]);
      else bucket.push(situation);
      return true;
    },
  };
}

function flip(words: Int32Array, index: number): void {
  const word = index >>> 5;
  words[word] = (words[word] ?? 0) ^ (1 << (index & 31));
}

/** Mixes a number into 32 well spread bits (the finaliser of MurmurHash3). */
function scramble(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
