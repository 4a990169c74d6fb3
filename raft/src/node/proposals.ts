/** Proposals of one group on their way: waiting for the turn, then in the log until their fate is known. */
import { RheaError } from "@rhea/common";
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

  takeWaiting(): readonly Task[] {
    const tasks = this.#waiting;
    this.#waiting = [];
    return tasks;
  }

  track(index: number, term: number, context: unknown): void {
    this.#tracked.push({ index, term, context });
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

  /** Reports tasks that never reached the log. */
  refuse(tasks: readonly Task[], why: () => RheaError): void {
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
