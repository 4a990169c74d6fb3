/** PD's own raft group: members, voters, a leader, and nothing at all without a majority. */
import type { Random } from "../world/random.js";
import type { VirtualTime } from "../world/virtual-time.js";

/** A member of PD. */
export interface Member {
  readonly memberId: number;
  readonly name: string;
  isVoter: boolean;
  /** Its process runs and can be reached. */
  isHealthy: boolean;
  /** Until when it was healthy last; now, if it is. */
  healthyMs: number;
}

/** See the file's header. */
export class PdGroup {
  readonly members = new Map<string, Member>();
  /** Names that were members once and are not any more. */
  readonly removed = new Set<string>();
  /** Name of the member that leads; undefined while there is none. */
  leader: string | undefined;
  #isElecting = false;
  readonly #time: VirtualTime;
  readonly #random: Random;

  readonly #onReign: () => void;

  /** @param onReign called when a new leader begins, which knows only what is written down */
  constructor(time: VirtualTime, random: Random, onReign: () => void) {
    this.#onReign = onReign;
    this.#time = time;
    this.#random = random;
  }

  /** Whether PD answers. */
  get isServing(): boolean {
    return this.leader !== undefined && this.hasMajority();
  }

  /** Whether most voters are healthy, all but `without` being as they are. */
  hasMajority(without?: string): boolean {
    const voters = [...this.members.values()].filter(({ isVoter }) => isVoter);
    return voters.filter(({ isHealthy, name }) => isHealthy && name !== without).length * 2 > voters.length;
  }

  /** Whether taking `name` down costs the majority, counting as healthy what was so within the last `slackMs`. */
  dependsOn(name: string, slackMs: number): boolean {
    const voters = [...this.members.values()].filter(({ isVoter }) => isVoter);
    if (!voters.some((voter) => voter.name === name && voter.isHealthy)) return false;
    const counted = voters.filter(
      (voter) => voter.name !== name && this.#time.nowMs - this.seenMs(voter) <= slackMs,
    ).length;
    return (counted + 1) * 2 > voters.length && counted * 2 <= voters.length;
  }

  seenMs({ isHealthy, healthyMs }: Member): number {
    return isHealthy ? this.#time.nowMs : healthyMs;
  }

  /** A member's process came up, went, or was cut off. */
  setHealthy(name: string, isHealthy: boolean): void {
    const member = this.members.get(name);
    if (member === undefined || member.isHealthy === isHealthy) return;
    member.isHealthy = isHealthy;
    member.healthyMs = this.#time.nowMs;
    this.check();
  }

  /** Lets a leader that cannot lead any more go, and a new one be elected after a while. */
  check(): void {
    const leader = this.leader === undefined ? undefined : this.members.get(this.leader);
    if (leader?.isHealthy === true && leader.isVoter && this.hasMajority()) return;
    this.leader = undefined;
    if (this.#isElecting || !this.hasMajority()) return;
    this.#isElecting = true;
    this.#time.plan(this.#random.between(900, 3_000), () => {
      this.#isElecting = false;
      if (this.leader !== undefined || !this.hasMajority()) return;
      const candidates = [...this.members.values()].filter(({ isVoter, isHealthy }) => isVoter && isHealthy);
      this.lead(this.#random.pick(candidates)?.name);
    });
  }

  /** Makes a member the leader. */
  lead(name: string | undefined): void {
    if (this.leader === name) return;
    this.leader = name;
    this.#onReign();
  }

  /** Takes a member out. */
  remove(name: string): void {
    if (!this.members.delete(name)) return;
    this.removed.add(name);
    if (this.leader === name) this.leader = undefined;
    this.check();
  }
}
