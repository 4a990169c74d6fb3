/** What comes from other stores, handed to the groups it is for: batches of messages, and snapshots once they are staged. */
import { RheaError, type Logger } from "@rhea/common";
import type { HeartbeatItem, RaftBatch, RaftMessage } from "@rhea/proto";
import { makeMessage } from "../core/index.js";
import type { RaftHostOptions, UnknownPeerMessage } from "./api.js";
import type { InstalledSnapshot } from "./apply.js";
import type { Group } from "./group.js";
import { mayBeCreated } from "./lifecycle.js";
import type { QuietGroups } from "./quiet-groups.js";
import {
  ackFromWire,
  descriptionFromWire,
  heartbeatFromWire,
  messageFromWire,
  snapshotMetaFromWire,
} from "./message-codec.js";

/** What receiving needs of its host. */
export interface ReceivingOptions {
  readonly host: RaftHostOptions;
  readonly groups: ReadonlyMap<number, Group>;
  readonly quiet: QuietGroups;
  readonly isRunning: () => boolean;
  readonly discardStaged: (snapshot: InstalledSnapshot) => void;
}

/** Hands messages to groups. Whatever it throws is fatal to the host. */
export class Receiving {
  readonly #options: ReceivingOptions;
  readonly #logger: Logger;
  #messages = 0;

  constructor(options: ReceivingOptions) {
    this.#options = options;
    this.#logger = options.host.logger;
  }

  /** Messages taken in, heartbeats and their answers not among them. */
  get messages(): number {
    return this.#messages;
  }

  takeBatch(fromStore: number, incarnation: number, batch: RaftBatch): void {
    try {
      this.#takeItems(fromStore, incarnation, batch);
    } catch (error) {
      // The core refuses numbers that are none before it changes anything: a malformed message is its sender's bug.
      if (!(error instanceof RangeError)) throw error;
      this.#logger.log("error", "dropped a malformed message", { fromStore, why: error.message });
    }
  }

  /** Says why a snapshot is not wanted, before any of it is sent. */
  judgeSnapshot(fromStore: number, header: RaftMessage): RheaError | undefined {
    const { groupId, toPeer } = header;
    const group = this.#options.isRunning() ? this.#groupFor(fromStore, header) : undefined;
    if (group?.peerId !== toPeer) return new RheaError("NOT_FOUND", `group ${groupId} has no peer ${toPeer} here`);
    if (group.stateMachine.onSnapshotLoad === undefined) {
      return new RheaError("OPERATION_REFUSED", `group ${groupId}: its state machine takes no snapshots`);
    }
    return group.isInstalling ? new RheaError("SERVER_BUSY", `group ${groupId} is installing a snapshot`) : undefined;
  }

  /** Hands a staged snapshot to its group; `done` hears when it is durable, or why not. */
  deliverSnapshot(
    fromStore: number,
    header: RaftMessage,
    staged: InstalledSnapshot,
    done: (error: RheaError | undefined) => void,
  ): void {
    const { groups, isRunning, discardStaged } = this.#options;
    const group = isRunning() ? groups.get(header.groupId) : undefined;
    const wire = messageFromWire(header);
    if (group === undefined || wire === undefined || header.snapshot === null) {
      discardStaged(staged);
      done(new RheaError("NOT_FOUND", `group ${header.groupId} has no peer here any more`));
      return;
    }
    const { index, term, confState } = snapshotMetaFromWire(header.snapshot);
    const snapshot = { metadata: { index, term, confState }, data: Buffer.from(staged.staging) };
    group.receiveSnapshot(fromStore, makeMessage({ ...wire, snapshot }), staged, done);
  }

  #takeItems(fromStore: number, incarnation: number, { heartbeat, heartbeatAck, acks, messages }: RaftBatch): void {
    const { groups, quiet } = this.#options;
    if (heartbeat !== null && quiet.beginHeartbeat(fromStore, incarnation, heartbeat)) {
      for (const item of heartbeat.items) {
        const group = this.#groupFor(fromStore, item);
        if (group === undefined) continue;
        group.receiveHeartbeat(fromStore, heartbeatFromWire(item), item.truncatedIndex);
        quiet.onItem(fromStore, incarnation, group, item);
      }
      quiet.endHeartbeat(fromStore, heartbeat);
    }
    for (const item of acks) {
      const group = groups.get(item.groupId);
      if (group === undefined || quiet.onAnswer(fromStore, incarnation, group, item)) continue;
      group.receive(fromStore, ackFromWire(item));
    }
    if (heartbeatAck !== null) quiet.onDigestAnswer(fromStore, incarnation, heartbeatAck);
    for (const wire of messages) {
      this.#messages++;
      const group = this.#groupFor(fromStore, wire);
      const message = group === undefined ? undefined : messageFromWire(wire);
      if (message !== undefined && message.type !== "snap") group?.receive(fromStore, message);
    }
  }

  /** The group a message is for; one that is not here may be created by the embedder. */
  #groupFor(fromStore: number, wire: RaftMessage | HeartbeatItem): Group | undefined {
    const { host, groups } = this.#options;
    const { groupId, toPeer } = wire;
    const group = groups.get(groupId);
    if (!wire.initial) return group;
    if (group !== undefined) {
      // A message for another peer than the one here finds nobody.
      if (toPeer > group.peerId) this.#describe(fromStore, wire, (message) => host.onNewerPeer?.(message));
      return group;
    }
    if (!mayBeCreated(host.log.group(groupId)?.lifecycle, toPeer, wire.epoch?.confVer ?? 0)) return undefined;
    this.#describe(fromStore, wire, (message) => host.onUnknownPeer?.(message));
    return groups.get(groupId);
  }

  #describe(fromStore: number, wire: RaftMessage | HeartbeatItem, tell: (message: UnknownPeerMessage) => void): void {
    const { groupId, toPeer, fromPeer, term } = wire;
    tell({ ...descriptionFromWire(wire), groupId, toPeer, fromPeer, fromStore, term });
  }
}
