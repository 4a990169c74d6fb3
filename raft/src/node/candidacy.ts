import type { RawNode } from "../core/index.js";
import type { PeerId } from "../core/types.js";
import type { GroupHost } from "./group-host.js";
import type { MemberList } from "./membership.js";

/** Decides when a group's peer may ask to be elected: by priority, and not while another candidate may still win. */
export class Candidacy {
  readonly #members: MemberList;
  readonly #host: Pick<GroupHost<unknown>, "limits" | "nowMs">;
  readonly #priority: number;
  /** What the core was told. */
  #priorities: ReadonlyMap<PeerId, number> | undefined;
  #candidateHeardMs = -Infinity;

  /** `priority`: of this peer; -1: not judged. */
  constructor(members: MemberList, host: Pick<GroupHost<unknown>, "limits" | "nowMs">, priority: number) {
    this.#members = members;
    this.#host = host;
    this.#priority = priority;
  }

  /** Another peer asked for a vote. */
  onCandidate(): void {
    this.#candidateHeardMs = this.#host.nowMs;
  }

  /** Lets the core know the members' priorities before it judges by them. */
  tellPriorities(raw: RawNode): void {
    if (this.#priorities === this.#members.priorities) return;
    this.#priorities = this.#members.priorities;
    raw.setPriorities(this.#priorities);
  }

  /** Whether to campaign for a group whose leader's process is gone. */
  judgeTakeOver(raw: RawNode): "yes" | "no" | "later" {
    const { state, lead } = raw.basicStatus();
    if (state !== "follower" || lead !== 0) return "no";
    if (this.#priority >= 0 || this.#members.priorities.size > 0) {
      // Who has the right to go first is asked at an election timeout only: this one has come.
      raw.expireElectionTimeout();
      return "no";
    }
    const isQuiet = this.#host.nowMs - this.#candidateHeardMs > 2 * this.#host.limits.tickMs;
    return isQuiet ? "yes" : "later";
  }
}
