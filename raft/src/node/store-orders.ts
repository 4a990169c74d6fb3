/** Turns the core's orders to store into records of the turn, and keeps what is on its way to the disk. */
import type { GroupLog } from "../log/api.js";
import type { HardState, Message, PeerId } from "../core/types.js";
import type { InstalledSnapshot } from "./apply.js";
import type { AwaitedAppend, TurnOutput } from "./group-host.js";
import type { StagedSlot } from "./staged-slot.js";

/** The orders of one group. */
export class StoreOrders {
  readonly #groupId: number;
  readonly #staged: StagedSlot;
  #inflight = 0;
  #term: number;
  #vote: PeerId;
  /** The newest hard state that was not worth a record. */
  #skipped: HardState | undefined;

  constructor({ groupId, hardState }: GroupLog, staged: StagedSlot) {
    this.#groupId = groupId;
    this.#staged = staged;
    this.#term = hardState.term;
    this.#vote = hardState.vote;
  }

  /** Whether nothing of this group is on its way to the disk. */
  get isIdle(): boolean {
    return this.#inflight === 0;
  }

  /**
   * Adds the records of a group's order to its turn and returns what waits for them. What changes the commit index only is not worth a
   * record: it is found again. But not where a membership change is stored: whoever has one must know after a restart that the change before
   * it is committed, else it could be elected by the voters of long ago, and commit beside those of today.
   */
  take<Group>(group: Group, message: Message, { records }: TurnOutput<Group>): AwaitedAppend<Group> {
    const { entries, snapshot, term, vote, commit, responses = [] } = message;
    const groupId = this.#groupId;
    const hasNewVote = term !== 0 && (term !== this.#term || vote !== this.#vote);
    if (entries.length === 0 && snapshot === undefined && !hasNewVote) {
      if (term !== 0) this.#skipped = { term, vote, commit };
      return { group, responses, hasRecords: false, installed: undefined, hardState: undefined };
    }
    const installed: InstalledSnapshot | undefined =
      snapshot === undefined ? undefined : this.#staged.take(snapshot.metadata.index);
    if (installed !== undefined) {
      const { index, term: snapshotTerm, confState } = installed.saved;
      records.push({ kind: "install", groupId, file: installed.staging, index, term: snapshotTerm, confState });
    }
    if (entries.length > 0) records.push({ kind: "entries", groupId, entries });
    const needsCommit = entries.some(({ type }) => type !== "normal");
    const unchanged = needsCommit ? this.#skipped : undefined;
    const hardState: HardState | undefined = term === 0 ? unchanged : { term, vote, commit };
    if (hardState !== undefined) {
      records.push({ kind: "hardState", groupId, hardState });
      this.#term = hardState.term;
      this.#vote = hardState.vote;
      this.#skipped = undefined;
    }
    this.#inflight++;
    return { group, responses, hasRecords: true, installed, hardState };
  }

  /** The records of one order are durable. */
  onDurable(): void {
    this.#inflight--;
  }
}
