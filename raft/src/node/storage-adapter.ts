/** The log of one group as the core reads it. */
import { EMPTY_BYTES } from "@rhea/common";
import { SnapshotTemporarilyUnavailableError } from "../core/index.js";
import type { ConfState, Entry, HardState, Snapshot, Storage } from "../core/types.js";
import type { GroupLog } from "../log/api.js";

/** What the group knows beside its log. */
export interface AppliedState {
  /** Index up to which a snapshot, saved now, is certain to reach; 0 when the state machine makes none. */
  readonly snapshotIndex: number;
  readonly applied: number;
  readonly confState: ConfState;
}

/**
 * Lays the state machine's knowledge over the log: a commit index that is not older than what was applied, and snapshots that
 * stand for "the state as it will be when it is sent".
 */
export class LogStorage implements Storage {
  readonly #log: GroupLog;
  readonly #state: () => AppliedState;

  constructor(log: GroupLog, state: () => AppliedState) {
    this.#log = log;
    this.#state = state;
  }

  initialState(): { readonly hardState: HardState; readonly confState: ConfState } {
    const { hardState, truncatedIndex, truncatedTerm } = this.#log;
    const { applied, confState } = this.#state();
    // A log that was created after an index holds entries of that index's term: an older term could write below it.
    const term = Math.max(hardState.term, truncatedTerm);
    const vote = term === hardState.term ? hardState.vote : 0;
    const commit = Math.max(hardState.commit, applied, truncatedIndex);
    return { hardState: { term, vote, commit }, confState };
  }

  entries(lo: number, hi: number, maxBytes: number): readonly Entry[] {
    return this.#log.entries(lo, hi, maxBytes);
  }

  term(index: number): number {
    return this.#log.term(index);
  }

  firstIndex(): number {
    return this.#log.truncatedIndex + 1;
  }

  lastIndex(): number {
    return this.#log.lastIndex;
  }

  /** Returns a placeholder: the files are made, and the real metadata filled in, when the snapshot is sent. */
  snapshot(): Snapshot {
    const { snapshotIndex: index, confState } = this.#state();
    if (index === 0 || index < this.#log.truncatedIndex) throw new SnapshotTemporarilyUnavailableError();
    return { metadata: { index, term: this.#log.term(index), confState }, data: EMPTY_BYTES };
  }
}
