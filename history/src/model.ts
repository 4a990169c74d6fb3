/** The answer of a model to one operation: the state after it, or why the observed result cannot be. */
export type Step<State> =
  { readonly ok: true; readonly state: State } | { readonly ok: false; readonly reason: string };

/**
 * What operations mean when they run one at a time on one copy. A model is sequential and deterministic, and knows one key at a time:
 * a history of many keys is linearizable exactly when each key's part is (Herlihy and Wing 1990, locality).
 */
export interface Model<Op, Result, State> {
  readonly name: string;
  /** Returns the key an operation works on. */
  keyOf(op: Op): string;
  /** The state of a key nobody has written. */
  readonly initial: State;
  /**
   * Runs `op` on `state`. `outcome` is undefined for an open operation: any result is accepted then, and the step must succeed. Must not
   * change `state`.
   */
  step(state: State, op: Op, outcome: { readonly result: Result } | undefined): Step<State>;
  /** Tells whether an operation that gave this result left the state as it was, whatever that was. Makes the search fast. */
  isReadOnly(op: Op, outcome: { readonly result: Result }): boolean;
  /** Returns a value that is equal (by ===) exactly for equal states. Called often. */
  identify(state: State): string | number;
  /** Writes an operation and its outcome (undefined: open) in one line, such as `put x -> done`. */
  describe(op: Op, outcome: { readonly result: Result } | undefined): string;
  /** Writes a state in one line. */
  describeState(state: State): string;
}
