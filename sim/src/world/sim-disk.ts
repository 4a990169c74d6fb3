/**
 * A disk with faults. Writes and names are volatile until synced; a crash keeps what was synced and any part of the
 * rest: each unsynced write whole, torn or not at all, in any order over files; directory changes as a prefix, as a
 * journaling file system does.
 */
import { posix } from "node:path";
import type { Disk, DiskFile } from "@rhea/common";
import type { EventQueue } from "./event-queue.js";
import type { SimRandom } from "./random.js";

const SECTOR_BYTES = 512;

interface Inode {
  readonly id: number;
  data: Buffer;
  size: number;
  durable: Buffer;
  durableSize: number;
  /** Changes since the last sync, oldest first. A missing `bytes` is a change of size. */
  pending: { readonly offset: number; readonly bytes?: Buffer; readonly size: number }[];
}

interface DirectoryChange {
  readonly directory: string;
  readonly apply: (names: Map<string, Inode>) => void;
}

/** What a nemesis can do to a disk. */
export interface SimDisk extends Disk {
  /** Ends the running process's access: every later call through this view hangs, as for a dead process. */
  readonly view: () => Disk;
  /** The process dies and the machine lives: what was written stays, what was not yet is lost. */
  detach(): void;
  /** Power loss: forgets what was not durable, with luck of the draw. */
  crash(): void;
  /** Forgets everything. */
  wipe(): void;
  /** Copies what is durable now; the returned call brings it back over whatever the disk holds then, as an older image. Only while nobody runs. */
  image(): () => void;
  /** Makes the next `count` operations of the kind fail with `code`. */
  failNext(kind: "write" | "datasync", code: "EIO" | "ENOSPC", count: number): void;
  /** Adds to each write's and sync's time. */
  slowByMs: number;
  /** Flips one bit of a file's durable and volatile content. */
  flipBit(path: string, offset: number): void;
  /** Paths of all files, sorted. */
  files(): string[];
  /** Present size of a file, in bytes; 0 where there is none. */
  sizeOf(path: string): number;
  /** Skips the durability of datasync (a lying disk). */
  ignoresSync: boolean;
}

class DiskError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

function ensureCapacity(buffer: Buffer, size: number): Buffer {
  if (buffer.length >= size) return buffer;
  const larger = Buffer.alloc(Math.max(size, buffer.length * 2, 4096));
  buffer.copy(larger);
  return larger;
}

