/** Administrative requests of one group's leader whose outcome comes later: changes of its configuration, and leadership transfers. */
import { RheaError } from "@rhea/common";
import type { RawNode } from "../core/index.js";
import type { Entry, PeerId } from "../core/types.js";
import type { ChangeOptions, PeerInfo } from "./api.js";
import { ConfChanges, type ChangeTarget } from "./conf-changes.js";
import {
  addLearnersGoal,
  addPeerGoal,
  changePeersGoal,
  promoteGoal,
  removeLearnersGoal,
  removePeerGoal,
  resetLearnersGoal,
} from "./conf-goals.js";
import type { Goal } from "./conf-plan.js";
import { deferred, type Deferred } from "./deferred.js";

/** A request about the members of a group. */
export type ChangeRequest =
  | { readonly kind: "addPeer"; readonly peer: PeerInfo }
  | { readonly kind: "removePeer"; readonly peerId: PeerId }
  | { readonly kind: "changePeers"; readonly peers: readonly PeerInfo[] }
  | { readonly kind: "addLearners"; readonly peers: readonly PeerInfo[] }
  | { readonly kind: "removeLearners"; readonly peerIds: readonly PeerId[] }
  | { readonly kind: "resetLearners"; readonly peers: readonly PeerInfo[] }
  | { readonly kind: "learnerToFollower"; readonly peerId: PeerId };

interface PendingTransfer {
  readonly target: PeerId;
  readonly done: Deferred;
  readonly deadlineTick: number;
}

/** Makes the requests of a group's leader and keeps who waits for what. */
export class AdminRequests {
  readonly #target: ChangeTarget;
  readonly #changes: ConfChanges;
  #transfer: PendingTransfer | undefined;

  constructor(target: ChangeTarget) {
    this.#target = target;
    this.#changes = new ConfChanges(target);
  }

  get isEmpty(): boolean {
    return this.#changes.isIdle && this.#transfer === undefined;
  }

  /** Begins to change the members; undefined if they are as asked for already. */
  change(raw: RawNode, request: ChangeRequest, options: ChangeOptions = {}): Promise<void> | undefined {
    return this.#changes.start(raw, this.#goalOf(request, options), options);
  }

  /** Starts to hand leadership over. */
  transfer(raw: RawNode, target: PeerId): Promise<void> {
    if (this.#target.members.get(target)?.role !== "voter") {
      const message = `group ${this.#target.groupId}: peer ${target} is no voter of it`;
      throw new RheaError("OPERATION_REFUSED", message);
    }
    raw.transferLeader(target);
    return this.#waitForTransfer(target);
  }

  /** Waits for `target` to lead; an earlier wait for another target ends with an error. */
  #waitForTransfer(target: PeerId): Promise<void> {
    if (this.#transfer?.target === target) return this.#transfer.done.promise;
    this.#failTransfer(`peer ${target} was asked for instead`);
    const { tick, limits } = this.#target;
    const deadlineTick = tick + limits.electionTicks + limits.heartbeatTicks;
    this.#transfer = { target, done: deferred(), deadlineTick };
    return this.#transfer.done.promise;
  }

  /** A change's entry was applied. */
  onChangeApplied(entry: Entry, wasAccepted: boolean): void {
    this.#changes.onChangeApplied(entry, wasAccepted);
  }

  /** Everything up to `applied` is applied. */
  onApplied(applied: number): void {
    this.#changes.onApplied(applied);
  }

  /** This peer began to lead. */
  onElected(): void {
    this.#changes.onElected();
  }

  /** Another peer leads. */
  onDeposed(error: RheaError): void {
    this.#changes.onDeposed(error);
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
    this.#changes.tick();
  }

  /** Leadership is gone and the change's outcome with it. */
  dropChange(why: RheaError): void {
    this.#changes.drop(why);
  }

  reject(error: RheaError): void {
    this.dropChange(error);
    this.#transfer?.done.reject(error);
    this.#transfer = undefined;
  }

  #goalOf(request: ChangeRequest, { withoutCatchUp = false }: ChangeOptions): Goal {
    const { groupId, peerId: self, members } = this.#target;
    const present = { groupId, self, members: members.all };
    switch (request.kind) {
      case "addPeer":
        return addPeerGoal(present, request.peer, withoutCatchUp);
      case "removePeer":
        return removePeerGoal(present, request.peerId);
      case "changePeers":
        return changePeersGoal(present, request.peers, withoutCatchUp);
      case "addLearners":
        return addLearnersGoal(present, request.peers);
      case "removeLearners":
        return removeLearnersGoal(present, request.peerIds);
      case "resetLearners":
        return resetLearnersGoal(present, request.peers);
      case "learnerToFollower":
        return promoteGoal(present, request.peerId, withoutCatchUp);
    }
  }

  #failTransfer(why: string): void {
    const transfer = this.#transfer;
    if (transfer === undefined) return;
    this.#transfer = undefined;
    const message = `group ${this.#target.groupId}: leadership did not move to peer ${transfer.target}: ${why}`;
    transfer.done.reject(new RheaError("TRANSFER_FAILED", message));
  }
}
