/** A disk in memory for the tests of this folder: whole files, injected failures, and a gate in front of every fsync. */
import type { Disk, DiskFile, DiskStat } from "@rhea/common";

interface StoredFile {
  bytes: Buffer;
  readonly inode: number;
}

/** Which call {@link TestDisk.intercept} is asked about. */
export type DiskCall = "write" | "datasync" | "remove" | "read";

/** Keeps files in memory. What is written is there at once; crashes are made by tests that change `files`. */
export class TestDisk implements Disk {
  readonly files = new Map<string, StoredFile>();
  /** Names of directories that were synced, in order, and of files that were removed, in order. */
  readonly journal: string[] = [];
  /** Called before a call takes effect; may throw or wait. */
  intercept: ((call: DiskCall, path: string) => Promise<void> | void) | undefined;
  openFiles = 0;
  #inodes = 0;

  async open(path: string, options: { create: boolean; exclusive?: boolean }): Promise<DiskFile> {
    const known = this.files.get(path);
    if (known !== undefined && options.exclusive === true) throw new Error(`EEXIST: ${path}`);
    if (known === undefined && !options.create) throw new Error(`ENOENT: ${path}`);
    const stored = known ?? { bytes: Buffer.alloc(0), inode: ++this.#inodes };
    this.files.set(path, stored);
    this.openFiles++;
    return this.#file(path, stored);
  }

  async stat(path: string): Promise<DiskStat | undefined> {
    const stored = this.files.get(path);
    return stored === undefined ? undefined : { kind: "file", size: stored.bytes.length, inode: stored.inode };
  }

  async list(path: string): Promise<string[]> {
    const prefix = `${path}/`;
    const below = [...this.files.keys()].filter((name) => name.startsWith(prefix));
    return [...new Set(below.map((name) => name.slice(prefix.length).split("/")[0] ?? ""))].sort();
  }

  async mkdir(): Promise<void> {}

  async rename(from: string, to: string): Promise<void> {
    const stored = this.files.get(from);
    if (stored === undefined) throw new Error(`ENOENT: ${from}`);
    this.files.delete(from);
    this.files.set(to, stored);
  }

  async remove(path: string): Promise<void> {
    await this.intercept?.("remove", path);
    if (this.files.delete(path)) this.journal.push(`remove ${path}`);
  }

  async removeTree(path: string): Promise<void> {
    for (const name of this.files.keys()) if (name.startsWith(`${path}/`)) this.files.delete(name);
  }

  async syncDir(path: string): Promise<void> {
    this.journal.push(`syncDir ${path}`);
  }

  async space(): Promise<{ freeBytes: number; totalBytes: number }> {
    return { freeBytes: 1e12, totalBytes: 1e12 };
  }

  /** The content of a file; throws where there is none. */
  content(path: string): Buffer {
    const stored = this.files.get(path);
    if (stored === undefined) throw new Error(`ENOENT: ${path}`);
    return stored.bytes;
  }

  /** Puts a file in place. */
  put(path: string, bytes: Buffer): void {
    this.files.set(path, { bytes: Buffer.from(bytes), inode: ++this.#inodes });
  }

  /** An independent disk with the same files. */
  clone(): TestDisk {
    const copy = new TestDisk();
    for (const [path, { bytes }] of this.files) copy.put(path, bytes);
    return copy;
  }

  #file(path: string, stored: StoredFile): DiskFile {
    let isClosed = false;
    const check = async (call: DiskCall): Promise<void> => {
      if (isClosed) throw new Error(`EBADF: ${path}`);
      await this.intercept?.(call, path);
    };
    return {
      read: async (offset, length) => {
        await check("read");
        return Buffer.from(stored.bytes.subarray(offset, offset + length));
      },
      readSync: (offset, length) => {
        if (isClosed) throw new Error(`EBADF: ${path}`);
        return Buffer.from(stored.bytes.subarray(offset, offset + length));
      },
      write: async (offset, chunks) => {
        await check("write");
        const written = Buffer.concat(chunks);
        const end = offset + written.length;
        const grown = Buffer.alloc(Math.max(end, stored.bytes.length));
        stored.bytes.copy(grown);
        written.copy(grown, offset);
        stored.bytes = grown;
      },
      datasync: () => check("datasync"),
      size: async () => stored.bytes.length,
      truncate: async (length) => {
        const cut = Buffer.alloc(length);
        stored.bytes.copy(cut, 0, 0, length);
        stored.bytes = cut;
      },
      close: async () => {
        if (!isClosed) this.openFiles--;
        isClosed = true;
      },
    };
  }
}
