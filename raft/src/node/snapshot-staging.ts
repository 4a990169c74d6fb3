/**
 * Staged snapshots on disk: one directory per transfer below the snapshot directory, `files/` with the state machine's files and a
 * manifest beside them. What a crash leaves behind goes at the next start, unless the log says that it is being installed.
 */
import { readWholeFile, replaceFile, RheaError, type Disk } from "@rhea/common";
import type { ConfState } from "../core/types.js";
import { decodeManifest, encodeManifest } from "../snapshot/manifest.js";
import { snapshotFiles } from "../snapshot/snapshot-files.js";
import type { PeerInfo, SavedSnapshot } from "./api.js";
import type { InstalledSnapshot } from "./apply.js";

const MANIFEST_VERSION = 1;
/** Bytes that a staged snapshot leaves free on its volume. */
const SPARE_BYTES = 16 * 1024 * 1024;
const MANIFEST_NAME = "manifest.json";

interface Manifest {
  readonly version: number;
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
  readonly peers: readonly PeerInfo[];
  readonly names: readonly string[];
}

/** Where the snapshots of one process are staged. */
export class SnapshotStaging {
  readonly disk: Disk;
  readonly #directory: string;
  readonly #incarnation: number;
  #lastNumber = 0;

  constructor(disk: Disk, directory: string, incarnation: number) {
    this.disk = disk;
    this.#directory = directory;
    this.#incarnation = incarnation;
  }

  /**
   * Checks that a snapshot of so many bytes would leave some space.
   * @throws RheaError DISK_FULL
   */
  async requireSpace(bytes: number): Promise<void> {
    await this.disk.mkdir(this.#directory);
    const { freeBytes } = await this.disk.space(this.#directory);
    if (freeBytes >= bytes + SPARE_BYTES) return;
    const what = `a snapshot of ${bytes} bytes does not fit into ${this.#directory}`;
    throw new RheaError("DISK_FULL", `${what}: ${freeBytes} bytes are free, ${SPARE_BYTES} of them must stay so`);
  }

  /** Makes an empty staging directory and returns its name. */
  async create(purpose: "send" | "receive"): Promise<string> {
    const name = `${purpose}-${this.#incarnation}-${++this.#lastNumber}`;
    await this.disk.removeTree(this.#path(name));
    await this.disk.mkdir(this.filesOf(name));
    return name;
  }

  /** The place of the state machine's files. */
  filesOf(name: string): string {
    return `${this.#path(name)}/files`;
  }

  /** Makes a received snapshot durable: its files are, and now their names and the manifest. */
  async seal(name: string, saved: SavedSnapshot): Promise<InstalledSnapshot> {
    const { index, term, confState, peers, names } = saved;
    const manifest: Manifest = { version: MANIFEST_VERSION, index, term, confState, peers, names };
    await this.disk.syncDir(this.filesOf(name));
    await replaceFile(this.disk, this.#path(name), MANIFEST_NAME, encodeManifest(manifest));
    await this.disk.syncDir(this.#directory);
    return { staging: name, files: snapshotFiles(this.disk, this.filesOf(name), names), saved };
  }

  /**
   * Reads a sealed snapshot back.
   * @throws RheaError CORRUPTION when the manifest is damaged, VERSION_UNSUPPORTED when it is of a later form.
   */
  async open(name: string): Promise<InstalledSnapshot> {
    const path = `${this.#path(name)}/${MANIFEST_NAME}`;
    const manifest = decodeManifest(path, await readWholeFile(this.disk, path), MANIFEST_VERSION) as Manifest;
    const { index, term, confState, peers, names } = manifest;
    const files = snapshotFiles(this.disk, this.filesOf(name), names);
    return { staging: name, files, saved: { index, term, confState, peers, names } };
  }

  async remove(name: string): Promise<void> {
    await this.disk.removeTree(this.#path(name));
  }

  /** Removes what earlier starts left behind, except what is being installed. */
  async clean(keep: ReadonlySet<string>): Promise<void> {
    await this.disk.mkdir(this.#directory);
    for (const name of await this.disk.list(this.#directory)) {
      const isOurs = /^(?:send|receive)-\d+-\d+$/.test(name);
      const isPresent = name.split("-")[1] === String(this.#incarnation);
      if (isOurs && !isPresent && !keep.has(name)) await this.remove(name);
    }
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }
}
