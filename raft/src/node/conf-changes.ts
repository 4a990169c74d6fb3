/**
 * Membership changes of one group at its leader: one request at a time, carried through its steps (learners first, their catching up, the
 * change itself, out of the joint configuration) as entries are applied and time passes. What fails half-way is undone.
 */
import { RheaError } from "@rhea/common";
import { isJoint, type RawNode } from "../core/index.js";
import type { ConfChangeV2, ConfState, Entry, PeerId } from "../core/types.js";
import type { ChangeOptions, HostLimits } from "./api.js";
import { CatchUp } from "./catch-up.js";
import { LEAVE_JOINT, planStep, type Goal, type Position } from "./conf-plan.js";
import { deferred, type Deferred } from "./deferred.js";
import type { MemberList } from "./membership.js";
import { changeBusy } from "./node-errors.js";

/** What changes need of their group. */
export interface ChangeTarget {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly members: MemberList;
  readonly confState: ConfState;
  /** Present tick of the host. */
  readonly tick: number;
  readonly limits: HostLimits;
  /** The core while this peer leads, else undefined. */
  leadingCore(): RawNode | undefined;
  /** Monotonic ms since a peer was heard of. */
  silentMs(peerId: PeerId): number;
  /** Starts to hand leadership to the best of these; errors are no matter. */
  handOver(to: readonly PeerId[]): void;
  /** Asks for a turn: something was proposed. */
  wake(): void;
}

interface PendingEntry {
  readonly index: number;
  readonly term: number;
}

interface Operation {
  goal: Goal;
  /** The configuration before it, to go back to. */
  readonly before: Goal;
  readonly done: Deferred;
  readonly catchUp: CatchUp;
  /** Learners that it brought in. */
  readonly added: Set<PeerId>;
  /** Its entry in the log that is not applied yet. */
  pending: PendingEntry | undefined;
  /** Why it is being undone. */
  failure: RheaError | undefined;
  /** Tick at which undoing is given up, or the next attempt to hand over is due. */
  deadlineTick: number;
  handOvers: number;
}

/** Attempts to hand leadership to a voter that stays; then the leader leaves the joint configuration, and steps down with it. */
const MAX_HAND_OVERS = 3;

/** The membership changes of one group. */
export class ConfChanges {
  readonly #target: ChangeTarget;
  #operation: Operation | undefined;

  constructor(target: ChangeTarget) {
    this.#target = target;
  }

  get isIdle(): boolean {
    return this.#operation === undefined;
  }

