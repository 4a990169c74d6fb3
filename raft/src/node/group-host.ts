/** What a group and its host want of each other, beside plain calls down. */
import type { RheaError } from "@rhea/common";
import type { HardState, Message, PeerId } from "../core/types.js";
import type { LogRecord } from "../log/api.js";
import type { HostLimits, RaftHostOptions } from "./api.js";
import type { InstalledSnapshot } from "./apply.js";
import type { ProposalBudget } from "./proposal-budget.js";
import type { SaveSlots } from "./save-slots.js";
import type { SnapshotSchedule } from "./snapshot-schedule.js";

/** Messages to deliver once a turn's records are durable. */
export interface AwaitedAppend<Group> {
  readonly group: Group;
  readonly responses: readonly Message[];
  readonly hasRecords: boolean;
  readonly installed: InstalledSnapshot | undefined;
  /** The term and vote among the records. */
  readonly hardState: HardState | undefined;
}

/** What the host gathers from the groups it visits in one turn. */
export interface TurnOutput<Group> {
  readonly records: LogRecord[];
  readonly awaited: AwaitedAppend<Group>[];
}

/** What a group needs of its host. */
export interface GroupHost<Group> {
  readonly options: RaftHostOptions;
  readonly limits: HostLimits;
  /** Ticks since the start, aligned over all groups. */
  readonly tick: number;
  /** Monotonic time of the present turn. */
  readonly nowMs: number;
  /** The log has not answered for an election timeout. */
  readonly isDiskStalled: boolean;
  /** Puts the group on the list of the next turn, and ends its rest. */
  markDirty(group: Group): void;
  /** Puts the group on the list of the next turn for something that leaves its core alone: a rest goes on. */
  markForUpkeep(group: Group): void;
  /** Ends a group's rest because of a message from this store, before its core is touched. */
  wake(group: Group, byStore: number): void;
  /** Whether a group may campaign now: not while too many do. If it may, it is counted. */
  mayCampaign(group: Group): boolean;
  send(group: Group, message: Message): void;
  sendSnapshot(group: Group, message: Message): void;
  /** Writes the `installed` record and removes the staged files. */
  finishInstall(groupId: number, snapshot: InstalledSnapshot): void;
  /** Reads the staged snapshot of an install that a crash interrupted. */
  readStaged(file: string): Promise<InstalledSnapshot>;
  /** Limits the snapshots saved at once in this process. */
  readonly saveSlots: SaveSlots;
  /** Bounds the proposals of all groups of this process. */
  readonly proposalBudget: ProposalBudget;
  /** Saves snapshots when they are due. */
  readonly snapshotSchedule: SnapshotSchedule;
  /** Excludes a peer for good; returns the error to tell. */
  condemn(groupId: number, reason: string): RheaError;
  /** Removes staged files that the core did not want. */
  discardStaged(snapshot: InstalledSnapshot): void;
  /** Takes a group out of the host. */
  retire(group: Group): void;
  countReadRound(): void;
  /** A member on each of these stores left a group: a store with no member of any group here may come back as a new one. */
  forgetStores(storeIds: readonly number[]): void;
}

/** Where a peer is, for error details. */
export interface PeerPlace {
  readonly peerId: PeerId;
  readonly storeId: number;
  /** Where its members say so. */
  readonly address?: string;
}
