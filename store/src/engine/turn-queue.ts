/** Gathers work of one event-loop turn: each task runs once, after the turn's I/O callbacks, however often it was asked for. */
import type { Scheduler } from "@rhea/common";

/** Work that is done once per turn. */
export interface TurnTask {
  runTurn(): void;
}

/** Runs tasks at the end of the turn in which they were scheduled. */
export class TurnQueue {
  readonly #scheduler: Scheduler;
  #tasks = new Set<TurnTask>();
  #isScheduled = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  schedule(task: TurnTask): void {
    this.#tasks.add(task);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#scheduler.nextTurn(() => this.run());
  }

  /** Runs what is scheduled now. */
  run(): void {
    this.#isScheduled = false;
    const tasks = this.#tasks;
    if (tasks.size === 0) return;
    this.#tasks = new Set();
    for (const task of tasks) task.runTurn();
  }
}