  /**
   * Begins to bring the configuration to `goal`; undefined if it is there already. The first step is made at once.
   * @throws RheaError CONF_CHANGE_BUSY while another request is under way.
   */
  start(raw: RawNode, goal: Goal, options: ChangeOptions): Promise<void> | undefined {
    const { confState, limits } = this.#target;
    const isBusy = this.#operation !== undefined || isJoint(confState);
    const position = this.#position(raw, undefined);
    if (!isJoint(confState) && planStep({ ...goal, withoutCatchUp: true }, position).kind === "done") return undefined;
    if (isBusy) throw changeBusy(this.#target.groupId);
    const operation: Operation = {
      goal,
      before: this.#present("undo"),
      done: deferred(),
      catchUp: new CatchUp(limits, options),
      added: new Set(),
      pending: undefined,
      failure: undefined,
      deadlineTick: 0,
      handOvers: 0,
    };
    this.#operation = operation;
    try {
      this.#advance(operation, raw);
    } catch (error) {
      this.#operation = undefined;
      throw error;
    }
    return operation.done.promise;
  }

  /** A change's entry was applied. */
  onChangeApplied(entry: Entry, wasAccepted: boolean): void {
    const operation = this.#operation;
    if (operation?.pending?.index !== entry.index) return;
    const { term } = operation.pending;
    operation.pending = undefined;
    if (term !== entry.term) this.#fail(operation, this.#overwritten(operation.goal, entry.index));
    else if (!wasAccepted) {
      const message = `group ${this.#target.groupId}: ${operation.goal.what}: the state machine refused it at index ${entry.index}`;
      this.#fail(operation, new RheaError("OPERATION_REFUSED", message));
    }
  }

  /** Everything up to `applied` is applied: goes on with what waited for it. */
  onApplied(applied: number): void {
    const operation = this.#operation;
    if (operation === undefined) {
      this.#finishJoint();
      return;
    }
    const { pending } = operation;
    if (pending !== undefined && pending.index <= applied) {
      // It was not met: a snapshot that may hold it, or another leader's entry, took its place.
      operation.pending = undefined;
      if (!this.#isReached(operation)) this.#fail(operation, this.#overwritten(operation.goal, pending.index));
    }
    this.#goOn();
  }

  /** This peer began to lead: an earlier leader may have left a joint configuration to be ended. */
  onElected(): void {
    this.#finishJoint();
  }

  /** Another peer leads. What is in the log may still be applied here; what is not never will be. */
  onDeposed(error: RheaError): void {
    const operation = this.#operation;
    if (operation === undefined || operation.pending !== undefined || isJoint(this.#target.confState)) return;
    this.#end(operation, operation.failure ?? error);
  }

  tick(): void {
    this.#goOn();
  }

  /** Nothing more will be heard of the request's outcome. */
  drop(error: RheaError): void {
    if (this.#operation !== undefined) this.#end(this.#operation, this.#operation.failure ?? error);
  }

  #goOn(): void {
    const operation = this.#operation;
    if (operation === undefined || operation.pending !== undefined) return;
    const raw = this.#target.leadingCore();
    if (raw === undefined) {
      // The change may have been finished by the next leader.
      if (this.#isReached(operation)) this.#end(operation, operation.failure);
      return;
    }
    try {
      this.#advance(operation, raw);
    } catch (thrown) {
      const error = RheaError.from(thrown);
      // The core takes it a little later: an earlier change is not applied yet, or leadership is being handed over.
      if (error.code !== "CONF_CHANGE_BUSY" && error.code !== "PROPOSAL_DROPPED") this.#fail(operation, error);
    }
  }

  #advance(operation: Operation, raw: RawNode): void {
    const { tick, limits } = this.#target;
    if (operation.failure !== undefined && tick >= operation.deadlineTick) {
      this.#end(operation, operation.failure);
      return;
    }
    const position = this.#position(raw, operation);
    const step = planStep(operation.goal, position);
    switch (step.kind) {
      case "done":
        this.#end(operation, operation.failure);
        return;
      case "propose":
        this.#propose(operation, raw, step.change);
        if (step.adds !== undefined) operation.added.add(step.adds);
        return;
      case "catchUp": {
        const why = operation.catchUp.whyHopeless(step.peers, raw.status(), tick);
        if (why === undefined) return;
        const message = `group ${this.#target.groupId}: ${operation.goal.what}: ${why}: no voter was changed`;
        this.#fail(operation, new RheaError("OPERATION_REFUSED", message));
        return;
      }
      case "handOver":
        // The core gives a transfer an election timeout; the next attempt comes after it.
        if (tick < operation.deadlineTick) return;
        operation.deadlineTick = tick + limits.electionTicks + 1;
        if (operation.handOvers++ < MAX_HAND_OVERS) this.#target.handOver(step.to);
        else this.#propose(operation, raw, LEAVE_JOINT);
        return;
      case "wait":
        return;
    }
  }

  #propose(operation: Operation, raw: RawNode, change: ConfChangeV2): void {
    // The core would put an empty entry into the log in its place.
    if (raw.isConfChangePending()) throw changeBusy(this.#target.groupId);
    // An index of 0 cannot come: this peer leads, and no proposal is forwarded.
    const index = raw.proposeConfChange(change);
    operation.pending = { index, term: raw.basicStatus().term };
    this.#target.wake();
  }

  /** Ends a request with an error; first takes out again what it brought in. */
  #fail(operation: Operation, error: RheaError): void {
    if (operation.failure !== undefined || operation.added.size === 0 || this.#target.leadingCore() === undefined) {
      this.#end(operation, operation.failure ?? error);
      return;
    }
    operation.failure = error;
    operation.goal = { ...operation.before, withoutCatchUp: true };
    operation.deadlineTick = this.#target.tick + operation.catchUp.timeoutTicks;
    this.#goOn();
  }

  #end(operation: Operation, error: RheaError | undefined): void {
    if (this.#operation === operation) this.#operation = undefined;
    if (error === undefined) operation.done.resolve();
    else operation.done.reject(error);
  }

  /** A leader in a joint configuration that does not end by itself, and that no request of its own accounts for, ends it. */
  #finishJoint(): void {
    const { confState, limits } = this.#target;
    if (this.#operation !== undefined || !isJoint(confState) || confState.autoLeave) return;
    if (this.#target.leadingCore() === undefined) return;
    const goal = this.#present("finish the change of configuration");
    const catchUp = new CatchUp(limits, {});
    const added = new Set<PeerId>();
    this.#operation = {
      goal,
      before: goal,
      done: deferred(),
      catchUp,
      added,
      pending: undefined,
      failure: undefined,
      deadlineTick: 0,
      handOvers: 0,
    };
    this.#goOn();
  }

  /** The configuration in effect; of a joint one, what it is to become. */
  #present(what: string): Goal {
    const { confState, members } = this.#target;
    const learners = [...confState.learners, ...confState.learnersNext];
    const named = (ids: readonly PeerId[]) => members.all.filter(({ peerId }) => ids.includes(peerId));
    return { what, voters: named(confState.voters), learners: named(learners), withoutCatchUp: true, handsOver: true };
  }

  #isReached({ goal }: Operation): boolean {
    const { confState } = this.#target;
    return !isJoint(confState) && planStep({ ...goal, withoutCatchUp: true }, this.#view(0)).kind === "done";
  }

  #position(raw: RawNode, operation: Operation | undefined): Position {
    const status = raw.status();
    const isCaughtUp = (peerId: PeerId): boolean =>
      operation?.catchUp.isCaughtUp(peerId, status, this.#target.silentMs(peerId)) ?? false;
    return { ...this.#view(status.lastIndex + 1), isCaughtUp };
  }

  #view(nextIndex: number): Position {
    const { peerId: self, confState, members } = this.#target;
    return { self, confState, members: members.all, nextIndex, isCaughtUp: () => false };
  }

  #overwritten({ what }: Goal, index: number): RheaError {
    const message = `group ${this.#target.groupId}: ${what}: its entry at ${index} was overwritten by another leader's: repeat it`;
    return new RheaError("STALE_COMMAND", message);
  }
}