/** Makes an empty disk. */
export function createSimDisk(queue: EventQueue, random: SimRandom): SimDisk {
  let nextInode = 1;
  let generation = 0;
  let directories = new Map<string, Map<string, Inode>>([["/", new Map()]]);
  let durableDirectories = new Map<string, Map<string, Inode>>([["/", new Map()]]);
  let changes: DirectoryChange[] = [];
  const failures = { write: { code: "EIO", count: 0 }, datasync: { code: "EIO", count: 0 } };
  const inodes = new Set<Inode>();

  const normal = (path: string): string => posix.resolve("/", path);
  const parentOf = (path: string): string => posix.dirname(normal(path));
  const nameOf = (path: string): string => posix.basename(normal(path));
  const lookup = (path: string): Inode | undefined => directories.get(parentOf(path))?.get(nameOf(path));
  const change = (directory: string, apply: (names: Map<string, Inode>) => void): void => {
    const names = directories.get(directory);
    if (names === undefined) throw new DiskError("ENOENT", directory);
    apply(names);
    changes.push({ directory, apply });
  };
  const later = <T>(bornAt: number, delayMs: number, act: () => T): Promise<T> =>
    new Promise((resolve, reject) => {
      queue.plan(delayMs, () => {
        if (bornAt !== generation) return;
        try {
          resolve(act());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  const failIfDue = (kind: "write" | "datasync", path: string): void => {
    const failure = failures[kind];
    if (failure.count === 0) return;
    failure.count--;
    throw new DiskError(failure.code, `${kind} of ${path}`);
  };

  const openFile = (bornAt: number, path: string, inode: Inode): DiskFile => {
    const read = (offset: number, length: number): Buffer =>
      Buffer.from(inode.data.subarray(Math.min(offset, inode.size), Math.min(offset + length, inode.size)));
    return {
      read: (offset, length) => later(bornAt, 0.02, () => read(offset, length)),
      readSync: read,
      write: (offset, chunks) => {
        const bytes = Buffer.concat(chunks);
        return later(bornAt, disk.slowByMs + 0.02 + random.fraction() * 0.1, () => {
          failIfDue("write", path);
          const end = offset + bytes.length;
          inode.data = ensureCapacity(inode.data, end);
          bytes.copy(inode.data, offset);
          inode.size = Math.max(inode.size, end);
          inode.pending.push({ offset, bytes, size: inode.size });
        });
      },
      datasync: () => {
        const upTo = inode.pending.length;
        return later(bornAt, disk.slowByMs + 0.1 + random.fraction() ** 4 * 4, () => {
          failIfDue("datasync", path);
          if (disk.ignoresSync) return;
          for (const write of inode.pending.splice(0, upTo)) applyWrite(inode, write, write.bytes?.length ?? 0);
        });
      },
      size: () => Promise.resolve(inode.size),
      truncate: (length) =>
        later(bornAt, 0.02, () => {
          inode.data = ensureCapacity(inode.data, length);
          inode.data.fill(0, Math.min(length, inode.size), Math.max(length, inode.size));
          inode.size = length;
          inode.pending.push({ offset: length, size: length });
        }),
      close: () => Promise.resolve(),
    };
  };

  const applyWrite = (inode: Inode, write: Inode["pending"][number], length: number): void => {
    if (write.bytes === undefined) {
      inode.durable = ensureCapacity(inode.durable, write.size);
      inode.durable.fill(0, Math.min(write.size, inode.durableSize), Math.max(write.size, inode.durableSize));
      inode.durableSize = write.size;
      return;
    }
    inode.durable = ensureCapacity(inode.durable, write.offset + length);
    write.bytes.copy(inode.durable, write.offset, 0, length);
    inode.durableSize = Math.max(inode.durableSize, write.offset + length);
  };

  /** Lets go of files that no directory names any more. */
  const forgetUnnamed = (): void => {
    const named = new Set([...directories.values()].flatMap((names) => [...names.values()]));
    for (const inode of inodes) if (!named.has(inode)) inodes.delete(inode);
  };

  const viewAt = (bornAt: number): Disk => ({
    open: (path, options) =>
      later(bornAt, 0.02, () => {
        const found = lookup(path);
        if (found !== undefined) {
          if (options.exclusive === true) throw new DiskError("EEXIST", path);
          return openFile(bornAt, path, found);
        }
        if (!options.create) throw new DiskError("ENOENT", path);
        const inode: Inode = {
          id: nextInode++,
          data: Buffer.alloc(0),
          size: 0,
          durable: Buffer.alloc(0),
          durableSize: 0,
          pending: [],
        };
        inodes.add(inode);
        const name = nameOf(path);
        change(parentOf(path), (names) => names.set(name, inode));
        return openFile(bornAt, path, inode);
      }),
    stat: (path) =>
      later(bornAt, 0.01, () => {
        if (directories.has(normal(path))) return { kind: "directory" as const, size: 0, inode: 0 };
        const found = lookup(path);
        return found === undefined ? undefined : { kind: "file" as const, size: found.size, inode: found.id };
      }),
    list: (path) =>
      later(bornAt, 0.01, () => {
        const at = normal(path);
        const names = directories.get(at);
        if (names === undefined) throw new DiskError("ENOENT", path);
        const children = [...directories.keys()]
          .filter((other) => other !== "/" && posix.dirname(other) === at)
          .map((other) => posix.basename(other));
        return [...names.keys(), ...children].sort();
      }),
    mkdir: (path) =>
      later(bornAt, 0.01, () => {
        // Directories themselves are durable at once: losing one would only look like a lost file in it.
        for (let at = normal(path); !directories.has(at); at = posix.dirname(at)) {
          directories.set(at, new Map());
          durableDirectories.set(at, new Map());
        }
      }),
    rename: (from, to) =>
      later(bornAt, 0.02, () => {
        const inode = lookup(from);
        if (inode === undefined) throw new DiskError("ENOENT", from);
        if (parentOf(from) !== parentOf(to)) throw new DiskError("EXDEV", "renames stay in one directory here");
        const [oldName, newName] = [nameOf(from), nameOf(to)];
        change(parentOf(from), (names) => {
          names.delete(oldName);
          names.set(newName, inode);
        });
      }),
    remove: (path) =>
      later(bornAt, 0.02, () => {
        if (lookup(path) === undefined) return;
        const name = nameOf(path);
        change(parentOf(path), (names) => names.delete(name));
      }),
    removeTree: (path) =>
      later(bornAt, 0.05, () => {
        const root = normal(path);
        for (const directory of [...directories.keys()]) {
          if (directory !== root && !directory.startsWith(`${root}/`)) continue;
          directories.delete(directory);
          durableDirectories.delete(directory);
          changes = changes.filter((other) => other.directory !== directory);
        }
        if (lookup(path) !== undefined) {
          const name = nameOf(path);
          change(parentOf(path), (names) => names.delete(name));
        }
      }),
    syncDir: (path) =>
      later(bornAt, disk.slowByMs + 0.1, () => {
        const at = normal(path);
        const names = durableDirectories.get(at);
        if (names === undefined) throw new DiskError("ENOENT", path);
        changes = changes.filter((other) => {
          if (other.directory !== at) return true;
          other.apply(names);
          return false;
        });
      }),
    space: () => Promise.resolve({ freeBytes: 64 * 2 ** 30, totalBytes: 128 * 2 ** 30 }),
  });

  const disk: SimDisk = {
    ...viewAt(0),
    slowByMs: 0,
    ignoresSync: false,
    view: () => viewAt(generation),
    detach: () => {
      generation++;
    },
    crash: () => {
      generation++;
      const kept = random.int(changes.length + 1);
      for (const { directory, apply } of changes.slice(0, kept)) {
        const names = durableDirectories.get(directory);
        if (names !== undefined) apply(names);
      }
      changes = [];
      directories = new Map([...durableDirectories].map(([path, names]) => [path, new Map(names)]));
      for (const inode of inodes) {
        for (const write of inode.pending) {
          const length = write.bytes?.length ?? 0;
          const luck = random.int(4);
          if (luck === 0) applyWrite(inode, write, length);
          else if (luck === 1 && length > 0)
            applyWrite(inode, write, Math.min(length, random.int(Math.ceil(length / SECTOR_BYTES) + 1) * SECTOR_BYTES));
        }
        inode.pending = [];
        inode.data = Buffer.from(inode.durable);
        inode.size = inode.durableSize;
      }
      forgetUnnamed();
    },
    image: () => {
      const names = [...durableDirectories].map(([path, files]) => [path, [...files]] as const);
      const contents = new Map<Inode, Buffer>();
      for (const [, files] of names)
        for (const [, inode] of files) contents.set(inode, Buffer.from(inode.durable.subarray(0, inode.durableSize)));
      return () => {
        generation++;
        inodes.clear();
        changes = [];
        const copies = new Map<Inode, Inode>();
        for (const [inode, bytes] of contents) {
          const [data, durable] = [Buffer.from(bytes), Buffer.from(bytes)];
          const copy: Inode = {
            id: inode.id,
            data,
            size: bytes.length,
            durable,
            durableSize: bytes.length,
            pending: [],
          };
          copies.set(inode, copy);
          inodes.add(copy);
        }
        const rebuilt = (): Map<string, Map<string, Inode>> =>
          new Map(
            names.map(([path, files]) => [
              path,
              new Map(files.map(([name, inode]) => [name, copies.get(inode) ?? inode])),
            ]),
          );
        directories = rebuilt();
        durableDirectories = rebuilt();
      };
    },
    wipe: () => {
      generation++;
      directories = new Map([["/", new Map<string, Inode>()]]);
      durableDirectories = new Map([["/", new Map<string, Inode>()]]);
      changes = [];
      inodes.clear();
    },
    failNext: (kind, code, count) => {
      failures[kind] = { code, count };
    },
    flipBit: (path, offset) => {
      const inode = lookup(path);
      if (inode === undefined) throw new DiskError("ENOENT", path);
      for (const buffer of [inode.data, inode.durable]) buffer[offset] = (buffer[offset] ?? 0) ^ 1;
    },
    sizeOf: (path) => lookup(path)?.size ?? 0,
    files: () =>
      [...directories].flatMap(([path, names]) => [...names.keys()].map((name) => posix.join(path, name))).sort(),
  };
  return disk;
}
