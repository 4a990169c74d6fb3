/**
 * The replicated state of raft worlds: lists that only grow, and a hash of everything applied. It keeps its own storage (one file per
 * group, replaced as a whole, some time behind), so that restarts replay the log and snapshots carry the state.
 */
import { crc32, InvariantError, readWholeFile, replaceFile, RheaError, type Disk } from "@rhea/common";
import type {
  CommittedConfChange,
  CommittedEntry,
  ConfState,
  PeerInfo,
  SavedSnapshot,
  SnapshotFiles,
  StateMachine,
} from "@rhea/raft";

/** Where the files of all groups are. */
const DATA_DIRECTORY = "/data";
const SNAPSHOT_FILE = "state";

/** Everything one replica has. */
export interface RegisterState {
  readonly peerId: number;
  applied: number;
  appliedTerm: number;
  hash: number;
  confState: ConfState;
  peers: readonly PeerInfo[];
  readonly lists: Record<string, string[]>;
}

/** What a machine tells and needs. */
export interface MachineSetting {
  readonly groupId: number;
  readonly disk: Disk;
  /** Virtual ms until a change is written; asked each time. */
  persistDelayMs(): number;
  /** Virtual ms that the next batch takes to apply; 0: at once. */
  applyDelayMs(): number;
  later(delayMs: number, run: () => void): void;
  /** The state after an index. */
  onState(index: number, hash: number): void;
  onMembers(confState: ConfState, peers: readonly PeerInfo[], index: number): void;
  /** Answers whoever proposed an entry here. */
  onAnswer(context: unknown): void;
  onDropped(context: unknown, error: RheaError): void;
  onSnapshotLoaded(): void;
  onError(error: RheaError): void;
  /** Its own storage failed: the process must stop. */
  onDiskFailed(error: unknown): void;
}

/** Makes the state that a replica begins with. */
export function emptyState(peerId: number, confState: ConfState, peers: readonly PeerInfo[]): RegisterState {
  return { peerId, applied: 0, appliedTerm: 0, hash: 0, confState, peers, lists: {} };
}

/** Reads what a group's replica had stored; undefined if nothing. @throws RheaError CORRUPTION when the file is damaged. */
export async function loadState(disk: Disk, groupId: number): Promise<RegisterState | undefined> {
  const path = `${DATA_DIRECTORY}/${nameOf(groupId)}`;
  if ((await disk.stat(path)) === undefined) return undefined;
  return decode(await readWholeFile(disk, path), path);
}

/** Removes what a destroyed replica had stored. */
export async function removeState(disk: Disk, groupId: number): Promise<void> {
  await disk.remove(`${DATA_DIRECTORY}/${nameOf(groupId)}`);
  await disk.syncDir(DATA_DIRECTORY);
}

/** Says byte for byte what a replica holds. */
export function fingerprint({ applied, hash, confState, lists }: RegisterState): string {
  return JSON.stringify([applied, hash, confState, lists]);
}

/** One replica. */
export class RegisterMachine implements StateMachine {
  state: RegisterState;
  readonly #setting: MachineSetting;
  #durable: number;
  #isDirty = false;
  #isPersisting = false;
  #isLoading = false;
  #isClosed = false;

  constructor(state: RegisterState, setting: MachineSetting) {
    this.state = state;
    this.#setting = setting;
    this.#durable = state.applied;
  }

