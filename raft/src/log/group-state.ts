import { invariant, RheaError } from "@rhea/common";
import { StorageCompactedError, StorageUnavailableError } from "../core/errors.js";
import type { Entry, HardState } from "../core/types.js";
import type { GroupLifecycle, GroupLog, PendingInstall } from "./api.js";
import { CachedTail } from "./entry-cache.js";
import { EntryIndex, MISSING } from "./entry-index.js";
import { decodeEntry, ENTRY_OVERHEAD_BYTES } from "./record-codec.js";
import type { SegmentSet } from "./segment-set.js";
import type { GroupSummary } from "./segment-head.js";

/** Reads bytes of segments, from frames that are still in memory or from the files. */
export interface SegmentReader {
  readSync(segment: number, offset: number, length: number): Buffer;
}

/** What a group's state needs from the log around it. */
export interface GroupContext {
  readonly segments: SegmentSet;
  readonly reader: SegmentReader;
}

const ZERO_HARD_STATE: HardState = { term: 0, vote: 0, commit: 0 };

/** What term, index and length add to an entry's data in the core's size limits, at most. */
const ENTRY_SIZE_MARGIN_BYTES = 26;

/** Entries of one group that are at most this far apart in a file are read at once. Bytes. */
const READ_GAP_BYTES = 4096;

/** Most bytes read from a file at once. */
const READ_RUN_BYTES = 1024 * 1024;

/** One group's log in memory. `group-records.ts` changes it; everybody else only reads. */
export class GroupState implements GroupLog {
  readonly groupId: number;
  readonly index: EntryIndex;
  readonly tail: CachedTail = new CachedTail();
  lifecycle: GroupLifecycle;
  hardState: HardState = ZERO_HARD_STATE;
  pendingInstall: PendingInstall | undefined;
  truncatedIndex = 0;
  truncatedTerm = 0;
  /** The frame in which the group was last listed, and its place in that list: makes counting free of maps. */
  listedInFrame = 0;
  listSlot = 0;
  readonly #context: GroupContext;

  constructor(groupId: number, lifecycle: GroupLifecycle, context: GroupContext) {
    this.groupId = groupId;
    this.lifecycle = lifecycle;
    this.#context = context;
    this.index = new EntryIndex(context.segments, 1);
  }

  get lastIndex(): number {
    return this.index.last;
  }

  get liveBytes(): number {
    return this.index.liveBytes;
  }

  term(index: number): number {
    if (index === this.truncatedIndex) return this.truncatedTerm;
    this.#checkRange(index, index);
    return this.index.term(index);
  }

  entries(lo: number, hi: number, maxBytes: number): Entry[] {
    if (hi <= lo) return [];
    this.#checkRange(lo, hi - 1);
    const found: Entry[] = [];
    let budget = maxBytes;
    let next = lo;
    while (next < hi) {
      const cost = this.index.length(next) - ENTRY_OVERHEAD_BYTES + ENTRY_SIZE_MARGIN_BYTES;
      if (cost > budget && next > lo) break;
      const cached = this.tail.get(next);
      if (cached === undefined) {
        const end = this.#readRunEnd(next, hi, budget);
        this.#readRun(next, end, found);
        for (; next < end; next++) budget -= this.index.length(next) - ENTRY_OVERHEAD_BYTES + ENTRY_SIZE_MARGIN_BYTES;
      } else {
        found.push(cached);
        budget -= cost;
        next++;
      }
    }
    return found;
  }

  /** Forgets all entries; the log goes on after `index`. */
  restartAfter(index: number, term: number): void {
    this.index.reset(index + 1);
    this.tail.clear();
    this.truncatedIndex = index;
    this.truncatedTerm = term;
  }

  /** What a segment head says about the group. */
  summary(): GroupSummary {
    const { groupId, lifecycle, hardState, truncatedIndex, truncatedTerm, lastIndex, pendingInstall } = this;
    return { groupId, lifecycle, hardState, truncatedIndex, truncatedTerm, lastIndex, pendingInstall };
  }

  /** First index of the live range whose bytes were not found; undefined if all are there. */
  firstMissing(): number | undefined {
    if (this.index.missing === 0) return undefined;
    for (let index = this.index.first; index <= this.index.last; index++) {
      if (this.index.segment(index) === MISSING) return index;
    }
    return undefined;
  }

  #checkRange(lo: number, hi: number): void {
    if (lo <= this.truncatedIndex) throw new StorageCompactedError(lo, this.truncatedIndex + 1);
    if (hi > this.lastIndex) throw new StorageUnavailableError(hi, this.lastIndex);
  }

  /** End of the run from `lo` on that is worth one read: in one segment, near each other, not cached, within the budget. */
  #readRunEnd(lo: number, hi: number, budget: number): number {
    const segment = this.index.segment(lo);
    const start = this.index.offset(lo);
    let end = start + this.index.length(lo);
    let bytes = this.index.length(lo);
    let next = lo + 1;
    for (; next < hi && this.tail.get(next) === undefined && this.index.segment(next) === segment; next++) {
      const offset = this.index.offset(next);
      bytes += this.index.length(next);
      if (offset < end || offset - end > READ_GAP_BYTES || offset - start > READ_RUN_BYTES) break;
      if (bytes > budget) break;
      end = offset + this.index.length(next);
    }
    return next;
  }

  #readRun(lo: number, end: number, found: Entry[]): void {
    const number = this.index.segment(lo);
    const segment = this.#context.segments.get(number);
    const start = this.index.offset(lo);
    const length = this.index.offset(end - 1) + this.index.length(end - 1) - start;
    const bytes = this.#context.reader.readSync(number, start, length);
    invariant(bytes.length <= length, `read ${bytes.length} bytes of ${segment.path}, asked for ${length}`);
    for (let index = lo; index < end; index++) {
      const at = this.index.offset(index) - start;
      const entry = decodeEntry(bytes.subarray(at, at + this.index.length(index)), segment.salt, this.groupId, index);
      if (entry === undefined) throw damagedEntry(this.groupId, index, segment.path, start + at);
      found.push(entry);
    }
  }
}

function damagedEntry(groupId: number, index: number, file: string, offset: number): RheaError {
  return new RheaError(
    "CORRUPTION",
    `${file} offset ${offset}: entry ${index} of group ${groupId} does not match its checksum: remove this peer of the group and add a new one`,
    { details: { file, offset, regionId: groupId } },
  );
}
