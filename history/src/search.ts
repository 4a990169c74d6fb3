import type { Model } from "./model.js";
import { createPending } from "./pending.js";
import type { Operation } from "./record.js";
import { createVisited } from "./visited.js";

/** Where a search for a linearization ended without one. */
export interface DeadEnd<Op, Result, State> {
  /** The longest order found that fits all its answers. */
  readonly order: readonly Operation<Op, Result>[];
  /** The state after that order. */
  readonly state: State;
  /** Set when the search was given up after that many steps. */
  readonly gaveUpAfter?: number;
}

/** One operation that may come next, and what it would lead to. */
interface Choice<State> {
  readonly index: number;
  readonly isOpen: boolean;
  readonly state: State;
}

/** One place in the order under trial, and what may come next there. */
interface Place<State> {
  readonly state: State;
  /** The state before the open operation just taken; undefined after a completed one. */
  readonly withoutOpen: { readonly state: State } | undefined;
  readonly choices: Choice<State>[];
  /** How many of `choices` have been tried. */
  tried: number;
  /** Whether `choices` has the open operations too: they are guesses, looked at last. */
  hasOpen: boolean;
}

/**
 * Looks for a linearization of one key's operations. Returns undefined when there is one, else where the search got furthest.
 *
 * Wing and Gong's search in Lowe's form (memory of situations), with cuts that lose nothing:
 * - a read that may come now comes now, and no other choice is looked at: any order of the rest works the same behind it;
 * - an open operation comes right before an operation that sees it: where the next one would be the same without, it is left out;
 * - a situation is not entered when one with the same completed operations and state, but fewer open ones used up, was.
 */
export function searchLinearization<Op, Result, State>(
  operations: readonly Operation<Op, Result>[],
  model: Model<Op, Result, State>,
  maxSteps: number,
): DeadEnd<Op, Result, State> | undefined {
  const completed = operations.filter(({ outcome }) => outcome.kind === "ok");
  const open = operations.filter(({ outcome }) => outcome.kind === "open");
  const pending = createPending(completed);
  const visited = createVisited(completed.length, open.length);
  const isUsed = open.map(() => false);
  let steps = 0;

  /** Whether `op` comes to the same end without the open operation before it. */
  const isBlindTo = (
    withoutOpen: Place<State>["withoutOpen"],
    { op, outcome }: Operation<Op, Result>,
    after: State,
  ) => {
    if (withoutOpen === undefined) return false;
    steps++;
    const step = model.step(withoutOpen.state, op, outcome.kind === "ok" ? outcome : undefined);
    return step.ok && model.identify(step.state) === model.identify(after);
  };

  const placeAt = (state: State, withoutOpen: Place<State>["withoutOpen"]): Place<State> => {
    const place: Place<State> = { state, withoutOpen, choices: [], tried: 0, hasOpen: false };
    for (const index of pending.candidates()) {
      const operation = completed[index] as Operation<Op, Result>;
      if (operation.outcome.kind !== "ok") continue;
      steps++;
      const step = model.step(state, operation.op, operation.outcome);
      if (!step.ok || isBlindTo(withoutOpen, operation, step.state)) continue;
      const choice = { index, isOpen: false, state: step.state };
      if (model.isReadOnly(operation.op, operation.outcome)) return { ...place, choices: [choice], hasOpen: true };
      place.choices.push(choice);
    }
    return place;
  };

  const addOpenChoices = (place: Place<State>): void => {
    place.hasOpen = true;
    const before = pending.firstReturn();
    for (const [index, operation] of open.entries()) {
      if (operation.invokedAt > before) break;
      if (isUsed[index]) continue;
      steps++;
      const step = model.step(place.state, operation.op, undefined);
      if (!step.ok || model.identify(step.state) === model.identify(place.state)) continue;
      if (isBlindTo(place.withoutOpen, operation, step.state)) continue;
      place.choices.push({ index, isOpen: true, state: step.state });
    }
  };

  const take = ({ index, isOpen }: Choice<State>): void => {
    if (isOpen) {
      isUsed[index] = true;
      visited.flipOpen(index);
    } else {
      pending.remove(index);
      visited.flipCompleted(index);
    }
  };
  const giveBack = ({ index, isOpen }: Choice<State>): void => {
    if (isOpen) {
      isUsed[index] = false;
      visited.flipOpen(index);
    } else {
      pending.restore(index);
      visited.flipCompleted(index);
    }
  };

  /** Invariant: `order[i]` is the choice taken at `places[i]`; one place more than choices taken, the last is being tried. */
  const order: Choice<State>[] = [];
  const places: Place<State>[] = [placeAt(model.initial, undefined)];
  let furthest: DeadEnd<Op, Result, State> = { order: [], state: model.initial };
  const noteDeadEnd = (state: State): void => {
    if (order.length <= furthest.order.length) return;
    const taken = order.map(({ index, isOpen }) => (isOpen ? open : completed)[index] as Operation<Op, Result>);
    furthest = { order: taken, state };
  };

  for (let place = places.at(-1); place !== undefined; place = places.at(-1)) {
    if (pending.firstReturn() === Infinity) return undefined;
    if (place.tried === place.choices.length && !place.hasOpen) addOpenChoices(place);
    const choice = place.choices[place.tried++];
    if (choice === undefined) {
      noteDeadEnd(place.state);
      if (steps > maxSteps) return { ...furthest, gaveUpAfter: maxSteps };
      places.pop();
      const last = order.pop();
      if (last !== undefined) giveBack(last);
      continue;
    }
    take(choice);
    if (visited.remember(model.identify(choice.state))) {
      order.push(choice);
      places.push(placeAt(choice.state, choice.isOpen ? place : undefined));
    } else {
      giveBack(choice);
    }
  }
  return furthest;
}
