/** An interval on the history's line of events. */
interface Interval {
  readonly invokedAt: number;
  readonly returnedAt: number;
}

/** The completed operations that are not linearized yet, in order of invocation. */
export interface Pending {
  /** The operations that may come next (none of the pending ones returned before they were invoked), earliest return first. */
  candidates(): number[];
  /** When the first of the pending operations returned; Infinity when none is left. */
  firstReturn(): number;
  /** Takes an operation out. */
  remove(index: number): void;
  /** Puts back what `remove` took out; only in reverse order of removal. */
  restore(index: number): void;
}

/**
 * Creates the list of all of `operations`, which are in order of invocation. It is a doubly linked list, so that taking out and putting
 * back cost nothing; a look at the candidates costs as much as operations overlap.
 */
export function createPending(operations: readonly Interval[]): Pending {
  const head = operations.length;
  const next = Int32Array.from({ length: head + 1 }, (_, index) => (index === head ? 0 : index + 1));
  const previous = Int32Array.from({ length: head + 1 }, (_, index) => (index === 0 ? head : index - 1));
  const nextOf = (index: number): number => next[index] ?? head;
  const previousOf = (index: number): number => previous[index] ?? head;
  const returnOf = (index: number): number => operations[index]?.returnedAt ?? Infinity;

  const window = (): { indices: number[]; firstReturn: number } => {
    const indices: number[] = [];
    let firstReturn = Infinity;
    // What was invoked after the first return cannot return before it either.
    for (let index = nextOf(head); index !== head; index = nextOf(index)) {
      if ((operations[index]?.invokedAt ?? Infinity) > firstReturn) break;
      indices.push(index);
      firstReturn = Math.min(firstReturn, returnOf(index));
    }
    return { indices, firstReturn };
  };

  return {
    candidates: () => window().indices.sort((a, b) => returnOf(a) - returnOf(b)),
    firstReturn: () => window().firstReturn,
    remove(index) {
      next[previousOf(index)] = nextOf(index);
      previous[nextOf(index)] = previousOf(index);
    },
    restore(index) {
      next[previousOf(index)] = index;
      previous[nextOf(index)] = index;
    },
  };
}
