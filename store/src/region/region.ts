/** One region's peer on this store: its state in memory, its queues, and the records that ride with its writes. */
import { InvariantError, RheaError } from "@rhea/common";
import type { ConfState, RaftNode } from "@rhea/raft";
import type { RegionState } from "../engine/api.js";
import type { RegionDescriptor } from "../format/descriptor.js";
import { encodeEntry } from "../format/entry.js";
import { applyStateKey, regionKey, sessionKey } from "../format/keys.js";
import { encodeApplyState, encodeRegionRecord, type ApplyState, type RegionRecord } from "../format/region-record.js";
import type { OverlayParticipant } from "../overlay/overlay.js";
import type { RegionContext } from "./context.js";
import { RegionLoad } from "./load.js";
import { ProposalQueue } from "./proposals.js";
import { ReadQueue } from "./reads.js";
import { RegionTime } from "./region-time.js";
import type { SessionTable } from "./session-table.js";

/** What a region starts from: its stored records. */
export interface StoredRegion {
  readonly record: RegionRecord;
  readonly applied: ApplyState;
  readonly sessions: SessionTable;
}

/** A region's peer. Changed only by applied entries, membership changes and snapshots, all on the event loop. */
export class Region implements OverlayParticipant {
  readonly context: RegionContext;
  readonly regionId: number;
  readonly peerId: number;
  readonly proposals: ProposalQueue;
  readonly reads: ReadQueue;
  readonly load: RegionLoad;
  time: RegionTime;
  sessions: SessionTable;
  /** Writes so far; replicated. */
  revision: number;
  state: RegionState;
  node: RaftNode | undefined;
  /** Why this peer cannot go on. */
  fault: RheaError | undefined;
  /** Direct engine work on the range is going on: apply, reads and snapshots wait for it. */
  exclusive: Promise<void> | undefined;
  /** A crash came while a snapshot replaced the data: they are partly gone until it is loaded again. */
  isIncomplete = false;
  leaderId = 0;
  /** When this peer began to lead or its members changed last, monotonic ms. */
  membersSinceMs: number;
  #descriptor: RegionDescriptor;
  #confState: ConfState;
  #appliedIndex: number;
  #appliedTerm: number;
  /** Invariant: durableIndex <= appliedIndex. */
  #durableIndex: number;
  #logStarted: boolean;
  #isRecordDirty = false;

  constructor(context: RegionContext, stored: StoredRegion) {
    const { record, applied } = stored;
    this.context = context;
    this.regionId = record.descriptor.regionId;
    this.peerId = record.peerId;
    this.#descriptor = record.descriptor;
    this.#confState = record.confState;
    this.#logStarted = record.logStarted;
    this.state = record.awaitingSnapshot ? "awaiting" : "live";
    this.#appliedIndex = applied.index;
    this.#appliedTerm = applied.term;
    this.#durableIndex = applied.index;
    this.revision = applied.revision;
    this.time = new RegionTime(context.env.clock, applied.stamp);
    this.load = new RegionLoad(applied.approximateSize, applied.approximateKeys);
    this.sessions = stored.sessions;
    this.proposals = new ProposalQueue(this);
    this.reads = new ReadQueue(this);
    this.membersSinceMs = context.env.clock.monotonicMs();
  }

  get descriptor(): RegionDescriptor {
    return this.#descriptor;
  }

  get confState(): ConfState {
    return this.#confState;
  }

  get logStarted(): boolean {
    return this.#logStarted;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  get appliedTerm(): number {
    return this.#appliedTerm;
  }

  get durableIndex(): number {
    return this.#durableIndex;
  }

  get isLeader(): boolean {
    return this.state === "live" && this.fault === undefined && this.node?.isLeader === true;
  }

  get leader(): { readonly peerId: number; readonly storeId: number } | undefined {
    const peer = this.#descriptor.peers.find(({ peerId }) => peerId === this.leaderId);
    return peer === undefined ? undefined : { peerId: peer.peerId, storeId: peer.storeId };
  }

  /** The group's node. Throws REGION_NOT_FOUND before it has started and after it has gone. */
  requireNode(): RaftNode {
    if (this.node !== undefined && this.state !== "destroyed") return this.node;
    throw new RheaError("REGION_NOT_FOUND", `region ${this.regionId} is not served by store ${this.context.storeId}`, {
      details: { regionId: this.regionId },
    });
  }

