/**
 * A disk that crashes: what is written is volatile until its file is synced, names until their directory is. A crash keeps what was synced
 * and, by chance, parts of the rest: of each file's unsynced writes some, of each directory's unsynced names a prefix.
 */
import type { Disk, DiskFile } from "@rhea/common";

interface Inode {
  volatile: Buffer;
  durable: Buffer;
  pending: { readonly offset: number; readonly bytes: Buffer }[];
}

type Names = Map<string, Inode>;

interface Directory {
  readonly volatile: Names;
  readonly durable: Names;
  pending: ((names: Names) => void)[];
}

/** Thrown by every call from the crash on. */
export class Crashed extends Error {}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/"));
const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** The disk of one machine; {@link CrashDisk.afterCrash} is the one that the next process finds. */
export class CrashDisk implements Disk {
  readonly #directories: Map<string, Directory>;
  #callsLeft = Infinity;

  constructor(directories: Map<string, Directory> = new Map()) {
    this.#directories = directories;
  }

  /** Lets `count` more calls that change something through; the one after them, and all that follow, fail. */
  crashAfter(count: number): void {
    this.#callsLeft = count;
  }

  get hasCrashed(): boolean {
    return this.#callsLeft < 0;
  }

  /** What is there after power came back; `chance` gives whole numbers below its argument. */
  afterCrash(chance: (bound: number) => number): CrashDisk {
    const survivors = new Map<Inode, Inode>();
    const survive = (inode: Inode): Inode => {
      const known = survivors.get(inode);
      if (known !== undefined) return known;
      let content = inode.durable;
      for (const { offset, bytes } of inode.pending) {
        const kept = chance(3);
        if (kept > 0)
          content = overwrite(content, offset, kept === 1 ? bytes : bytes.subarray(0, chance(bytes.length + 1)));
      }
      const survivor: Inode = { volatile: content, durable: content, pending: [] };
      survivors.set(inode, survivor);
      return survivor;
    };
    const directories = new Map<string, Directory>();
    for (const [path, { durable, pending }] of this.#directories) {
      const names = new Map(durable);
      for (const change of pending.slice(0, chance(pending.length + 1))) change(names);
      const found = new Map([...names].map(([name, inode]) => [name, survive(inode)]));
      directories.set(path, { volatile: found, durable: new Map(found), pending: [] });
    }
    return new CrashDisk(directories);
  }

  async open(path: string, { create, exclusive = false }: { create: boolean; exclusive?: boolean }): Promise<DiskFile> {
    const found = this.#directory(parentOf(path)).volatile.get(nameOf(path));
    if (found !== undefined) {
      if (exclusive) throw new Error(`EEXIST: ${path}`);
      return this.#file(found);
    }
    if (!create) throw new Error(`ENOENT: ${path}`);
    const inode: Inode = { volatile: Buffer.alloc(0), durable: Buffer.alloc(0), pending: [] };
    this.#change(parentOf(path), (names) => names.set(nameOf(path), inode));
    return this.#file(inode);
  }

  async stat(path: string) {
    if (this.#directories.has(path)) return { kind: "directory" as const, size: 0, inode: 0 };
    const inode = this.#directories.get(parentOf(path))?.volatile.get(nameOf(path));
    return inode === undefined ? undefined : { kind: "file" as const, size: inode.volatile.length, inode: 0 };
  }

  async list(path: string): Promise<string[]> {
    const below = [...this.#directories.keys()].filter((other) => parentOf(other) === path).map(nameOf);
    return [...this.#directory(path).volatile.keys(), ...below].sort();
  }

  async mkdir(path: string): Promise<void> {
    this.#step();
    const parts = path.split("/");
    for (let i = 1; i <= parts.length; i++) {
      const at = parts.slice(0, i).join("/");
      if (!this.#directories.has(at))
        this.#directories.set(at, { volatile: new Map(), durable: new Map(), pending: [] });
    }
  }

  async rename(from: string, to: string): Promise<void> {
    const inode = this.#directory(parentOf(from)).volatile.get(nameOf(from));
    if (inode === undefined || parentOf(from) !== parentOf(to)) throw new Error(`cannot rename ${from} to ${to}`);
    this.#change(parentOf(from), (names) => {
      names.delete(nameOf(from));
      names.set(nameOf(to), inode);
    });
  }

  async remove(path: string): Promise<void> {
    if (this.#directories.get(parentOf(path))?.volatile.has(nameOf(path)) !== true) return;
    this.#change(parentOf(path), (names) => names.delete(nameOf(path)));
  }

  /** File by file, so that a crash comes between; the directory itself stays until the end. */
  async removeTree(path: string): Promise<void> {
    for (const name of this.#directories.get(path)?.volatile.keys() ?? []) await this.remove(`${path}/${name}`);
    this.#step();
    this.#directories.delete(path);
  }

  async syncDir(path: string): Promise<void> {
    const directory = this.#directory(path);
    this.#step();
    for (const change of directory.pending) change(directory.durable);
    directory.pending = [];
  }

  async space(): Promise<{ freeBytes: number; totalBytes: number }> {
    return { freeBytes: 1e12, totalBytes: 1e12 };
  }

  #directory(path: string): Directory {
    const directory = this.#directories.get(path);
    if (directory === undefined) throw new Error(`ENOENT: ${path}`);
    return directory;
  }

  #change(path: string, change: (names: Names) => void): void {
    this.#step();
    const directory = this.#directory(path);
    change(directory.volatile);
    directory.pending.push(change);
  }

  #step(): void {
    if (this.#callsLeft-- <= 0) {
      this.#callsLeft = -1;
      throw new Crashed("the machine has crashed");
    }
  }

  #file(inode: Inode): DiskFile {
    const read = (offset: number, length: number): Buffer =>
      Buffer.from(inode.volatile.subarray(offset, offset + length));
    return {
      read: async (offset, length) => read(offset, length),
      readSync: read,
      write: async (offset, chunks) => {
        this.#step();
        const bytes = Buffer.concat(chunks);
        inode.volatile = overwrite(inode.volatile, offset, bytes);
        inode.pending.push({ offset, bytes });
      },
      datasync: async () => {
        this.#step();
        inode.durable = inode.volatile;
        inode.pending = [];
      },
      size: async () => inode.volatile.length,
      truncate: () => Promise.reject(new Error("not in this model")),
      close: async () => undefined,
    };
  }
}

function overwrite(content: Buffer, offset: number, bytes: Buffer): Buffer {
  const grown = Buffer.alloc(Math.max(content.length, offset + bytes.length));
  content.copy(grown);
  bytes.copy(grown, offset);
  return grown;
}
