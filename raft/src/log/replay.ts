import { InvariantError, type Logger } from "@rhea/common";
import type { HardState } from "../core/types.js";
import { viewOf } from "./byte-io.js";
import { boundDamage, isTorn, refuseLog, salvageFrame, type BadPlace } from "./damage.js";
import { MISSING } from "./entry-index.js";
import {
  findFrameHeaders,
  FORMAT_VERSION,
  FRAME_HEADER_BYTES,
  frameEnd,
  isPayloadIntact,
  readFrameHeader,
  type FrameBounds,
} from "./frame-codec.js";
import { checkRecord, type GroupTable } from "./group-records.js";
import type { GroupState } from "./group-state.js";
import {
  decodeState,
  entryIndexAt,
  entryTermAt,
  isSameGroupAndKind,
  KIND,
  recordBytesAt,
  recordGroupAt,
  recordKindAt,
} from "./record-codec.js";
import { unsupportedVersion, type GroupSummary } from "./segment-head.js";

/** A segment to replay. Its head is good and was given to {@link Replay.head}. */
export interface ReplaySegment {
  readonly sequence: number;
  readonly path: string;
  readonly salt: number;
  readonly headBytes: number;
  readonly bytes: Buffer;
  /** True for the newest segment: its end may be torn. */
  readonly mayBeTorn: boolean;
  readonly isSynced: boolean;
  readonly markedFrame: number;
}

/** Brings the groups to the state that the segments, given in order, tell. Synchronous; reads only what it is given. */
export class Replay {
  /** The sequence of the frame that is due. */
  nextFrame: number;
  /** Whether the newest frame so far is a clean close. */
  endsClean = false;
  readonly #table: GroupTable;
  readonly #logger: Logger;
  #view: DataView = new DataView(new ArrayBuffer(0));

  constructor(table: GroupTable, logger: Logger, nextFrame: number) {
    this.#table = table;
    this.#logger = logger;
    this.nextFrame = nextFrame;
  }

  /** Takes the table of a segment's head: as the state, from the oldest segment; as a check, from any later one. */
  head(groups: readonly GroupSummary[], path: string, isOldest: boolean): void {
    const listed = new Set<number>();
    for (const summary of groups) {
      listed.add(summary.groupId);
      if (isOldest) this.#table.restore(summary);
      else this.#reconcile(summary, path);
    }
    for (const group of this.#table.all()) {
      if (!listed.has(group.groupId))
        this.#condemn(group.groupId, `${path} offset 0: the segment's head does not know the group`);
    }
  }

  /** Replays a segment's frames. Returns the offset from which on it is to be cut, if its end is torn. */
  frames(segment: ReplaySegment): number | undefined {
    const { bytes, salt, path } = segment;
    this.#view = viewOf(bytes);
    const firstFrame = this.nextFrame;
    let offset = segment.headBytes;
    while (offset < bytes.length) {
      const header = readFrameHeader(bytes, this.#view, offset, salt);
      if (header !== undefined && header.version !== FORMAT_VERSION)
        throw unsupportedVersion(path, offset, header.version);
      if (header !== undefined && header.sequence !== this.nextFrame) {
        throw refuseLog(path, offset, `frame ${header.sequence} stands where ${this.nextFrame} was due`);
      }
      if (header !== undefined && isPayloadIntact(bytes, header, salt)) {
        this.#applyFrame(segment, header);
        offset = frameEnd(header);
        continue;
      }
      const later = findFrameHeaders(bytes, offset + 1, salt).filter((frame) => frame.sequence > this.nextFrame);
      const { isSynced, markedFrame } = segment;
      const sequence = this.nextFrame;
      const place: BadPlace = { segment: bytes, salt, path, offset, sequence, markedFrame, isSynced, later };
      const isAfterClose = this.endsClean && this.nextFrame > firstFrame;
      if (segment.mayBeTorn && !isAfterClose && isTorn(place)) {
        this.endsClean = false;
        return offset;
      }
      offset = this.#passDamage(segment, place);
    }
    return undefined;
  }

  /** Ends the replay: condemns groups with holes and takes back commits beyond the last index. */
  finish(): void {
    for (const group of this.#table.all()) {
      if (group.lifecycle.state !== "live") continue;
      const missing = group.firstMissing();
      if (missing !== undefined) {
        this.#condemn(
          group.groupId,
          `entry ${missing} of (${group.truncatedIndex}, ${group.lastIndex}] is in no segment`,
        );
        continue;
      }
      group.hardState = clampCommit(group.hardState, group.lastIndex);
    }
  }

