/**
 * What a Rhea process takes from outside: clock, timers, randomness and a file-level disk.
 * Real implementations live in `env-node/`, virtual ones in the simulator; nothing else may touch the platform.
 */

/** Tells time. */
export interface Clock {
  /** Returns milliseconds (fractional) since an arbitrary start; never goes back, keeps counting through wall-clock jumps. */
  monotonicMs(): number;
  /** Returns Unix time in milliseconds; may jump in both directions. Never used for scheduling. */
  wallMs(): number;
}

/** A timer that was set and can be taken back. */
export interface TimerHandle {
  /** Takes the timer back; does nothing once it has fired. */
  cancel(): void;
}

/** Runs callbacks later. All of Rhea's waiting goes through this. */
export interface Scheduler {
  /** Calls `run` once after `delayMs` (>= 0). A pending timer does not keep the process alive. */
  setTimer(delayMs: number, run: () => void): TimerHandle;
  /** Calls `run` after the I/O callbacks of the present event-loop turn, before any timer: the turn of the host. */
  nextTurn(run: () => void): void;
}

/** A source of randomness. */
export interface Rng {
  /** Returns a whole number in [0, bound). `bound` >= 1. */
  int(bound: number): number;
  /** Returns `length` random bytes. */
  bytes(length: number): Buffer;
}

/** An open file. All offsets and lengths are bytes. */
export interface DiskFile {
  /** Reads up to `length` bytes from `offset`; shorter only at the end of the file. */
  read(offset: number, length: number): Promise<Buffer>;
  /** Like {@link DiskFile.read}, blocking: for small, rare reads of entries that left the cache. */
  readSync(offset: number, length: number): Buffer;
  /** Writes all chunks one after the other from `offset` (one `writev`). Not durable before {@link DiskFile.datasync}. */
  write(offset: number, chunks: readonly Uint8Array[]): Promise<void>;
  /** Makes all finished writes of this file durable (`fdatasync`). Durability of the name needs {@link Disk.syncDir}. */
  datasync(): Promise<void>;
  /** Returns the file's present size. */
  size(): Promise<number>;
  /** Cuts or extends (with zeros) the file to `length`. */
  truncate(length: number): Promise<void>;
  /** Closes the file; idempotent. */
  close(): Promise<void>;
}

/** What {@link Disk.stat} tells of a path. */
export interface DiskStat {
  readonly kind: "file" | "directory" | "other";
  /** Bytes. */
  readonly size: number;
  /** Identifies the file on its device: changes when a path is replaced by another file. */
  readonly inode: number;
}

/** A file system at the level the log, snapshots and identity need. Paths are absolute or relative to the process. */
export interface Disk {
  /** Opens a file for reading and writing. `create`: make it if absent; `exclusive`: fail if present. */
  open(path: string, options: { create: boolean; exclusive?: boolean }): Promise<DiskFile>;
  /** Returns undefined where nothing is at `path`. */
  stat(path: string): Promise<DiskStat | undefined>;
  /** Names in a directory, sorted. Throws where it is absent. */
  list(path: string): Promise<string[]>;
  /** Makes a directory and its parents; fine if present. */
  mkdir(path: string): Promise<void>;
  /** Renames atomically, replacing a file at `to`. Durable after {@link Disk.syncDir} of both parents. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; fine if absent. */
  remove(path: string): Promise<void>;
  /** Removes a directory tree; fine if absent. */
  removeTree(path: string): Promise<void>;
  /** Makes the names in a directory durable. */
  syncDir(path: string): Promise<void>;
  /** Bytes free and in total on the volume that holds `path`. */
  space(path: string): Promise<{ freeBytes: number; totalBytes: number }>;
}

/** Reads a whole file. Throws where it is absent. */
export async function readWholeFile(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path, { create: false });
  try {
    return await file.read(0, await file.size());
  } finally {
    await file.close();
  }
}

/**
 * Replaces a file durably: temporary file, fsync, rename, fsync of the directory. After a crash the path holds the old
 * or the new content, never a mix.
 */
export async function replaceFile(disk: Disk, directory: string, name: string, content: Uint8Array): Promise<void> {
  const temporary = `${directory}/${name}.tmp`;
  await disk.remove(temporary);
  const file = await disk.open(temporary, { create: true, exclusive: true });
  try {
    await file.write(0, [content]);
    await file.datasync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, `${directory}/${name}`);
  await disk.syncDir(directory);
}
