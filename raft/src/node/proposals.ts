/** Proposals of one group on their way: waiting for room, waiting for the turn, then in the log until their fate is known. */
import { RheaError } from "@rhea/common";
import { ProposalDroppedError, type RawNode } from "../core/index.js";
import type { Entry } from "../core/types.js";
import type { HostLimits, Task } from "./api.js";
import { busy } from "./node-errors.js";
import type { ProposalBudget } from "./proposal-budget.js";

/** A proposal in the log whose outcome is open. */
interface Tracked {
  readonly index: number;
  readonly term: number;
  readonly task: Task;
  /** Monotonic ms at which it was proposed. */
  readonly sinceMs: number;
}

/** A proposal that waits for room. */
interface Parked {
  readonly task: Task;
  /** Monotonic. */
  readonly deadlineMs: number;
}

/** What the queue needs. */
export interface ProposalQueueOptions {
  readonly groupId: number;
  readonly limits: Pick<HostLimits, "maxPendingProposals" | "maxProposalBytes">;
  /** The process's share. */
  readonly budget: ProposalBudget;
  /** Asks for a turn, as there may be room now. */
  readonly onRoom: () => void;
  /** Told when a proposal ends without being applied with its context. */
  readonly onDropped: (context: unknown, error: RheaError) => void;
}

/** Figures of the queue, since the start. */
export interface ProposalFigures {
  /** Taken in. */
  readonly proposed: number;
  readonly proposedBytes: number;
  /** Refused, or given up waiting, because a bound was reached. */
  readonly busy: number;
  /** Ended without being applied with their context, those refused for lack of room not among them. */
  readonly dropped: number;
  /** Of those applied here: their number, and ms from proposing to applying, summed. */
  readonly applied: number;
  readonly latencyMs: number;
}

/**
 * Keeps proposals in the order of their indexes, so that applying an entry finds its task at the head. Invariant: every applied index is
 * taken, so that a proposal whose index has passed without it was overwritten, whatever others had the same index.
 */
export class ProposalQueue {
  readonly #options: ProposalQueueOptions;
  #parked: Parked[] = [];
  #parkedBytes = 0;
  #waiting: Task[] = [];
  #tracked: Tracked[] = [];
  #head = 0;
  /** Of what waits for the turn and what is in the log. */
  #bytes = 0;
  #proposed = 0;
  #proposedBytes = 0;
  #busy = 0;
  #dropped = 0;
  #applied = 0;
  #latencyMs = 0;

  constructor(options: ProposalQueueOptions) {
    this.#options = options;
  }

