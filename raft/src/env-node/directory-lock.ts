/**
 * One process per data directory. Node has no file locks, so the lock is a listening Unix socket in the directory: the kernel closes it with
 * the process, however that ends, and whoever can connect to it knows that the holder lives (over containers that share a volume too).
 */
import { randomBytes } from "node:crypto";
import { open, readdir, rm, stat } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { RheaError } from "@rhea/common";

const PREFIX = "lock.";
const SUFFIX = ".sock";
/** Longest path of a Unix socket, in bytes: 107 on Linux, 103 on macOS. */
const MAX_PATH_BYTES = 103;
/** Two processes that start at once see each other and both step back; they try again this often, after a random while. */
const ATTEMPTS = 4;
const RETRY_MS = 50;

/** A directory that this process alone uses. */
export interface DirectoryLock {
  /** Gives the directory free; idempotent. */
  release(): Promise<void>;
}

/**
 * Locks an existing directory until `release` or the end of the process.
 *
 * @throws RheaError LOCKED if another process (or another lock of this one) has it, DISK_FAILED if the file system takes no sockets.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  for (let attempt = 1; ; attempt++) {
    const lock = await tryLock(directory);
    if (lock !== undefined) return lock;
    if (attempt === ATTEMPTS) {
      throw new RheaError(
        "LOCKED",
        `${directory} is in use by another process: end that one, or use another directory`,
        {
          details: { file: directory },
        },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS * (0.5 + Math.random())));
  }
}

/**
 * Listens first and looks for others then, so that of two who try at once at least one sees the other. Undefined if there is a living other.
 */
async function tryLock(directory: string): Promise<DirectoryLock | undefined> {
  const name = `${PREFIX}${randomBytes(8).toString("hex")}${SUFFIX}`;
  // A socket's path is short; a directory's need not be. Through the open directory every path is.
  const handle = process.platform === "linux" ? await open(directory, "r") : undefined;
  const at = (file: string): string => `${handle === undefined ? directory : `/proc/self/fd/${handle.fd}`}/${file}`;
  const server = createServer((socket) => socket.destroy());
  const release = async (): Promise<void> => {
    if (server.listening) await new Promise((resolve) => server.close(resolve));
    await rm(`${directory}/${name}`, { force: true });
    await handle?.close();
  };
  try {
    await listen(server, at(name), directory);
    const isAlone = !(await hasLivingOther(directory, name, at));
    // Whoever met this socket in the moment before it listened has removed it: nobody would see the lock.
    if (isAlone && (await stat(`${directory}/${name}`).catch(() => undefined)) !== undefined) {
      server.unref();
      let released: Promise<void> | undefined;
      return { release: () => (released ??= release()) };
    }
    await release();
    return undefined;
  } catch (error) {
    await release();
    throw error;
  }
}

async function listen(server: Server, path: string, directory: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    const limit = `a path of ${MAX_PATH_BYTES - PREFIX.length - SUFFIX.length - 17} bytes at most can be locked here`;
    throw new RheaError("INVALID_CONFIG", `${directory} is too long: ${limit}`);
  }
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      const why = `${directory} cannot be locked (${cause.message}): it must be on a file system that has Unix sockets`;
      reject(new RheaError("DISK_FAILED", why, { cause, details: { file: directory } }));
    });
    server.listen(path, resolve);
  });
}

async function hasLivingOther(directory: string, own: string, at: (file: string) => string): Promise<boolean> {
  for (const name of await readdir(directory)) {
    if (name === own || !name.startsWith(PREFIX) || !name.endsWith(SUFFIX)) continue;
    if (await isAlive(at(name))) return true;
    await rm(`${directory}/${name}`, { force: true });
  }
  return false;
}

/** Whether somebody listens; anything but a clear no counts as yes. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}
