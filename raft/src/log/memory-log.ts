import { RheaError } from "@rhea/common";
import { StorageCompactedError, StorageUnavailableError } from "../core/errors.js";
import type { Entry, HardState } from "../core/types.js";
import type { GroupLifecycle, GroupLog, LogRecord, LogStats, PendingInstall, RaftLog } from "./api.js";
import { checkRecord } from "./group-records.js";

/** What term, index and length add to an entry's data in the core's size limits, at most. */
const ENTRY_SIZE_MARGIN_BYTES = 26;

const ZERO_HARD_STATE: HardState = { term: 0, vote: 0, commit: 0 };

/** How to open a log in memory. */
export interface MemoryLogOptions {
  /** A log that {@link openMemoryLog} made: this one goes on with its contents, as after a restart. It takes no more appends. */
  readonly earlier?: RaftLog;
  /** As in `LogOptions`; default 0. */
  readonly incarnation?: number;
}

/**
 * Opens a log that lives in memory only, for tests, simulations and groups whose loss does not matter: a peer whose process ends must come back
 * under a new peer id, because it has forgotten its votes. Appends resolve in order after the running callback; nothing is ever durable (`stats().isSync` is false).
 * @throws RheaError INVALID_ARGUMENT when `earlier` is no log in memory.
 */
export function openMemoryLog(options: MemoryLogOptions = {}): RaftLog {
  const { earlier, incarnation = 0 } = options;
  if (earlier === undefined) return new MemoryLog(incarnation, 0, true, []);
  if (!(earlier instanceof MemoryLog)) {
    throw new RheaError("INVALID_ARGUMENT", "openMemoryLog: earlier must be a log that openMemoryLog made");
  }
  return earlier.succeed(incarnation);
}

class MemoryGroup implements GroupLog {
  readonly groupId: number;
  lifecycle: GroupLifecycle = { state: "live", peerId: 0 };
  hardState: HardState = ZERO_HARD_STATE;
  pendingInstall: PendingInstall | undefined;
  truncatedIndex = 0;
  truncatedTerm = 0;
  liveBytes = 0;
  /** The entry of index i stands at i - truncatedIndex - 1. */
  #entries: Entry[] = [];

  constructor(groupId: number) {
    this.groupId = groupId;
  }

  get lastIndex(): number {
    return this.truncatedIndex + this.#entries.length;
  }

  term(index: number): number {
    if (index === this.truncatedIndex) return this.truncatedTerm;
    this.#checkRange(index, index);
    return this.#entries[index - this.truncatedIndex - 1]?.term ?? 0;
  }

  entries(lo: number, hi: number, maxBytes: number): Entry[] {
    if (hi <= lo) return [];
    this.#checkRange(lo, hi - 1);
    const found: Entry[] = [];
    let budget = maxBytes;
    for (const entry of this.#entries.slice(lo - this.truncatedIndex - 1, hi - this.truncatedIndex - 1)) {
      budget -= entry.data.length + ENTRY_SIZE_MARGIN_BYTES;
      if (budget < 0 && found.length > 0) break;
      found.push(entry);
    }
    return found;
  }

  /** Does what a record says; it has been checked. */
  apply(record: LogRecord): void {
    switch (record.kind) {
      case "created":
        this.lifecycle = { state: "live", peerId: record.peerId };
        this.hardState = ZERO_HARD_STATE;
        this.pendingInstall = undefined;
        this.#restartAfter(record.index, record.term);
        break;
      case "entries":
        this.#put(record.entries);
        break;
      case "hardState":
        this.hardState = record.hardState;
        break;
      case "truncate":
        if (record.index > this.truncatedIndex) this.#truncate(record.index, record.term);
        break;
      case "install": {
        const { file, index, term, confState } = record;
        this.pendingInstall = { file, index, term, confState };
        this.#restartAfter(index, term);
        break;
      }
      case "installed":
        this.pendingInstall = undefined;
        break;
      case "destroyed":
        this.#destroy(record);
        break;
      case "condemned":
        if (this.lifecycle.state === "condemned") break;
        this.lifecycle = { state: "condemned", peerId: this.lifecycle.peerId, reason: record.reason };
        this.#restartAfter(this.lastIndex, 0);
        break;
    }
  }