  /** Proposals that wait for the turn or are in the log. */
  get count(): number {
    return this.#waiting.length + this.#tracked.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Proposals that wait for room. */
  get parked(): number {
    return this.#parked.length;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0 || this.#parked.length > 0;
  }

  get figures(): ProposalFigures {
    return {
      proposed: this.#proposed,
      proposedBytes: this.#proposedBytes,
      busy: this.#busy,
      dropped: this.#dropped,
      applied: this.#applied,
      latencyMs: this.#latencyMs,
    };
  }

  /**
   * Takes a proposal in. Without room it waits until `deadlineMs` (monotonic), behind those that wait already; undefined: it does not.
   * @throws RheaError SERVER_BUSY when there is no room, for waiting neither.
   */
  add(task: Task, deadlineMs: number | undefined): void {
    // Whoever waits comes first, even if a smaller one would still fit.
    if (this.#parked.length === 0 && this.#hasRoom(task.data.length)) {
      this.#admit(task);
      return;
    }
    const { maxPendingProposals, maxProposalBytes } = this.#options.limits;
    const isTooMuch =
      this.#parked.length >= maxPendingProposals || this.#parkedBytes + task.data.length > maxProposalBytes;
    if (deadlineMs === undefined || isTooMuch) {
      this.#busy++;
      throw this.#busyError();
    }
    this.#parked.push({ task, deadlineMs });
    this.#parkedBytes += task.data.length;
    this.#options.budget.wait(this.#options.onRoom);
  }

  /** Gives up what has waited for room until now. */
  expire(nowMs: number): void {
    if (this.#parked.length === 0 || !this.#parked.some(({ deadlineMs }) => deadlineMs <= nowMs)) return;
    const expired = this.#parked.filter(({ deadlineMs }) => deadlineMs <= nowMs);
    this.#parked = this.#parked.filter(({ deadlineMs }) => deadlineMs > nowMs);
    for (const { task } of expired) {
      this.#parkedBytes -= task.data.length;
      this.#busy++;
      this.#options.onDropped(task.context, this.#busyError());
    }
    if (this.#parked.length === 0) this.#options.budget.leave(this.#options.onRoom);
  }

  /** Proposes all that waits and has room; what the leader does not take, or should not, is dropped. */
  submit(raw: RawNode, nowMs: number, notLeader: () => RheaError): void {
    const { term, state } = raw.basicStatus();
    if (state !== "leader") {
      this.#refuseWaiting(notLeader);
      return;
    }
    this.#unpark();
    const tasks = this.#waiting;
    this.#waiting = [];
    const isStale = ({ expectedTerm }: Task): boolean => expectedTerm !== undefined && expectedTerm !== term;
    const fresh = tasks.some(isStale) ? tasks.filter((task) => !isStale(task)) : tasks;
    if (fresh.length < tasks.length) {
      const message = `the term is ${term} by now: the proposal was not made`;
      this.#refuse(tasks.filter(isStale), () => new RheaError("PROPOSAL_DROPPED", message));
    }
    if (fresh.length === 0 || this.#propose(raw, fresh, term, nowMs)) return;
    for (const task of fresh) this.#propose(raw, [task], term, nowMs);
  }

  /** Returns the task of an entry that is being applied, if it was proposed here; what it overwrote is dropped. */
  take(entry: Entry, nowMs: number): Task | undefined {
    while (this.#head < this.#tracked.length) {
      const tracked = this.#tracked[this.#head] as Tracked;
      if (tracked.index > entry.index) return undefined;
      this.#advance();
      const { index, term, task, sinceMs } = tracked;
      this.#release(task);
      if (index === entry.index && term === entry.term) {
        this.#applied++;
        this.#latencyMs += nowMs - sinceMs;
        return task;
      }
      const what = `the entry at index ${index}, term ${term} was overwritten by one of term ${entry.term}`;
      this.#drop(task, new RheaError("STALE_COMMAND", `${what}: it was not applied, repeat it`));
    }
    return undefined;
  }

  /** Drops everything of other terms than `term` (all: pass 0), as nobody here will learn its outcome soon. */
  drop(why: () => RheaError, exceptTerm: number): void {
    const gone = this.#tracked.slice(this.#head).filter((tracked) => tracked.term !== exceptTerm);
    this.#tracked = this.#tracked.slice(this.#head).filter((tracked) => tracked.term === exceptTerm);
    this.#head = 0;
    for (const { task } of gone) {
      this.#release(task);
      this.#drop(task, why());
    }
  }

  /** Drops what an installed snapshot has passed: whether it is part of it cannot be told. */
  dropUpTo(index: number, why: () => RheaError): void {
    while (this.#head < this.#tracked.length) {
      const tracked = this.#tracked[this.#head] as Tracked;
      if (tracked.index > index) return;
      this.#advance();
      this.#release(tracked.task);
      this.#drop(tracked.task, why());
    }
  }

  /** Drops everything. What has not reached the log is certainly not applied; of the rest others may apply what this peer does not. */
  clear(why: (maybeApplied: boolean) => RheaError): void {
    this.#refuseWaiting(() => why(false));
    this.drop(() => why(true), 0);
  }

  // --- inside ---

  #hasRoom(bytes: number): boolean {
    const { limits, budget } = this.#options;
    const { count } = this;
    const fits = count < limits.maxPendingProposals && (count === 0 || this.#bytes + bytes <= limits.maxProposalBytes);
    return fits && budget.hasRoom(bytes);
  }

  #admit(task: Task): void {
    const bytes = task.data.length;
    this.#waiting.push(task);
    this.#bytes += bytes;
    this.#proposed++;
    this.#proposedBytes += bytes;
    this.#options.budget.take(bytes);
  }

  #release({ data }: Task): void {
    this.#bytes -= data.length;
    this.#options.budget.give(data.length);
  }

  /** Lets in, in order, what waits for room and has it now. */
  #unpark(): void {
    if (this.#parked.length === 0) return;
    let admitted = 0;
    for (const { task } of this.#parked) {
      if (!this.#hasRoom(task.data.length)) break;
      this.#admit(task);
      this.#parkedBytes -= task.data.length;
      admitted++;
    }
    this.#parked = this.#parked.slice(admitted);
    if (this.#parked.length > 0) this.#options.budget.wait(this.#options.onRoom);
    else this.#options.budget.leave(this.#options.onRoom);
  }

  /** Proposes tasks as consecutive entries; false when there is no room for that many, but there may be for some. */
  #propose(raw: RawNode, tasks: readonly Task[], term: number, sinceMs: number): boolean {
    let index: number;
    try {
      index = raw.proposeMany(tasks.map(({ data }) => data));
    } catch (error) {
      if (!(error instanceof ProposalDroppedError)) throw error;
      if (error.reason === "uncommittedLimit" && tasks.length > 1) return false;
      this.#refuse(tasks, () => error);
      return true;
    }
    const isBehind = index <= (this.#tracked.at(-1)?.index ?? 0);
    for (const task of tasks) this.#tracked.push({ index: index++, term, task, sinceMs });
    if (isBehind) this.#sort();
    return true;
  }

  /** Puts what is tracked in order: what an earlier term of this leader left open may have the same indexes, or higher ones. */
  #sort(): void {
    this.#tracked = this.#tracked.slice(this.#head).sort((a, b) => a.index - b.index || a.term - b.term);
    this.#head = 0;
  }

  /** Drops what is not in the log. */
  #refuseWaiting(why: () => RheaError): void {
    const tasks = this.#waiting;
    this.#waiting = [];
    this.#refuse(tasks, why);
    if (this.#parked.length === 0) return;
    const parked = this.#parked;
    this.#parked = [];
    this.#parkedBytes = 0;
    this.#options.budget.leave(this.#options.onRoom);
    for (const { task } of parked) this.#drop(task, why());
  }

  #refuse(tasks: readonly Task[], why: () => RheaError): void {
    for (const task of tasks) {
      this.#release(task);
      this.#drop(task, why());
    }
  }

  #drop({ context }: Task, error: RheaError): void {
    this.#dropped++;
    this.#options.onDropped(context, error);
  }

  #busyError(): RheaError {
    const { groupId, budget } = this.#options;
    const here = `${this.count} proposals of ${this.#bytes} bytes, and ${this.#parked.length} before them,`;
    return busy(groupId, `${here} wait here, ${budget.count} of ${budget.bytes} bytes in the process`);
  }

  #advance(): void {
    this.#head++;
    if (this.#head === this.#tracked.length) {
      this.#tracked = [];
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 > this.#tracked.length) {
      this.#tracked = this.#tracked.slice(this.#head);
      this.#head = 0;
    }
  }
}
