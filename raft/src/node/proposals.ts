/** Proposals of one group on their way: waiting for the turn, then in the log until their fate is known. */
import { RheaError } from "@rhea/common";
import { ProposalDroppedError, type RawNode } from "../core/index.js";
import type { Entry } from "../core/types.js";
import type { Task } from "./api.js";

/** A proposal in the log whose outcome is open. */
interface Tracked {
  readonly index: number;
  readonly term: number;
  readonly context: unknown;
}

/** Told when a proposal ends without being applied with its context. */
export type OnDropped = (context: unknown, error: RheaError) => void;

/** Keeps proposals in the order of their indexes, so that applying an entry finds its context at the head. */
export class ProposalQueue {
  readonly #limit: number;
  readonly #onDropped: OnDropped;
  #waiting: Task[] = [];
  #tracked: Tracked[] = [];
  #head = 0;

  constructor(limit: number, onDropped: OnDropped) {
    this.#limit = limit;
    this.#onDropped = onDropped;
  }

  get count(): number {
    return this.#waiting.length + this.#tracked.length - this.#head;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  get isFull(): boolean {
    return this.count >= this.#limit;
  }

  add(task: Task): void {
    this.#waiting.push(task);
  }

  /** Proposes all that waits; what the leader does not take, or should not, is dropped. */
  submit(raw: RawNode, notLeader: () => RheaError): void {
    const tasks = this.#waiting;
    this.#waiting = [];
    const { term, state } = raw.basicStatus();
    if (state !== "leader") {
      this.#refuse(tasks, notLeader);
      return;
    }
    const isStale = ({ expectedTerm }: Task): boolean => expectedTerm !== undefined && expectedTerm !== term;
    const fresh = tasks.some(isStale) ? tasks.filter((task) => !isStale(task)) : tasks;
    if (fresh.length < tasks.length) {
      const message = `the term is ${term} by now: the proposal was not made`;
      this.#refuse(tasks.filter(isStale), () => new RheaError("PROPOSAL_DROPPED", message));
    }
    if (fresh.length === 0 || this.#propose(raw, fresh, term)) return;
    for (const task of fresh) this.#propose(raw, [task], term);
  }

  /** Returns the context of an entry that is being applied, if it was proposed here; what it overwrote is dropped. */
  take(entry: Entry): unknown {
    while (this.#head < this.#tracked.length) {
      const tracked = this.#tracked[this.#head] as Tracked;
      if (tracked.index > entry.index) return undefined;
      this.#advance();
      if (tracked.index === entry.index && tracked.term === entry.term) return tracked.context;
      const what = `the entry at index ${tracked.index}, term ${tracked.term} was overwritten by one of term ${entry.term}`;
      this.#onDropped(tracked.context, new RheaError("STALE_COMMAND", `${what}: it was not applied, repeat it`));
    }
    return undefined;
  }

  /** Drops everything of other terms than `term` (all: pass 0), as nobody here will learn its outcome soon. */
  drop(why: () => RheaError, exceptTerm: number): void {
    const gone = this.#tracked.slice(this.#head).filter((tracked) => tracked.term !== exceptTerm);
    this.#tracked = this.#tracked.slice(this.#head).filter((tracked) => tracked.term === exceptTerm);
    this.#head = 0;
    for (const { context } of gone) this.#onDropped(context, why());
  }

  /** Drops what an installed snapshot has passed: whether it is part of it cannot be told. */
  dropUpTo(index: number, why: () => RheaError): void {
    while (this.#head < this.#tracked.length) {
      const tracked = this.#tracked[this.#head] as Tracked;
      if (tracked.index > index) return;
      this.#advance();
      this.#onDropped(tracked.context, why());
    }
  }

  /** Drops everything. What has not reached the log is certainly not applied; of the rest others may apply what this peer does not. */
  clear(why: (maybeApplied: boolean) => RheaError): void {
    const tasks = this.#waiting;
    this.#waiting = [];
    this.#refuse(tasks, () => why(false));
    this.drop(() => why(true), 0);
  }

  /** Proposes tasks as consecutive entries; false when there is no room for that many, but there may be for some. */
  #propose(raw: RawNode, tasks: readonly Task[], term: number): boolean {
    let index: number;
    try {
      index = raw.proposeMany(tasks.map(({ data }) => data));
    } catch (error) {
      if (!(error instanceof ProposalDroppedError)) throw error;
      if (error.reason === "uncommittedLimit" && tasks.length > 1) return false;
      this.#refuse(tasks, () => error);
      return true;
    }
    for (const { context } of tasks) this.#tracked.push({ index: index++, term, context });
    return true;
  }

  #refuse(tasks: readonly Task[], why: () => RheaError): void {
    for (const { context } of tasks) this.#onDropped(context, why());
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