  /** An independent copy, as the next process finds it. */
  copy(): MemoryGroup {
    const copy = new MemoryGroup(this.groupId);
    copy.lifecycle = this.lifecycle;
    const { term, vote, commit } = this.hardState;
    copy.hardState = { term, vote, commit: Math.min(commit, this.lastIndex) };
    copy.pendingInstall = this.pendingInstall;
    copy.truncatedIndex = this.truncatedIndex;
    copy.truncatedTerm = this.truncatedTerm;
    copy.liveBytes = this.liveBytes;
    copy.#entries = [...this.#entries];
    return copy;
  }

  #put(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const kept = first.index - this.truncatedIndex - 1;
    this.liveBytes -= sizeOf(this.#entries.splice(kept));
    this.#entries.push(...entries);
    this.liveBytes += sizeOf(entries);
  }

  #truncate(index: number, term: number): void {
    this.liveBytes -= sizeOf(this.#entries.splice(0, index - this.truncatedIndex));
    this.truncatedIndex = index;
    this.truncatedTerm = term;
  }

  #restartAfter(index: number, term: number): void {
    this.#entries = [];
    this.liveBytes = 0;
    this.truncatedIndex = index;
    this.truncatedTerm = term;
  }

  #destroy({ peerId, confVer, version }: Extract<LogRecord, { kind: "destroyed" }>): void {
    if (this.lifecycle.state === "destroyed" && this.lifecycle.peerId > peerId) return;
    this.lifecycle = { state: "destroyed", peerId, confVer, version };
    this.hardState = ZERO_HARD_STATE;
    this.pendingInstall = undefined;
    this.#restartAfter(0, 0);
  }

  #checkRange(lo: number, hi: number): void {
    if (lo <= this.truncatedIndex) throw new StorageCompactedError(lo, this.truncatedIndex + 1);
    if (hi > this.lastIndex) throw new StorageUnavailableError(hi, this.lastIndex);
  }
}

function sizeOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { data }) => sum + data.length, 0);
}

class MemoryLog implements RaftLog {
  readonly wasClosedCleanly: boolean;
  readonly newestIncarnation: number;
  readonly #incarnation: number;
  readonly #groups = new Map<number, MemoryGroup>();
  #appends = 0;
  #state: "open" | "closed" | "succeeded" = "open";
  #newest: Promise<void> = Promise.resolve();

  constructor(
    incarnation: number,
    newestIncarnation: number,
    wasClosedCleanly: boolean,
    groups: Iterable<MemoryGroup>,
  ) {
    this.#incarnation = incarnation;
    this.newestIncarnation = newestIncarnation;
    this.wasClosedCleanly = wasClosedCleanly;
    for (const group of groups) this.#groups.set(group.groupId, group.copy());
  }

  groups(): Iterable<GroupLog> {
    return this.#groups.values();
  }

  group(groupId: number): GroupLog | undefined {
    return this.#groups.get(groupId);
  }

  append(records: readonly LogRecord[]): Promise<void> {
    if (this.#state !== "open")
      return Promise.reject(new RheaError("SHUTTING_DOWN", "the log is closing: nothing can be appended"));
    this.#appends++;
    try {
      for (const record of records) {
        const known = this.#groups.get(record.groupId);
        checkRecord(known, record);
        const group = known ?? new MemoryGroup(record.groupId);
        group.apply(record);
        this.#groups.set(record.groupId, group);
      }
    } catch (error) {
      return Promise.reject(RheaError.from(error));
    }
    this.#newest = this.#newest.then(() => undefined);
    return this.#newest;
  }

  stats(): LogStats {
    let liveBytes = 0;
    for (const group of this.#groups.values()) liveBytes += group.liveBytes;
    return {
      ...{ segments: 0, fileBytes: 0, liveBytes, deadBytes: 0 },
      ...{ appends: this.#appends, syncs: 0, syncSeconds: 0, oldestPendingMs: 0 },
      ...{ removedSegments: 0, rewrittenBytes: 0, isSync: false },
    };
  }

  async close(): Promise<void> {
    if (this.#state === "open") this.#state = "closed";
    await this.#newest;
  }

  /** Ends this log where it stands and begins the next process's. */
  succeed(incarnation: number): MemoryLog {
    const wasClosedCleanly = this.#state === "closed";
    this.#state = "succeeded";
    const newest = this.#appends > 0 ? Math.max(this.newestIncarnation, this.#incarnation) : this.newestIncarnation;
    return new MemoryLog(incarnation, newest, wasClosedCleanly, this.#groups.values());
  }
}
