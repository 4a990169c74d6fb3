/**
 * Snapshots in files: one directory per snapshot, the state machine's files in it and `.manifest` beside them. The manifest comes last, by a
 * rename: a directory without one was never finished, and goes.
 */
import { createHash } from "node:crypto";
import { readWholeFile, replaceFile, RheaError, type Disk } from "@rhea/common";
import type {
  SavedSnapshot,
  SnapshotOwner,
  SnapshotPosition,
  SnapshotStorage,
  StorageContents,
  StoredSnapshot,
} from "./api.js";
import { diskError } from "./disk-errors.js";
import { decodeManifest, encodeManifest } from "./manifest.js";
import { checkSnapshotFileName } from "./snapshot-files.js";

const MANIFEST_VERSION = 1;
const MANIFEST_NAME = ".manifest";
/** Bytes read at once when files are hashed. */
const CHUNK_BYTES = 256 * 1024;

interface FileRow {
  readonly name: string;
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

interface Manifest extends SnapshotOwner, SnapshotPosition {
  readonly version: number;
  readonly files: readonly FileRow[];
}

/** Where snapshots of one group are kept in files. */
export interface FileSnapshotOptions {
  /** Where the directory is. */
  readonly disk: Disk;
  /** A directory of its own for each group; made if absent. */
  readonly directory: string;
}

/** Keeps a group's snapshots in files. Nothing happens before `open`. */
export function fileSnapshotStorage(options: FileSnapshotOptions): SnapshotStorage {
  return new FileSnapshotStorage(options);
}

class FileSnapshotStorage implements SnapshotStorage {
  readonly disk: Disk;
  readonly name: string;
  #owner: SnapshotOwner = { groupId: 0, peerId: 0 };
  #lastNumber = 0;
  readonly #files = new Map<string, readonly FileRow[]>();

  constructor({ disk, directory }: FileSnapshotOptions) {
    this.disk = disk;
    this.name = directory;
  }

  async open(owner: SnapshotOwner): Promise<StorageContents> {
    this.#owner = owner;
    await this.disk.mkdir(this.name);
    const snapshots: StoredSnapshot[] = [];
    const damaged: StorageContents["damaged"][number][] = [];
    for (const entry of await this.disk.list(this.name)) {
      const number = /^snapshot-(\d+)$/.exec(entry)?.[1];
      if (number === undefined) continue;
      this.#lastNumber = Math.max(this.#lastNumber, Number(number));
      const directory = `${this.name}/${entry}`;
      const manifest = await this.#readManifest(directory);
      if (manifest instanceof RheaError) damaged.push({ directory, error: manifest });
      else if (manifest === undefined || !this.#isOwn(manifest)) await this.remove(directory);
      else snapshots.push(this.#stored(directory, manifest));
    }
    snapshots.sort((a, b) => b.saved.index - a.saved.index || numberOf(b) - numberOf(a));
    return { snapshots, damaged };
  }

  async begin(): Promise<string> {
    const directory = `${this.name}/snapshot-${++this.#lastNumber}`;
    try {
      await this.disk.removeTree(directory);
      await this.disk.mkdir(directory);
    } catch (error) {
      throw diskError(`cannot make ${directory}`, error);
    }
    return directory;
  }

  async commit(directory: string, saved: SavedSnapshot): Promise<StoredSnapshot> {
    const { index, term, confState, peers, names } = saved;
    try {
      const files: FileRow[] = [];
      for (const name of names) {
        checkSnapshotFileName(name);
        files.push(await this.#seal(directory, name));
      }
      // The names first: a manifest that is there vouches for everything it lists.
      await this.disk.syncDir(directory);
      await this.disk.syncDir(this.name);
      const manifest = { version: MANIFEST_VERSION, ...this.#owner, index, term, confState, peers, files };
      await replaceFile(this.disk, directory, MANIFEST_NAME, encodeManifest(manifest));
      return this.#stored(directory, manifest);
    } catch (error) {
      throw diskError(`cannot finish the snapshot at ${index} in ${directory}`, error);
    }
  }

  async verify({ directory }: StoredSnapshot): Promise<void> {
    for (const { name, size, sha256 } of this.#files.get(directory) ?? []) {
      const path = `${directory}/${name}`;
      const why = await this.#difference(path, size, sha256);
      if (why !== undefined) {
        throw new RheaError("CORRUPTION", `${path}: ${why}`, { details: { file: path } });
      }
    }
  }

  async remove(directory: string): Promise<void> {
    this.#files.delete(directory);
    // Without its manifest it is nothing, whatever a crash leaves of the rest.
    await this.disk.remove(`${directory}/${MANIFEST_NAME}`);
    await this.disk.removeTree(directory);
  }

  /** Undefined where there is none: the snapshot was never finished. */
  async #readManifest(directory: string): Promise<Manifest | RheaError | undefined> {
    const path = `${directory}/${MANIFEST_NAME}`;
    if ((await this.disk.stat(path)) === undefined) return undefined;
    try {
      return decodeManifest(path, await readWholeFile(this.disk, path), MANIFEST_VERSION) as Manifest;
    } catch (error) {
      return RheaError.from(error);
    }
  }

  #isOwn({ groupId, peerId }: Manifest): boolean {
    const owner = this.#owner;
    if (groupId === owner.groupId) return peerId === owner.peerId;
    const what = `${this.name} keeps snapshots of group ${groupId}, not of group ${owner.groupId}`;
    throw new RheaError("INVALID_ARGUMENT", `${what}: use a directory of its own for each group`);
  }

  #stored(directory: string, { index, term, confState, peers, files }: Manifest): StoredSnapshot {
    this.#files.set(directory, files);
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    const names = files.map(({ name }) => name);
    return { directory, saved: { index, term, confState, peers, names }, bytes };
  }

  async #seal(directory: string, name: string): Promise<FileRow> {
    const path = `${directory}/${name}`;
    if ((await this.disk.stat(path)) === undefined) {
      throw new RheaError("NOT_FOUND", `${path}: the state machine named this file, but did not write it`);
    }
    const file = await this.disk.open(path, { create: false });
    try {
      await file.datasync();
    } finally {
      await file.close();
    }
    return { name, ...(await this.#digest(path)) };
  }

  async #difference(path: string, size: number, sha256: string): Promise<string | undefined> {
    if ((await this.disk.stat(path)) === undefined) return "the file is missing";
    const found = await this.#digest(path);
    if (found.size !== size) return `the file has ${found.size} bytes instead of ${size}`;
    return found.sha256 === sha256 ? undefined : `checksum mismatch in ${size} bytes`;
  }

  async #digest(path: string): Promise<{ readonly size: number; readonly sha256: string }> {
    const file = await this.disk.open(path, { create: false });
    try {
      const size = await file.size();
      const hash = createHash("sha256");
      for (let offset = 0; offset < size; offset += CHUNK_BYTES) {
        hash.update(await file.read(offset, Math.min(CHUNK_BYTES, size - offset)));
      }
      return { size, sha256: hash.digest("hex") };
    } finally {
      await file.close();
    }
  }
}

function numberOf({ directory }: StoredSnapshot): number {
  return Number(directory.slice(directory.lastIndexOf("-") + 1));
}
