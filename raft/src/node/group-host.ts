/** What a group and its host want of each other, beside plain calls down. */
import type { HardState, Message, PeerId } from "../core/types.js";
import type { LogRecord } from "../log/api.js";
import type { HostLimits, RaftHostOptions } from "./api.js";
import type { InstalledSnapshot } from "./apply.js";

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
  /** Puts the group on the list of the next turn. */
  markDirty(group: Group): void;
  send(group: Group, message: Message): void;
  sendSnapshot(group: Group, message: Message): void;
  /** Writes the `installed` record and removes the staged files. */
  finishInstall(groupId: number, snapshot: InstalledSnapshot): void;
  /** Reads the staged snapshot of an install that a crash interrupted. */
  readStaged(file: string): Promise<InstalledSnapshot>;
  /** Removes staged files that the core did not want. */
  discardStaged(snapshot: InstalledSnapshot): void;
  countReadRound(): void;
}

/** Where a peer is, for error details. */
export interface PeerPlace {
  readonly peerId: PeerId;
  readonly storeId: number;
}