  /** Counts an entry as applied. Throws InvariantError if it is not the next one. */
  advance(index: number, term: number): void {
    if (index !== this.#appliedIndex + 1) {
      throw new InvariantError(`region ${this.regionId}: entry ${index} after applied ${this.#appliedIndex}`);
    }
    this.#appliedIndex = index;
    this.#appliedTerm = term;
    // An entry is applied only once it is durable in the log, so the group's record before it is durable too.
    if (!this.#logStarted) {
      this.#logStarted = true;
      this.#isRecordDirty = true;
    }
    if (this.state !== "destroyed") this.context.overlay.markDirty(this);
  }

  /** Takes a new range, epoch or member list; stored with the next batch. */
  setDescriptor(descriptor: RegionDescriptor, confState: ConfState = this.#confState): void {
    this.#descriptor = descriptor;
    this.#confState = confState;
    this.context.ranges.touch();
    this.markRecordDirty();
  }

  /** Stores the region's record with the next batch. */
  markRecordDirty(): void {
    this.#isRecordDirty = true;
    this.context.overlay.markDirty(this);
  }

  /** Takes the state of an installed snapshot, which is durable already. */
  replaceState(stored: StoredRegion): void {
    const { record, applied } = stored;
    this.#descriptor = record.descriptor;
    this.#confState = record.confState;
    this.#logStarted = record.logStarted;
    this.#appliedIndex = applied.index;
    this.#appliedTerm = applied.term;
    this.#durableIndex = applied.index;
    this.revision = applied.revision;
    this.time = new RegionTime(this.context.env.clock, applied.stamp);
    this.load.measured(applied.approximateSize, applied.approximateKeys, undefined);
    this.sessions = stored.sessions;
    this.#isRecordDirty = false;
    this.isIncomplete = false;
    if (this.state !== "destroyed") this.state = "live";
    this.context.ranges.touch();
  }

  applyState(): ApplyState {
    return {
      index: this.#appliedIndex,
      term: this.#appliedTerm,
      revision: this.revision,
      stamp: this.time.stamp,
      approximateSize: this.load.approximateSize,
      approximateKeys: this.load.approximateKeys,
    };
  }

  record(): RegionRecord {
    return {
      descriptor: this.#descriptor,
      peerId: this.peerId,
      confState: this.#confState,
      logStarted: this.#logStarted,
      awaitingSnapshot: this.state === "awaiting",
    };
  }

  collect(put: (key: string, value: Buffer | undefined) => void): () => void {
    const index = this.#appliedIndex;
    if (this.#isRecordDirty) put(regionKey(this.regionId), encodeRegionRecord(this.record()));
    this.#isRecordDirty = false;
    put(applyStateKey(this.regionId), encodeApplyState(this.applyState()));
    for (const [clientId, record] of this.sessions.takeDirty()) put(sessionKey(this.regionId, clientId), record);
    return () => {
      this.#durableIndex = Math.max(this.#durableIndex, index);
    };
  }

  /** Runs direct engine work on the range with the overlay flushed before it and everything else of the region waiting. */
  async runExclusive(work: () => Promise<void>): Promise<void> {
    const done = (async () => {
      await this.context.overlay.flush();
      await work();
    })();
    this.exclusive = done;
    try {
      await done;
    } finally {
      this.exclusive = undefined;
    }
  }

  /** Notes that this peer cannot be trusted any more: it gives up its lead, and PD has it replaced. */
  reportFault(error: RheaError): void {
    if (this.fault !== undefined) return;
    const leads = this.isLeader;
    this.fault = error;
    this.context.onFault(this, error);
    if (!leads) return;
    try {
      // Applying anything now throws the fault, and the host ends a group whose state machine throws: others elect a leader.
      const { epoch } = this.#descriptor;
      this.requireNode().apply({ data: encodeEntry({ stamp: this.time.stamp, ...epoch, commands: [] }) });
    } catch {
      // No longer the leader: nothing to give up.
    }
  }

  /** Answers all that waits for the end of the turn. */
  failPending(error: RheaError): void {
    this.proposals.failAll(error);
    this.reads.failAll(error);
  }
}