  onApply(entries: readonly CommittedEntry[]): void | Promise<void> {
    const delayMs = this.#setting.applyDelayMs();
    if (delayMs === 0) {
      this.#apply(entries);
      return;
    }
    return new Promise((resolve, reject) => {
      this.#setting.later(delayMs, () => {
        try {
          this.#apply(entries);
          resolve();
        } catch (error) {
          reject(RheaError.from(error));
        }
      });
    });
  }

  /** Some changes are refused, by the index alone: all replicas agree. */
  onConfChange({ index, term, isLeavingJoint }: CommittedConfChange): boolean {
    const isAccepted = isLeavingJoint || index % 11 !== 0;
    if (!isAccepted) this.#advance(index, term, Buffer.from("refused"));
    else this.state.appliedTerm = term;
    return isAccepted;
  }

  onConfigurationCommitted(confState: ConfState, peers: readonly PeerInfo[], index: number): void {
    const { state } = this;
    Object.assign(state, { confState, peers });
    // After a snapshot the index is there already.
    if (index > state.applied) this.#advance(index, state.appliedTerm, Buffer.from(JSON.stringify(confState)));
    this.#setting.onMembers(confState, peers, index);
    this.#changed();
  }

  onDropped(context: unknown, error: RheaError): void {
    this.#setting.onDropped(context, error);
  }

  onError(error: RheaError): void {
    this.#setting.onError(error);
  }

  onShutdown(): void {
    this.#isClosed = true;
  }

  durableIndex(): number {
    return this.#durable;
  }

  async onSnapshotSave(directory: string): Promise<SavedSnapshot> {
    const { applied: index, appliedTerm: term, confState, peers } = this.state;
    const bytes = encode(this.state);
    const file = await this.#setting.disk.open(`${directory}/${SNAPSHOT_FILE}`, { create: true });
    await file.write(0, [bytes]);
    await file.close();
    return { index, term, confState, peers, names: [SNAPSHOT_FILE] };
  }

  async onSnapshotLoad(files: SnapshotFiles, snapshot: SavedSnapshot): Promise<void> {
    const path = `${files.directory}/${SNAPSHOT_FILE}`;
    const loaded = decode(await readWholeFile(this.#setting.disk, path), path);
    if (loaded.applied !== snapshot.index)
      throw new InvariantError(`a snapshot at ${snapshot.index} holds the state at ${loaded.applied}`);
    const { confState, peers, term } = snapshot;
    this.#isLoading = true;
    const state = { ...loaded, peerId: this.state.peerId, confState, peers, appliedTerm: term };
    await this.#write(encode(state));
    this.#isLoading = false;
    this.state = state;
    this.#durable = state.applied;
    this.#setting.onState(state.applied, state.hash);
    this.#setting.onSnapshotLoaded();
  }

  /** The list of a key, as it is here. */
  read(key: string): readonly string[] {
    return this.state.lists[key] ?? [];
  }

  #apply(entries: readonly CommittedEntry[]): void {
    for (const { index, term, data, context } of entries) {
      if (index !== this.state.applied + 1)
        throw new InvariantError(
          `group ${this.#setting.groupId} peer ${this.state.peerId} applies ${index} after ${this.state.applied}`,
        );
      if (data.length > 0) {
        const [key = "", item = ""] = Buffer.from(data).toString("latin1").split(" ", 2);
        (this.state.lists[key] ??= []).push(item);
      }
      this.#advance(index, term, data);
      if (context !== undefined) this.#setting.onAnswer(context);
    }
    this.#changed();
  }

  #advance(index: number, term: number, data: Uint8Array): void {
    const { state } = this;
    state.hash = (Math.imul(crc32(data, state.hash), 31) + index + term) >>> 0;
    state.applied = index;
    state.appliedTerm = term;
    this.#setting.onState(index, state.hash);
  }

  #changed(): void {
    this.#isDirty = true;
    this.#persistLater();
  }

  #persistLater(): void {
    if (this.#isPersisting || !this.#isDirty) return;
    this.#isPersisting = true;
    this.#setting.later(this.#setting.persistDelayMs(), () => {
      this.#persist().then(
        () => {
          this.#isPersisting = false;
          this.#persistLater();
        },
        (error: unknown) => {
          this.#setting.onDiskFailed(error);
        },
      );
    });
  }

  async #persist(): Promise<void> {
    if (this.#isClosed || this.#isLoading) return;
    this.#isDirty = false;
    const { applied } = this.state;
    await this.#write(encode(this.state));
    this.#durable = Math.max(this.#durable, applied);
  }

  /** Writes follow one another: a load waits for what is being written. */
  #writing: Promise<void> = Promise.resolve();

  #write(bytes: Buffer): Promise<void> {
    const { disk, groupId } = this.#setting;
    this.#writing = this.#writing.then(() => replaceFile(disk, DATA_DIRECTORY, nameOf(groupId), bytes));
    return this.#writing;
  }
}

function nameOf(groupId: number): string {
  return `group-${groupId}`;
}

function encode(state: RegisterState): Buffer {
  const body = Buffer.from(JSON.stringify(state));
  const head = Buffer.alloc(4);
  head.writeUInt32BE(crc32(body));
  return Buffer.concat([head, body]);
}

function decode(bytes: Buffer, path: string): RegisterState {
  if (bytes.length < 4 || bytes.readUInt32BE(0) !== crc32(bytes.subarray(4)))
    throw new RheaError("CORRUPTION", `${path}: checksum mismatch in ${bytes.length} bytes`);
  return JSON.parse(bytes.subarray(4).toString()) as RegisterState;
}
