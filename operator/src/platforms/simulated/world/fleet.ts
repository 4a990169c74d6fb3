/** The operators that a Deployment would keep: killed ones are replaced by fresh ones a little later. */
import type { Mutation } from "./mutation.js";
import { BOOKKEEPING, startOperator, type OperatorProcess } from "./operator-process.js";
import type { World } from "./world.js";

/** See the file's header. */
export class Fleet {
  /** How many are wanted. */
  size = 1;
  /** Writes of all operators, bookkeeping left out. */
  writes = 0;
  /** Number of operators that have been started. */
  started = 0;
  readonly #world: World;
  readonly #mutation: Mutation | undefined;
  readonly #operators: OperatorProcess[] = [];
  #calls = new Map<string, number>();

  constructor(world: World, mutation: Mutation | undefined) {
    this.#world = world;
    this.#mutation = mutation;
  }

  /** Keeps the fleet at its size from now on. */
  start(): void {
    const look = (): void => {
      while (this.running().length < this.size) this.#add();
      this.#world.time.plan(this.#world.random.between(500, 3_000), look);
    };
    look();
  }

  running(): OperatorProcess[] {
    return this.#operators.filter(({ process }) => process.isAlive);
  }

  /** Calls by verb of all that run, since the last {@link resetCounts}. */
  calls(verb: string): number {
    let sum = 0;
    for (const { client } of this.running()) sum += client.calls.get(verb) ?? 0;
    return sum - (this.#calls.get(verb) ?? 0);
  }

  /** Begins to count anew. */
  resetCounts(): void {
    this.writes = 0;
    this.#calls = new Map();
    for (const verb of ["list", "watch", "get"]) this.#calls.set(verb, this.calls(verb));
    for (const operator of this.#operators) operator.pdChanges = 0;
  }

  get pdChanges(): number {
    return this.running().reduce((sum, { pdChanges }) => sum + pdChanges, 0);
  }

  #add(): void {
    const world = this.#world;
    const operator = startOperator(world, ++this.started, this.#mutation, (self, write) => {
      if (!BOOKKEEPING.has(write.resource)) this.writes++;
      const leaders = this.running().filter((each) => each.isLeader());
      if (leaders.length > 1) world.violation("two operators take themselves for the leader");
      if (!self.isLeader() && !BOOKKEEPING.has(write.resource)) world.sometimes("write of a deposed operator");
    });
    this.#operators.push(operator);
  }
}
