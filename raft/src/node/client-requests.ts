/** What clients ask of one group: proposals, and linearizable reads. */
import { RheaError, type Logger, type Rng } from "@rhea/common";
import { ProposalDroppedError, type RawNode } from "../core/index.js";
import type { Entry } from "../core/types.js";
import type { HostLimits, Task } from "./api.js";
import type { PeerPlace } from "./group-host.js";
import { leadershipLost, noLeader, notLeader } from "./node-errors.js";
import type { Notices } from "./notices.js";
import type { ProposalBudget } from "./proposal-budget.js";
import { ProposalQueue } from "./proposals.js";
import { ReadRounds } from "./read-index.js";

/** The group that is asked. */
export interface AskedGroup {
  readonly groupId: number;
  readonly isLeader: boolean;
  readonly term: number;
  readonly host: {
    readonly limits: HostLimits;
    readonly tick: number;
    readonly nowMs: number;
    readonly proposalBudget: ProposalBudget;
    readonly options: { readonly rng: Rng; readonly logger: Logger };
  };
  leaderHint(): PeerPlace;
  /** The outcome of what was asked under a lost leadership will not be known here. */
  onGivenUp(): void;
  /** Asks for a turn. */
  wake(): void;
}

/** Proposals and reads of one group. */
export class ClientRequests {
  readonly proposals: ProposalQueue;
  readonly #group: AskedGroup;
  readonly #reads: ReadRounds;
  /** Tick at which proposals of lost leaderships are given up; 0: none. */
  #dropProposalsAt = 0;

  constructor(group: AskedGroup, notices: Notices) {
    this.#group = group;
    const { groupId, host } = group;
    this.#reads = new ReadRounds(host.options.rng.bytes(8));
    this.proposals = new ProposalQueue({
      groupId,
      limits: host.limits,
      budget: host.proposalBudget,
      onRoom: () => {
        group.wake();
      },
      onDropped: (context, error) => {
        notices.addDropped(context, error);
        group.wake();
      },
    });
  }

  /** Whether nothing waits for a turn, an answer or time to pass. */
  get isIdle(): boolean {
    return this.#dropProposalsAt === 0 && this.#reads.isEmpty && !this.proposals.hasWaiting;
  }

  /** Takes a proposal in at the leader. */
  apply(raw: RawNode, task: Task): void {
    const { groupId, host } = this.#group;
    const { term, leadTransferee } = raw.basicStatus();
    const { expectedTerm, onBusy = "reject", deadlineMs } = task;
    if (expectedTerm !== undefined && expectedTerm !== term) {
      const terms = `${term}, not ${expectedTerm}`;
      throw new RheaError("PROPOSAL_DROPPED", `group ${groupId} is in term ${terms}: the proposal was not made`);
    }
    if (leadTransferee !== 0) throw new ProposalDroppedError("transferring");
    const { electionTicks, tickMs } = host.limits;
    const waitMs = deadlineMs ?? electionTicks * tickMs;
    this.proposals.add(task, onBusy === "wait" ? host.nowMs + waitMs : undefined);
    this.#group.wake();
  }

  read(): Promise<void> {
    this.#group.wake();
    return this.#reads.read();
  }

  /** Hands the core what came since the last turn; true if it was asked for a round of reads. */
  submit(raw: RawNode): boolean {
    const { groupId, host } = this.#group;
    if (this.proposals.hasWaiting) {
      this.proposals.submit(raw, host.nowMs, () => notLeader(groupId, this.#group.leaderHint()));
    }
    return this.#reads.hasNext && this.#reads.ask(raw, () => noLeader(groupId, "read"));
  }

  /** A round of reads got its index. */
  confirmRead(context: Uint8Array, index: number): void {
    this.#reads.confirm(context, index);
  }

  /** Returns the task of an entry that is being applied, if it was proposed here. */
  take(entry: Entry): Task | undefined {
    return this.proposals.take(entry, this.#group.host.nowMs);
  }

  /** Tells a proposer that its entry is committed. What it throws is its own business. */
  tellCommitted(task: Task, index: number, term: number): void {
    try {
      task.onCommitted?.(index, term);
    } catch (error) {
      const { groupId, host } = this.#group;
      const why = RheaError.from(error).message;
      host.options.logger.log("error", "onCommitted of a proposal threw", { groupId, index, why });
    }
  }

  /** Everything up to here is applied. */
  onApplied(applied: number): void {
    this.#reads.resolve(applied);
  }

  /** A snapshot was installed over what is below its index. */
  onInstalled(index: number): void {
    this.proposals.dropUpTo(index, () => this.#lost());
  }

  onTick(raw: RawNode): void {
    const { groupId, host } = this.#group;
    if (this.proposals.parked > 0) this.proposals.expire(host.nowMs);
    if (!this.#reads.isEmpty) {
      const { electionTicks } = host.limits;
      this.#reads.tick(2 * electionTicks, () => noLeader(groupId, "read"));
      if (host.tick % Math.ceil(electionTicks / 2) === 0) this.#repeatReads(raw, false);
    }
    if (this.#dropProposalsAt !== 0 && host.tick >= this.#dropProposalsAt) this.#giveUpProposals();
  }

  /** This peer has stopped leading: the outcome of what it proposed is awaited for two election timeouts. */
  onDeposed(): void {
    const { groupId, host } = this.#group;
    this.#dropProposalsAt = host.tick + 2 * host.limits.electionTicks;
    this.#reads.reject(notLeader(groupId, this.#group.leaderHint()), false);
  }

  /** Another leader is known, or the same in another term. */
  onNewLeader(raw: RawNode): void {
    this.#repeatReads(raw, true);
  }

  /** The peer stops. */
  end(why: (maybeApplied: boolean) => RheaError): void {
    this.proposals.clear(why);
    this.#reads.reject(why(false), true);
  }

  #repeatReads(raw: RawNode, isNewLeader: boolean): void {
    if (this.#reads.repeat(raw, isNewLeader)) this.#group.wake();
  }

  #giveUpProposals(): void {
    this.#dropProposalsAt = 0;
    const { isLeader, term } = this.#group;
    this.proposals.drop(() => this.#lost(), isLeader ? term : 0);
    this.#group.onGivenUp();
  }

  #lost(): RheaError {
    return leadershipLost(this.#group.groupId, this.#group.leaderHint());
  }
}
