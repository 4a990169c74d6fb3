import type { BasicStatus, PeerId } from "../core/types.js";

/** A leader that this peer followed, or follows now. */
export interface Followed {
  readonly leader: PeerId;
  readonly term: number;
}

/** What changed between two looks at a peer's role. */
export interface RoleChange {
  /** Why this peer stopped leading (its old term), if it did. */
  readonly stopped: string | undefined;
  /** Whether it began to lead (the present term). */
  readonly started: boolean;
  /** Whom it stopped following, and why, if it did. */
  readonly left: (Followed & { readonly reason: string }) | undefined;
  /** Whom it began to follow, if it did. */
  readonly joined: Followed | undefined;
  /** Whether another peer is known to lead, or the same one in another term. */
  readonly hasNewLeader: boolean;
}

/** Notices changes of term, leader and role, also those that came and went within one turn. */
export class RoleWatch {
  #term = 0;
  #leader: PeerId = 0;
  #isLeader = false;
  #followed: Followed | undefined;

  get isLeader(): boolean {
    return this.#isLeader;
  }

  /** The leader that this peer follows, if it does. */
  get followed(): Followed | undefined {
    return this.#followed;
  }

  /** Compares with the last look; undefined if nothing changed. */
  look({ term, lead, state }: BasicStatus): RoleChange | undefined {
    const isLeader = state === "leader";
    const isNewTerm = term !== this.#term;
    const hasNewLeader = lead !== this.#leader || (isNewTerm && lead !== 0);
    const hasStopped = this.#isLeader && (!isLeader || isNewTerm);
    const started = isLeader && (!this.#isLeader || isNewTerm);
    this.#term = term;
    this.#leader = lead;
    this.#isLeader = isLeader;
    if (!hasNewLeader && !hasStopped && !started) return undefined;
    const before = this.#followed;
    const isSame = before?.leader === lead && before.term === term && !isLeader;
    const now = isSame ? before : isLeader || lead === 0 ? undefined : { leader: lead, term };
    this.#followed = now;
    const reason = isNewTerm ? `term ${term} began` : "it was not heard of any more";
    return {
      stopped: hasStopped ? (isNewTerm ? reason : "it lost its quorum, or was removed") : undefined,
      started,
      left: before === undefined || isSame ? undefined : { ...before, reason },
      joined: isSame ? undefined : now,
      hasNewLeader,
    };
  }
}
