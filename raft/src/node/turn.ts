/** The turn: once per event-loop turn at most, the groups in which something happened are visited together. */
import type { Group } from "./group.js";
import type { TurnOutput } from "./group-host.js";

/** What a turn does beside visiting groups. */
export interface TurnOptions {
  /** Asks for {@link Turn.run} in the next turn of the event loop. */
  schedule(): void;
  /** Writes the records; `awaited` is told once they are durable. */
  write(output: TurnOutput<Group>): void;
  /** Sends what was put into the outboxes. */
  flush(): void;
  /** All groups have applied. */
  onApplied(): void;
}

/** Groups to visit, and the visit. */
export class Turn {
  readonly #options: TurnOptions;
  #dirty: Group[] = [];
  #count = 0;

  constructor(options: TurnOptions) {
    this.#options = options;
  }

  /** Turns so far. */
  get count(): number {
    return this.#count;
  }

  get hasWork(): boolean {
    return this.#dirty.length > 0;
  }

  /** Puts a group on the list of the next turn. */
  mark(group: Group): void {
    if (group.isDirty) return;
    group.isDirty = true;
    this.#dirty.push(group);
    this.#options.schedule();
  }

  /** Visits the marked groups: collect, write, send, apply. */
  run(): void {
    this.#count++;
    const groups = this.#dirty;
    this.#dirty = [];
    for (const group of groups) group.isDirty = false;
    const output: TurnOutput<Group> = { records: [], awaited: [] };
    for (const group of groups) group.collect(output);
    // The write starts first: it takes longest. Nothing of the embedder has run since the records were collected.
    this.#options.write(output);
    this.#options.flush();
    for (const group of groups) group.applyCommitted();
    this.#options.onApplied();
  }
}
