/** Administrative requests of one group whose outcome comes later: membership changes by their log index, and leadership transfers. */
import { RheaError } from "@rhea/common";
import type { Entry, PeerId } from "../core/types.js";
import { deferred, type Deferred } from "./deferred.js";

interface PendingChange {
  readonly index: number;
  readonly term: number;
  readonly what: string;
  readonly done: Deferred;
}

interface PendingTransfer {
  readonly target: PeerId;
  readonly done: Deferred;
  readonly deadlineTick: number;
}

/** Keeps who waits for what. */
export class AdminRequests {
  readonly #groupId: number;
  #change: PendingChange | undefined;
  #transfer: PendingTransfer | undefined;

  constructor(groupId: number) {
    this.#groupId = groupId;
  }

  get isEmpty(): boolean {
    return this.#change === undefined && this.#transfer === undefined;
  }

  get hasChange(): boolean {
    return this.#change !== undefined;
  }

  /** Waits for a change that was proposed at (index, term). */
  waitForChange(index: number, term: number, what: string): Promise<void> {
    this.#change = { index, term, what, done: deferred() };
    return this.#change.done.promise;
  }

  /** Waits for `target` to lead; an earlier wait for another target ends with an error. */
  waitForTransfer(target: PeerId, deadlineTick: number): Promise<void> {
    if (this.#transfer?.target === target) return this.#transfer.done.promise;
    this.#failTransfer(`peer ${target} was asked for instead`);
    this.#transfer = { target, done: deferred(), deadlineTick };
    return this.#transfer.done.promise;
  }

  /** A change's entry was applied. */
  onChangeApplied(entry: Entry, wasAccepted: boolean): void {
    const change = this.#change;
    if (change?.index !== entry.index) return;
    this.#change = undefined;
    if (change.term !== entry.term) change.done.reject(this.#overwritten(change));
    else if (wasAccepted) change.done.resolve();
    else {
      const message = `group ${this.#groupId}: ${change.what}: the state machine refused it at index ${change.index}`;
      change.done.reject(new RheaError("OPERATION_REFUSED", message));
    }
  }

  /** Everything up to `applied` is applied: a change at or below it that was not met has been overwritten. */
  onApplied(applied: number): void {
    const change = this.#change;
    if (change === undefined || change.index > applied) return;
    this.#change = undefined;
    change.done.reject(this.#overwritten(change));
  }

  onLeader(leader: PeerId): void {
    if (this.#transfer === undefined || leader === 0) return;
    if (leader !== this.#transfer.target) return;
    this.#transfer.done.resolve();
    this.#transfer = undefined;
  }

  tick(tick: number): void {
    if (this.#transfer !== undefined && tick >= this.#transfer.deadlineTick) {
      this.#failTransfer("it did not take over within an election timeout");
    }
  }

  /** Leadership is gone and the change's outcome with it. */
  dropChange(why: RheaError): void {
    const change = this.#change;
    this.#change = undefined;
    change?.done.reject(why);
  }

  reject(error: RheaError): void {
    this.dropChange(error);
    this.#transfer?.done.reject(error);
    this.#transfer = undefined;
  }

  #failTransfer(why: string): void {
    const transfer = this.#transfer;
    if (transfer === undefined) return;
    this.#transfer = undefined;
    const message = `group ${this.#groupId}: leadership did not move to peer ${transfer.target}: ${why}`;
    transfer.done.reject(new RheaError("TRANSFER_FAILED", message));
  }

  #overwritten({ index, what }: PendingChange): RheaError {
    const message = `group ${this.#groupId}: ${what}: its entry at ${index} was overwritten by another leader's: repeat it`;
    return new RheaError("STALE_COMMAND", message);
  }
}
