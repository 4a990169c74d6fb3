/** What a snapshot is, how a state machine writes and reads one, and where they are kept. */
import type { Disk, RheaError } from "@rhea/common";
import type { ConfState, PeerId } from "../core/types.js";
import type { PeerInfo } from "../node/peer-info.js";

/** The place in a group's history that a snapshot stands for. */
export interface SnapshotPosition {
  /** Index of the last entry that is part of it. */
  readonly index: number;
  /** Term of that entry. */
  readonly term: number;
  /** The configuration at that index. */
  readonly confState: ConfState;
  /** The members at that index. */
  readonly peers: readonly PeerInfo[];
}

/** What a saved snapshot holds. */
export interface SavedSnapshot extends SnapshotPosition {
  /** Names of the files written into the directory: letters, digits, `_`, `-` and `.`, not beginning with a dot. */
  readonly names: readonly string[];
}

/** Where a snapshot is read from. */
export interface SnapshotFiles {
  /** Directory, on the host's disk or, with the `snapshots` option, on the disk of its storage. */
  readonly directory: string;
  /** Names of the files in it. */
  readonly names: readonly string[];
  /** Reads a whole file. Throws where it is absent. */
  read(name: string): Promise<Buffer>;
}

/** Where a snapshot is written to, and what it stands for. */
export interface SnapshotWriter extends SnapshotPosition {
  /** Empty directory, as {@link SnapshotFiles.directory}; files may be written into it by any other means too. */
  readonly directory: string;
  /**
   * Writes a whole file and remembers its name.
   * @throws RheaError INVALID_ARGUMENT for a name that {@link SavedSnapshot.names} does not allow.
   */
  write(name: string, content: Uint8Array): Promise<void>;
  /** Returns what `onSnapshotSave` answers: this position, with the names given, by default those written by {@link SnapshotWriter.write}. */
  saved(names?: readonly string[]): SavedSnapshot;
}

/** A snapshot in a storage. */
export interface StoredSnapshot {
  /** Where it is, on the disk of its storage. */
  readonly directory: string;
  /** What it holds. */
  readonly saved: SavedSnapshot;
  /** Bytes of its files. */
  readonly bytes: number;
}

/** Whose snapshots a storage keeps. */
export interface SnapshotOwner {
  /** The group. */
  readonly groupId: number;
  /** Its peer in this process. */
  readonly peerId: PeerId;
}

/** What a storage found when it was opened. */
export interface StorageContents {
  /** Finished snapshots, the newest first. Their files are not checked yet: see {@link SnapshotStorage.verify}. */
  readonly snapshots: readonly StoredSnapshot[];
  /** Finished snapshots whose description cannot be read. They stay where they are until a newer one replaces them. */
  readonly damaged: readonly { readonly directory: string; readonly error: RheaError }[];
}

/**
 * Keeps the snapshots of one group: JRaft's SnapshotStorage. A snapshot is begun, written by the state machine, and committed: from then on
 * it is there, whole and durable; what a crash interrupts is not there at all. Calls for different directories may overlap.
 * `describeSnapshotStorage` is the suite that every implementation passes.
 */
export interface SnapshotStorage {
  /** The disk that its directories are on. */
  readonly disk: Disk;
  /** Where it is, for messages. */
  readonly name: string;
  /**
   * Finds what is stored, and removes what was never finished or belongs to an earlier peer of the group. Called before everything else.
   * @throws RheaError INVALID_ARGUMENT when it keeps the snapshots of another group.
   */
  open(owner: SnapshotOwner): Promise<StorageContents>;
  /** Makes an empty directory for a new snapshot. */
  begin(): Promise<string>;
  /**
   * Makes a snapshot durable whose files are all written, and then visible to {@link SnapshotStorage.open}.
   * @throws RheaError DISK_FULL, DISK_FAILED or NOT_FOUND (a file that was named is not there); the directory is still to be removed then.
   */
  commit(directory: string, saved: SavedSnapshot): Promise<StoredSnapshot>;
  /**
   * Compares all files with what was committed.
   * @throws RheaError CORRUPTION naming the file.
   */
  verify(snapshot: StoredSnapshot): Promise<void>;
  /** Removes a snapshot, or a directory that was begun. Fine if absent. */
  remove(directory: string): Promise<void>;
}
