/** What a region uses of the store around it. The store engine provides it; nothing here reaches back up. */
import type { RheaError } from "@rhea/common";
import type { RaftHost } from "@rhea/raft";
import type { StoreEnvironment, StoreLimits } from "../engine/api.js";
import type { RangeIndex } from "../engine/range-index.js";
import type { TurnQueue } from "../engine/turn-queue.js";
import type { RegionDescriptor } from "../format/descriptor.js";
import type { KvEngine } from "../kv/engine.js";
import type { Overlay } from "../overlay/overlay.js";
import type { Region } from "./region.js";

/** The child that a split brings to life on this store. */
export interface ChildPlan {
  readonly descriptor: RegionDescriptor;
  readonly peerId: number;
}

/** The store as its regions see it. */
export interface RegionContext {
  readonly env: StoreEnvironment;
  readonly storeId: number;
  readonly limits: StoreLimits;
  readonly kv: KvEngine;
  readonly overlay: Overlay;
  readonly ranges: RangeIndex<Region>;
  readonly turns: TurnQueue;
  readonly host: RaftHost;
  /** Whether the volumes are short of space: only deletes are taken. */
  readonly isDiskFull: boolean;
  /** Address of a store for leader hints. */
  resolveStore(storeId: number): string | undefined;
  /** Whether this store may get the child of a split: no tombstone, condemnation or peer of that region is in the way. */
  mayCreateChild(plan: ChildPlan): boolean;
  /** Registers and starts a child whose records are durable. */
  startChild(child: Region, campaign: boolean): void;
  /** Clears a range of the engine that belongs to nobody, in the background; recorded with the next batch. */
  addPendingClear(range: { readonly start: string; readonly end: string }): void;
  /** Resolves when no pending clear is left over the range. */
  finishPendingClears(range: { readonly start: string; readonly end: string }): Promise<void>;
  /** This peer is no member any more: destroys it after the present turn. */
  destroyRemoved(region: Region): void;
  onLeadership(region: Region, isLeader: boolean, term: number): void;
  onChanged(region: Region): void;
  onFault(region: Region, error: RheaError): void;
  /** Commands applied, errors answered: for metrics. */
  onApplied(commands: number): void;
}
