import { jointCommittedIndex, jointVoteResult, type AckedIndexer, type VoteResult } from "./quorum.js";
import type { Progress } from "./progress.js";
import type { ConfState, PeerId } from "./types.js";

/** Is the membership of a group that has none yet. */
export const EMPTY_CONF_STATE: ConfState = {
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
};

/** Says whether the membership is in transition between two sets of voters. */
export function isJoint(conf: ConfState): boolean {
  return conf.votersOutgoing.length > 0;
}

/** Says whether `id` votes in either half of the membership. */
export function isVoter(conf: ConfState, id: PeerId): boolean {
  return conf.voters.includes(id) || conf.votersOutgoing.includes(id);
}

/** Returns all voters of both halves in ascending order. */
export function voterIds(conf: ConfState): PeerId[] {
  if (!isJoint(conf)) return [...conf.voters];
  return [...new Set([...conf.voters, ...conf.votersOutgoing])].sort((a, b) => a - b);
}

/** Holds the membership in effect, the progress of every member, and the votes of the election going on. */
export class ProgressTracker implements AckedIndexer {
  /** Invariant: all lists are sorted; learners and voters (of both halves) share no peer. */
  conf: ConfState = EMPTY_CONF_STATE;
  readonly votes = new Map<PeerId, boolean>();
  #byId = new Map<PeerId, Progress>();
  #sorted: readonly Progress[] = [];

  /** Replaces membership and progress together, as a membership change does. */
  replace(conf: ConfState, progress: Map<PeerId, Progress>): void {
    this.conf = conf;
    this.#byId = progress;
    this.#sorted = [...progress.values()].sort((a, b) => a.id - b.id);
  }

  /** Is every member's progress in ascending order of id. */
  get members(): readonly Progress[] {
    return this.#sorted;
  }

  get progress(): ReadonlyMap<PeerId, Progress> {
    return this.#byId;
  }

  get(id: PeerId): Progress | undefined {
    return this.#byId.get(id);
  }

  ackedIndex(id: PeerId): number {
    return this.#byId.get(id)?.match ?? 0;
  }

  /** Says whether one voter alone decides everything. */
  get isSingleton(): boolean {
    return this.conf.voters.length === 1 && this.conf.votersOutgoing.length === 0;
  }

  /** Returns the highest index stored on a quorum. */
  committedIndex(): number {
    return jointCommittedIndex(this.conf.voters, this.conf.votersOutgoing, this);
  }

  /** Says whether a quorum was heard of since the activity marks were last cleared. */
  isQuorumActive(): boolean {
    const active = new Map<PeerId, boolean>();
    for (const pr of this.#sorted) if (!pr.isLearner) active.set(pr.id, pr.recentActive);
    return jointVoteResult(this.conf.voters, this.conf.votersOutgoing, active) === "won";
  }

  /** Records a vote; the first one of a peer counts. */
  recordVote(id: PeerId, granted: boolean): void {
    if (!this.votes.has(id)) this.votes.set(id, granted);
  }

  /** Counts the votes of current voters and judges the election. */
  tallyVotes(): { readonly granted: number; readonly rejected: number; readonly result: VoteResult } {
    let granted = 0;
    let rejected = 0;
    for (const pr of this.#sorted) {
      if (pr.isLearner) continue;
      const vote = this.votes.get(pr.id);
      if (vote === true) granted++;
      else if (vote === false) rejected++;
    }
    return { granted, rejected, result: jointVoteResult(this.conf.voters, this.conf.votersOutgoing, this.votes) };
  }
}
