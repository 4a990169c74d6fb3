/** The file system of Node. */
import { constants, readSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, statfs, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import type { Disk, DiskFile } from "../env.js";

function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

class NodeFile implements DiskFile {
  readonly #handle: FileHandle;
  #isClosed = false;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#handle.read(buffer, filled, length - filled, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }

  readSync(offset: number, length: number): Buffer {
    const buffer = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const bytesRead = readSync(this.#handle.fd, buffer, filled, length - filled, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }

  async write(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    let at = offset;
    let rest = chunks.filter((chunk) => chunk.length > 0);
    while (rest.length > 0) {
      const first = rest[0];
      const { bytesWritten } =
        rest.length === 1 && first !== undefined
          ? await this.#handle.write(first, 0, first.length, at)
          : await this.#handle.writev(rest.slice(0, 1024), at);
      if (bytesWritten === 0) throw new Error(`write of ${String(at)} made no progress`);
      at += bytesWritten;
      rest = dropBytes(rest, bytesWritten);
    }
  }

  async datasync(): Promise<void> {
    await this.#handle.datasync();
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async truncate(length: number): Promise<void> {
    await this.#handle.truncate(length);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#handle.close();
  }
}

/** What is left of `chunks` after their first `count` bytes. */
function dropBytes(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  let left = count;
  const rest: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (left >= chunk.length) left -= chunk.length;
    else {
      rest.push(left === 0 ? chunk : chunk.subarray(left));
      left = 0;
    }
  }
  return rest;
}

/** Makes a directory and those above it. Node's own recursive form never ends where the system lets nobody make one, as in /proc. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const parent = dirname(path);
    if (isAbsent(error) && parent !== path && !(await exists(parent))) {
      await makeDirectory(parent);
      await mkdir(path).catch(ignoreDirectory(path));
    } else await ignoreDirectory(path)(error);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** Passes on an error unless there is a directory: made before, or by somebody else meanwhile. */
function ignoreDirectory(path: string): (error: unknown) => Promise<void> {
  return async (error) => {
    const isThere = error instanceof Error && "code" in error && error.code === "EEXIST";
    if (!isThere || !(await stat(path)).isDirectory()) throw error;
  };
}

/** The machine's file system. */
export const nodeDisk: Disk = {
  async open(path, options) {
    const flags =
      constants.O_RDWR | (options.create ? constants.O_CREAT : 0) | (options.exclusive === true ? constants.O_EXCL : 0);
    return new NodeFile(await open(path, flags, 0o644));
  },
  async stat(path) {
    try {
      const found = await stat(path);
      return {
        kind: found.isFile() ? "file" : found.isDirectory() ? "directory" : "other",
        size: found.size,
        inode: found.ino,
      };
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  },
  async list(path) {
    return (await readdir(path)).sort();
  },
  mkdir: makeDirectory,
  rename,
  async remove(path) {
    await rm(path, { force: true });
  },
  async removeTree(path) {
    await rm(path, { recursive: true, force: true });
  },
  async syncDir(path) {
    const handle = await open(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  async space(path) {
    const { bavail, blocks, bsize } = await statfs(path);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  },
};
