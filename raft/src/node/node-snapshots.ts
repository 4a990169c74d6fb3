/**
 * The snapshots of one group with the `snapshots` option: saves them, finds the one to start with, takes in those that the leader sends,
 * and lends the newest to whoever sends it on. Everything that is stored is kept here; when to save by itself is `snapshot-schedule.ts`.
 */
import { RheaError, type Disk, type Logger } from "@rhea/common";
import type { PeerId } from "../core/types.js";
import type { GroupLog } from "../log/api.js";
import type {
  SavedSnapshot,
  SnapshotFiles,
  SnapshotPosition,
  SnapshotStorage,
  StoredSnapshot,
} from "../snapshot/api.js";
import { copyFiles } from "../snapshot/copy-files.js";
import { writeError } from "../snapshot/disk-errors.js";
import { snapshotFiles, snapshotWriter } from "../snapshot/snapshot-files.js";
import type { StateMachine } from "./api.js";
import type { InstalledSnapshot, Pause } from "./apply.js";
import { closing } from "./node-errors.js";
import type { SaveSlots } from "./save-slots.js";
import type { ScheduledGroup, SnapshotPolicy } from "./snapshot-schedule.js";

/** What saving needs of its group. */
export interface NodeSnapshotsOptions {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly storage: SnapshotStorage;
  /** Snapshots kept. */
  readonly keep: number;
  readonly policy: SnapshotPolicy;
  readonly stateMachine: StateMachine;
  readonly slots: SaveSlots;
  readonly logger: Logger;
  readonly nowMs: () => number;
  /** How far the state machine is. */
  readonly progress: { readonly applied: number; readonly appliedBytes: number };
  /** Runs something between two batches of entries. */
  atRest(pause: Pause): void;
  /** A snapshot was stored: the log may be cut. */
  onStored(): void;
}

/** What a group's storage held when it was opened. */
export interface OpenedSnapshots {
  /** The newest whole snapshot that the log goes on from, if there is one. */
  readonly newest: StoredSnapshot | undefined;
  /** Why others are not usable. */
  readonly unusable: readonly string[];
  /** Set if a snapshot proves that the log has forgotten entries: the peer must not take part. */
  readonly lost: string | undefined;
}

/** Figures of one group's snapshots. */
export interface SnapshotFigures {
  readonly saved: number;
  readonly failed: number;
  /** Ms spent in successful saves, summed. */
  readonly saveMs: number;
  /** Index and bytes of the newest one; 0 if there is none. */
  readonly newestIndex: number;
  readonly newestBytes: number;
}

/** A snapshot lent for sending: it stays until it is given back. */
export interface LentSnapshot {
  readonly stored: StoredSnapshot;
  readonly giveBack: () => void;
}

interface Save {
  /** Whether the state was captured: who wants later entries too needs another save. */
  isCaptured: boolean;
  readonly done: Promise<number>;
}

/** Snapshots of one group. */
export class NodeSnapshots implements ScheduledGroup {
  readonly #options: NodeSnapshotsOptions;
  /** Newest first. Invariant: the first is whole, all have the log's beginning or more. */
  #stored: StoredSnapshot[] = [];
  #useless: string[] = [];
  readonly #lent = new Map<string, number>();
  #current: Save | undefined;
  #next: Promise<number> | undefined;
  #saved = 0;
  #failed = 0;
  #saveMs = 0;
  #isClosed = false;
  /** Bytes that had been applied when the newest snapshot was captured. */
  #bytesAtNewest = 0;
  #bytesAtCapture = 0;

  constructor(options: NodeSnapshotsOptions) {
    this.#options = options;
  }

  get disk(): Disk {
    return this.#options.storage.disk;
  }

  /** Index of the newest snapshot; 0 if there is none. */
  get newestIndex(): number {
    return this.#stored[0]?.saved.index ?? 0;
  }

  /** Index of the oldest snapshot kept: the log is needed above it. 0 if there is none. */
  get oldestIndex(): number {
    return this.#stored.at(-1)?.saved.index ?? 0;
  }

  get figures(): SnapshotFigures {
    const newest = this.#stored[0];
    return {
      saved: this.#saved,
      failed: this.#failed,
      saveMs: this.#saveMs,
      newestIndex: newest?.saved.index ?? 0,
      newestBytes: newest?.bytes ?? 0,
    };
  }

  /** Where they are, for messages. */
  get place(): string {
    return this.#options.storage.name;
  }

