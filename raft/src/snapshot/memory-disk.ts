/** A disk in memory: for state that need not outlive the process, and for tests. */
import type { Disk, DiskFile } from "@rhea/common";

interface StoredFile {
  bytes: Buffer;
  readonly inode: number;
}

class MemoryDiskError extends Error {
  readonly code: string;
  constructor(code: string, path: string) {
    super(`${code}: ${path}`);
    this.code = code;
  }
}

/** Makes an empty disk. What is written to it is gone with the object. */
export function memoryDisk(): Disk {
  const files = new Map<string, StoredFile>();
  const directories = new Set<string>();
  let lastInode = 0;
  const known = (path: string): StoredFile => {
    const stored = files.get(path);
    if (stored === undefined) throw new MemoryDiskError("ENOENT", path);
    return stored;
  };
  return {
    open: async (path, { create, exclusive = false }) => {
      const stored = files.get(path);
      if (stored !== undefined && exclusive) throw new MemoryDiskError("EEXIST", path);
      if (stored === undefined && !create) throw new MemoryDiskError("ENOENT", path);
      const opened = stored ?? { bytes: Buffer.alloc(0), inode: ++lastInode };
      files.set(path, opened);
      return openFile(opened);
    },
    stat: async (path) => {
      const stored = files.get(path);
      if (stored !== undefined) return { kind: "file", size: stored.bytes.length, inode: stored.inode };
      return directories.has(path) ? { kind: "directory", size: 0, inode: 0 } : undefined;
    },
    list: async (path) => {
      if (!directories.has(path)) throw new MemoryDiskError("ENOENT", path);
      const children = [...files.keys(), ...directories].filter((name) => name.startsWith(`${path}/`));
      return [...new Set(children.map((name) => name.slice(path.length + 1).split("/")[0] ?? ""))].sort();
    },
    mkdir: async (path) => {
      const parts = path.split("/");
      for (let i = 1; i <= parts.length; i++) directories.add(parts.slice(0, i).join("/"));
    },
    rename: async (from, to) => {
      const stored = known(from);
      files.delete(from);
      files.set(to, stored);
    },
    remove: async (path) => {
      files.delete(path);
    },
    removeTree: async (path) => {
      for (const name of files.keys()) if (name === path || name.startsWith(`${path}/`)) files.delete(name);
      for (const name of directories) if (name === path || name.startsWith(`${path}/`)) directories.delete(name);
    },
    syncDir: async (path) => {
      if (!directories.has(path)) throw new MemoryDiskError("ENOENT", path);
    },
    space: async () => ({ freeBytes: Number.MAX_SAFE_INTEGER, totalBytes: Number.MAX_SAFE_INTEGER }),
  };
}

function openFile(stored: StoredFile): DiskFile {
  const read = (offset: number, length: number): Buffer => Buffer.from(stored.bytes.subarray(offset, offset + length));
  return {
    read: async (offset, length) => read(offset, length),
    readSync: read,
    write: async (offset, chunks) => {
      const written = Buffer.concat(chunks);
      const grown = Buffer.alloc(Math.max(offset + written.length, stored.bytes.length));
      stored.bytes.copy(grown);
      written.copy(grown, offset);
      stored.bytes = grown;
    },
    datasync: async () => undefined,
    size: async () => stored.bytes.length,
    truncate: async (length) => {
      const cut = Buffer.alloc(length);
      stored.bytes.copy(cut, 0, 0, length);
      stored.bytes = cut;
    },
    close: async () => undefined,
  };
}