  #passDamage(segment: ReplaySegment, place: BadPlace): number {
    const next = place.later[0];
    const end = next?.offset ?? segment.bytes.length;
    const damaged = boundDamage(place, end, next?.sequence);
    const frames = [...findFrameHeaders(segment.bytes, segment.headBytes, segment.salt), ...damaged];
    for (const frame of damaged) {
      const { records, lostGroups } = salvageFrame(place, frame, frames);
      const where = `${segment.path} offset ${frame.offset}: frame ${frame.sequence} is damaged`;
      this.#logger.log("error", `${where}: ${records.length} records are good, ${lostGroups.length} groups lost some`, {
        lostGroups: lostGroups.slice(0, 20),
      });
      for (const groupId of lostGroups)
        if (groupId !== 0) this.#condemn(groupId, `${where} and a record of the group in it is lost`);
      this.endsClean = false;
      for (const offset of records) this.#applyRecord(segment, offset);
      this.nextFrame = frame.sequence + 1;
    }
    return end;
  }

  #applyFrame(segment: ReplaySegment, frame: FrameBounds): void {
    this.endsClean = false;
    const end = frame.offset + FRAME_HEADER_BYTES + frame.recordBytes;
    let offset = frame.offset + FRAME_HEADER_BYTES;
    while (offset < end) {
      const afterRun = this.#applyRun(segment, offset, end);
      offset = afterRun === offset ? offset + this.#applyRecord(segment, offset) : afterRun;
    }
    this.nextFrame = frame.sequence + 1;
  }

  /**
   * Takes entries of one group that continue its log, one record behind the other: nearly all that a log holds, so this does what
   * {@link Replay.#applyEntry} does without an object, a lookup or a count per entry. Returns the offset behind them; `start` if there are none.
   */
  #applyRun(segment: ReplaySegment, start: number, end: number): number {
    const view = this.#view;
    if (recordKindAt(view, start) !== KIND.entry) return start;
    const group = this.#table.get(recordGroupAt(view, start));
    if (group === undefined || group.lifecycle.state !== "live") return start;
    const { index } = group;
    const { sequence } = segment;
    let due = index.last + 1;
    let offset = start;
    let entries = 0;
    while (offset < end && isSameGroupAndKind(view, start, offset) && entryIndexAt(view, offset) === due) {
      const length = recordBytesAt(view, offset);
      index.pushUncounted(entryTermAt(view, offset), sequence, offset, length);
      offset += length;
      due++;
      entries++;
    }
    if (entries > 0) index.countRun(sequence, entries, offset - start);
    return offset;
  }

  /** Applies the intact record at `offset` and returns its length. */
  #applyRecord(segment: ReplaySegment, offset: number): number {
    const kind = recordKindAt(this.#view, offset);
    const length = recordBytesAt(this.#view, offset);
    if (kind === KIND.cleanClose) {
      this.endsClean = true;
      return length;
    }
    const groupId = recordGroupAt(this.#view, offset);
    const group = this.#table.get(groupId);
    if (kind === KIND.entry || kind === KIND.rewrittenEntry) {
      if (group === undefined || group.lifecycle.state !== "live") this.#refuseEntry(segment, offset, groupId);
      else if (kind === KIND.entry) this.#applyEntry(segment, offset, length, group);
      else this.#applyRewritten(segment, offset, length, group);
      return length;
    }
    try {
      const { record, condemnedPeer } = decodeState(segment.bytes, offset);
      if (group?.lifecycle.state === "condemned" && record.kind !== "destroyed") return length;
      checkRecord(group, record);
      this.#table.apply(record, condemnedPeer);
    } catch (error) {
      // RangeError: the body is shorter than its kind needs.
      if (!(error instanceof InvariantError || error instanceof RangeError)) throw error;
      this.#condemn(groupId, `${segment.path} offset ${offset}: ${error.message}`);
    }
    return length;
  }

  #applyEntry(segment: ReplaySegment, offset: number, length: number, group: GroupState): void {
    const index = entryIndexAt(this.#view, offset);
    if (index <= group.truncatedIndex) {
      this.#condemn(
        group.groupId,
        `${segment.path} offset ${offset}: entry ${index} comes after the log was truncated at ${group.truncatedIndex}`,
      );
      return;
    }
    group.index.dropFrom(index);
    while (group.index.last + 1 < index) group.index.push(0, MISSING, 0, 0);
    group.index.push(entryTermAt(this.#view, offset), segment.sequence, offset, length);
  }

  #applyRewritten(segment: ReplaySegment, offset: number, length: number, group: GroupState): void {
    const index = entryIndexAt(this.#view, offset);
    if (index < group.index.first || index > group.index.last) return;
    group.index.replace(index, entryTermAt(this.#view, offset), segment.sequence, offset, length);
  }

  #refuseEntry(segment: ReplaySegment, offset: number, groupId: number): void {
    this.#condemn(groupId, `${segment.path} offset ${offset}: an entry of a group that does not exist at this place`);
  }

  #reconcile(summary: GroupSummary, path: string): void {
    const { groupId, lifecycle } = summary;
    const group = this.#table.get(groupId);
    if (lifecycle.state !== "live") {
      // The head was written when more was readable: a tombstone or a condemnation in it stands.
      const isSame = group?.lifecycle.state === lifecycle.state && group.lifecycle.peerId === lifecycle.peerId;
      if (!isSame) this.#table.restore(summary);
      return;
    }
    if (group?.lifecycle.state === "condemned") {
      group.lifecycle = { ...group.lifecycle, peerId: lifecycle.peerId };
      return;
    }
    const difference = group === undefined ? "the group is unknown before it" : differenceOf(group, summary);
    if (group === undefined || difference !== undefined) {
      this.#condemn(
        groupId,
        `${path} offset 0: the segment's head differs from the log before it: ${String(difference)}`,
        lifecycle.peerId,
      );
      return;
    }
    group.hardState = summary.hardState;
  }

  #condemn(groupId: number, reason: string, peerId = 0): void {
    const group = this.#table.get(groupId);
    if (group?.lifecycle.state === "condemned") return;
    const peer = peerId === 0 ? (group?.lifecycle.peerId ?? 0) : peerId;
    const text = `${reason}: remove peer ${peer} of group ${groupId} and add a new one`;
    this.#table.condemn(groupId, text, peer);
    this.#logger.log("error", `group ${groupId} is condemned: ${text}`, { groupId });
  }
}

function differenceOf(group: GroupState, summary: GroupSummary): string | undefined {
  const { lifecycle, hardState } = group;
  const pairs: readonly (readonly [string, number, number])[] = [
    ["peer", lifecycle.peerId, summary.lifecycle.peerId],
    ["term", hardState.term, summary.hardState.term],
    ["vote", hardState.vote, summary.hardState.vote],
    ["truncated index", group.truncatedIndex, summary.truncatedIndex],
    ["last index", group.lastIndex, summary.lastIndex],
  ];
  if (lifecycle.state !== "live") return `the group is ${lifecycle.state}`;
  const wrong = pairs.find(([, replayed, told]) => replayed !== told);
  return wrong === undefined ? undefined : `${wrong[0]} ${wrong[1]} was replayed, it says ${wrong[2]}`;
}

/** A frame with entries may be torn while the frame before it, with a commit that counts on them, is not. */
function clampCommit(hardState: HardState, lastIndex: number): HardState {
  return hardState.commit <= lastIndex ? hardState : { ...hardState, commit: lastIndex };
}