  get policy(): SnapshotPolicy {
    return this.#options.policy;
  }

  get isReady(): boolean {
    return this.#current === undefined && !this.#isClosed;
  }

  get newEntries(): number {
    return this.#options.progress.applied - this.newestIndex;
  }

  get newBytes(): number {
    return this.#options.progress.appliedBytes - this.#bytesAtNewest;
  }

  /** Opens the storage and finds the newest whole snapshot that the log goes on from. */
  async open(log: GroupLog): Promise<OpenedSnapshots> {
    const { storage, groupId, peerId, logger } = this.#options;
    const { snapshots, damaged } = await storage.open({ groupId, peerId });
    const unusable: string[] = [];
    const complain = (directory: string, why: string): void => {
      unusable.push(why);
      this.#useless.push(directory);
      logger.log("error", "a snapshot is not usable", { groupId, directory, why });
    };
    for (const { directory, error } of damaged) complain(directory, error.message);
    for (const stored of snapshots) {
      const lost = whatLogLost(stored, log);
      if (lost !== undefined) return { newest: undefined, unusable, lost };
      // What the log does not go on from helps nobody; older ones are checked once they are needed.
      if (stored.saved.index < log.truncatedIndex) this.#useless.push(stored.directory);
      else {
        const why = this.#stored.length > 0 ? undefined : await this.#damage(stored);
        if (why === undefined) this.#stored.push(stored);
        else complain(stored.directory, why);
      }
    }
    return { newest: this.#stored[0], unusable, lost: undefined };
  }

  filesOf({ directory, saved }: StoredSnapshot): SnapshotFiles {
    return snapshotFiles(this.disk, directory, saved.names);
  }

  /**
   * Saves a snapshot of at least what is applied now and resolves with its index; without a new one if nothing was applied since the newest.
   * Calls share one save where that is enough. Rejects with what the state machine or the storage failed with, or SHUTTING_DOWN.
   */
  save(): Promise<number> {
    if (this.#isClosed) return Promise.reject(closing(this.#options.groupId));
    const current = this.#current;
    if (current === undefined) return this.#start();
    if (!current.isCaptured) return current.done;
    this.#next ??= current.done.then(
      () => this.#startNext(),
      () => this.#startNext(),
    );
    return this.#next;
  }

  /** Takes a snapshot of the leader in: it is the newest from now on. Returns its files here. */
  async adopt({ files, saved }: InstalledSnapshot, fromDisk: Disk): Promise<SnapshotFiles> {
    const newest = this.#stored[0];
    // A crash came between adopting it and saying so.
    if (newest?.saved.index === saved.index && newest.saved.term === saved.term) return this.filesOf(newest);
    const { storage } = this.#options;
    const directory = await storage.begin();
    try {
      await copyFiles(saved.names, { disk: fromDisk, directory: files.directory }, { disk: this.disk, directory });
      const stored = await storage.commit(directory, saved);
      await this.#add(stored, this.#options.progress.appliedBytes);
      return this.filesOf(stored);
    } catch (error) {
      await this.#discard(directory);
      throw error;
    }
  }

  /** Lends the newest snapshot; undefined if there is none. */
  lend(): LentSnapshot | undefined {
    const stored = this.#stored[0];
    if (stored === undefined) return undefined;
    const { directory } = stored;
    this.#lent.set(directory, (this.#lent.get(directory) ?? 0) + 1);
    return {
      stored,
      giveBack: () => {
        const count = (this.#lent.get(directory) ?? 0) - 1;
        if (count > 0) this.#lent.set(directory, count);
        else {
          this.#lent.delete(directory);
          void this.#prune();
        }
      },
    };
  }

  /** Begins no further save. */
  close(): void {
    this.#isClosed = true;
  }

  /** Resolves when no save runs any more. */
  async settle(): Promise<void> {
    while (this.#current !== undefined || this.#next !== undefined) {
      await (this.#next ?? this.#current?.done)?.catch(() => undefined);
    }
  }

  /** Removes everything. */
  async discardAll(): Promise<void> {
    const all = [...this.#stored.map(({ directory }) => directory), ...this.#useless];
    this.#stored = [];
    this.#useless = [];
    for (const directory of all) await this.#discard(directory);
  }

  // --- inside ---

  #startNext(): Promise<number> {
    this.#next = undefined;
    return this.save();
  }

  #start(): Promise<number> {
    const done = this.#save();
    const save: Save = { isCaptured: false, done };
    this.#current = save;
    const end = (): void => {
      this.#current = undefined;
    };
    done.then(end, end);
    return done;
  }

  async #save(): Promise<number> {
    const { storage, slots, nowMs, groupId, logger } = this.#options;
    const giveBack = await slots.take();
    let directory: string | undefined;
    const startMs = nowMs();
    try {
      if (this.#isClosed) throw closing(groupId);
      directory = await storage.begin();
      const saved = await this.#capture(directory);
      if (saved === undefined) {
        await this.#discard(directory);
        return this.newestIndex;
      }
      const bytes = this.#bytesAtCapture;
      await this.#add(await storage.commit(directory, saved), bytes);
      this.#saved++;
      this.#saveMs += nowMs() - startMs;
      return this.newestIndex;
    } catch (thrown) {
      if (directory !== undefined) await this.#discard(directory);
      const error = writeError(`group ${groupId}: saving a snapshot`, thrown);
      if (error.code !== "SHUTTING_DOWN") {
        this.#failed++;
        logger.log("error", "saving a snapshot failed", { groupId, code: error.code, why: error.message });
      }
      throw error;
    } finally {
      giveBack();
    }
  }

  /** Lets the state machine write what it is at rest; undefined if there is nothing new to save. */
  #capture(directory: string): Promise<SavedSnapshot | undefined> {
    const { stateMachine, groupId } = this.#options;
    return new Promise((resolve, reject) => {
      const begin = (position: SnapshotPosition): void => {
        if (this.#current !== undefined) this.#current.isCaptured = true;
        if (position.index <= this.newestIndex) {
          resolve(undefined);
          return;
        }
        this.#bytesAtCapture = this.#options.progress.appliedBytes;
        const write = async (): Promise<SavedSnapshot> => {
          const saved = await stateMachine.onSnapshotSave?.(directory, snapshotWriter(this.disk, directory, position));
          if (saved?.index === position.index) return saved;
          const what = `group ${groupId}: onSnapshotSave answered with index ${saved?.index ?? 0}, not ${position.index}`;
          throw new RheaError("INTERNAL", `${what}: answer writer.saved()`);
        };
        write().then(resolve, reject);
      };
      const cancel = (): void => {
        reject(closing(groupId));
      };
      this.#options.atRest({ begin, cancel });
    });
  }

  /** Puts a stored snapshot among the others; what is superseded goes. */
  async #add(stored: StoredSnapshot, appliedBytes: number): Promise<void> {
    if (stored.saved.index <= this.newestIndex) {
      // A snapshot of the leader came while this one was written.
      await this.#discard(stored.directory);
      return;
    }
    this.#stored.unshift(stored);
    this.#bytesAtNewest = appliedBytes;
    await this.#prune();
    this.#options.onStored();
  }

  /** Removes what is not kept any more, and what is damaged once there is a newer one. A crash half-way leaves more than needed, never less. */
  async #prune(): Promise<void> {
    const isSurplus = ({ directory }: StoredSnapshot, at: number): boolean =>
      at >= this.#options.keep && !this.#lent.has(directory);
    const surplus = this.#stored.filter(isSurplus).map(({ directory }) => directory);
    this.#stored = this.#stored.filter((stored, at) => !isSurplus(stored, at));
    const gone = [...surplus, ...this.#useless];
    this.#useless = [];
    for (const directory of gone) await this.#discard(directory);
  }

  async #discard(directory: string): Promise<void> {
    const { storage, logger, groupId } = this.#options;
    try {
      await storage.remove(directory);
    } catch (error) {
      const why = RheaError.from(error).message;
      logger.log("warn", "cannot remove a snapshot", { groupId, directory, why });
    }
  }

  async #damage(stored: StoredSnapshot): Promise<string | undefined> {
    try {
      await this.#options.storage.verify(stored);
      return undefined;
    } catch (error) {
      return RheaError.from(error).message;
    }
  }
}

/** Says what a log has forgotten that a snapshot proves it to have had; undefined if nothing. */
function whatLogLost({ directory, saved: { index, term } }: StoredSnapshot, log: GroupLog): string | undefined {
  const { truncatedIndex, lastIndex } = log;
  if (index < truncatedIndex) return undefined;
  if (index > lastIndex) return `the snapshot ${directory} reaches ${index}, but the log only ${lastIndex}`;
  const found = log.term(index);
  return found === term ? undefined : `entry ${index} is of term ${term} in ${directory}, of term ${found} in the log`;
}
