import type { BasicStatus, PeerId } from "../core/types.js";

/** What changed between two looks at a peer's role. */
export interface RoleChange {
  /** Why this peer stopped leading (its old term), if it did. */
  readonly stopped: string | undefined;
  /** Whether it began to lead (the present term). */
  readonly started: boolean;
  /** Whether another peer is known to lead, or the same one in another term. */
  readonly hasNewLeader: boolean;
}

/** Notices changes of term, leader and role, also those that came and went within one turn. */
export class RoleWatch {
  #term = 0;
  #leader: PeerId = 0;
  #isLeader = false;

  get isLeader(): boolean {
    return this.#isLeader;
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
    const why = isNewTerm ? `term ${term} began` : "it lost its quorum, or was removed";
    return { stopped: hasStopped ? why : undefined, started, hasNewLeader };
  }
}
