/** What one group's embedder is to hear, kept until the turn has no record on its way any more: never from within the core. */
import { RheaError } from "@rhea/common";
import type { StateMachine } from "./api.js";

/** Notices of one group, told in the order in which they came. */
export class Notices {
  readonly #stateMachine: StateMachine;
  #waiting: (() => void)[] = [];
  #dropped: { readonly context: unknown; readonly error: RheaError }[] = [];

  constructor(stateMachine: StateMachine) {
    this.#stateMachine = stateMachine;
  }

  add(notice: (stateMachine: StateMachine) => void): void {
    const stateMachine = this.#stateMachine;
    this.#waiting.push(() => {
      notice(stateMachine);
    });
  }

  addDropped(context: unknown, error: RheaError): void {
    this.#dropped.push({ context, error });
  }

  /** Forgets what was not told, except lost proposals. */
  clear(): void {
    this.#waiting = [];
  }

  /** Tells all notices but those of lost proposals; returns what a notice threw, if one did: the rest is not told then. */
  tell(groupId: number): RheaError | undefined {
    if (this.#waiting.length === 0) return undefined;
    const notices = this.#waiting;
    this.#waiting = [];
    try {
      for (const notice of notices) notice();
      return undefined;
    } catch (error) {
      const { code, message } = RheaError.from(error);
      const what = `group ${groupId}: the state machine failed at a change of leadership`;
      return new RheaError(code, `${what}: ${message}`, { cause: error });
    }
  }

  /** Tells of lost proposals. */
  tellDropped(): void {
    if (this.#dropped.length === 0) return;
    const dropped = this.#dropped;
    this.#dropped = [];
    for (const { context, error } of dropped) this.#stateMachine.onDropped?.(context, error);
  }
}
