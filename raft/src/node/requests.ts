/** Administrative requests of one group whose outcome comes later: membership changes by their log index, and leadership transfers. */
import { RheaError } from "@rhea/common";
import type { RawNode } from "../core/index.js";
import type { ConfChangeV2, Entry, PeerId } from "../core/types.js";
import type { PeerInfo } from "./api.js";
import { deferred, type Deferred } from "./deferred.js";
import { encodeChangeContext } from "./change-context.js";
import type { MemberList } from "./membership.js";
import { changeBusy } from "./node-errors.js";

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

/** Makes the requests of a group's leader and keeps who waits for what. */
export class AdminRequests {
  readonly #groupId: number;
  readonly #members: MemberList;
  #change: PendingChange | undefined;
  #transfer: PendingTransfer | undefined;

  constructor(groupId: number, members: MemberList) {
    this.#groupId = groupId;
    this.#members = members;
  }

  get isEmpty(): boolean {
    return this.#change === undefined && this.#transfer === undefined;
  }

  /** Proposes to add or promote a peer; undefined if it is there in that role already. */
  addPeer(raw: RawNode, peer: PeerInfo): Promise<void> | undefined {
    const { peerId, storeId, role } = peer;
    const existing = this.#members.get(peerId);
    if (existing !== undefined && existing.storeId !== storeId) {
      throw this.#refused(`peer ${peerId} is on store ${existing.storeId}, not ${storeId}: use a new peer id`);
    }
    if (existing?.role === role) return undefined;
    if (existing?.role === "voter") {
      throw this.#refused(`peer ${peerId} votes already: remove it and add a learner under a new id`);
    }
    const changes = [{ type: role === "voter" ? "addNode" : "addLearnerNode", nodeId: peerId }] as const;
    return this.#propose(raw, { transition: "auto", changes, context: encodeChangeContext([peer]) }, "addPeer");
  }

  /** Proposes to remove a peer; undefined if it is not there. */
  removePeer(raw: RawNode, peerId: PeerId): Promise<void> | undefined {
    const existing = this.#members.get(peerId);
    if (existing === undefined) return undefined;
    const voters = this.#members.all.filter(({ role }) => role === "voter");
    if (existing.role === "voter" && voters.length === 1) {
      throw this.#refused(`peer ${peerId} is its only voter: add another first`);
    }
    // The other one may never hear that this committed, and could not be elected without the vote of the peer that is gone.
    if (existing.role === "voter" && voters.length === 2 && peerId === raw.basicStatus().id) {
      throw this.#refused(`peer ${peerId} leads it and is one of two voters: transfer leadership to the other first`);
    }
    const changes = [{ type: "removeNode", nodeId: peerId }] as const;
    return this.#propose(raw, { transition: "auto", changes, context: encodeChangeContext([existing]) }, "removePeer");
  }

  /** Starts to hand leadership over; fails at `deadlineTick`. */
  transfer(raw: RawNode, target: PeerId, deadlineTick: number): Promise<void> {
    if (this.#members.get(target)?.role !== "voter") throw this.#refused(`peer ${target} is no voter of it`);
    raw.transferLeader(target);
    return this.#waitForTransfer(target, deadlineTick);
  }

  /** Waits for `target` to lead; an earlier wait for another target ends with an error. */
  #waitForTransfer(target: PeerId, deadlineTick: number): Promise<void> {
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

  #propose(raw: RawNode, change: ConfChangeV2, what: string): Promise<void> {
    if (this.#change !== undefined) throw changeBusy(this.#groupId);
    // An index of 0 cannot come: this peer leads, and no proposal is forwarded.
    const index = raw.proposeConfChange(change);
    this.#change = { index, term: raw.basicStatus().term, what, done: deferred() };
    return this.#change.done.promise;
  }

  #refused(why: string): RheaError {
    return new RheaError("OPERATION_REFUSED", `group ${this.#groupId}: ${why}`);
  }

  #overwritten({ index, what }: PendingChange): RheaError {
    const message = `group ${this.#groupId}: ${what}: its entry at ${index} was overwritten by another leader's: repeat it`;
    return new RheaError("STALE_COMMAND", message);
  }
}
