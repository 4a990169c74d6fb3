import { invariant, InvariantError } from "@rhea/common";
import type { GroupLog, LogRecord } from "./api.js";
import { MISSING } from "./entry-index.js";
import { GroupState, type GroupContext } from "./group-state.js";
import type { StateRecord } from "./record-codec.js";
import type { GroupSummary } from "./segment-head.js";

/** Ids and terms are stored in 48 bits. */
const MAX_U48 = 2 ** 48 - 1;

const ZERO_HARD_STATE = { term: 0, vote: 0, commit: 0 };

/** All groups of a log, by id, and the one place where records change them: when appended and when replayed. */
export class GroupTable {
  readonly #groups = new Map<number, GroupState>();
  readonly #context: GroupContext;

  constructor(context: GroupContext) {
    this.#context = context;
  }

  get(groupId: number): GroupState | undefined {
    return this.#groups.get(groupId);
  }

  all(): IterableIterator<GroupState> {
    return this.#groups.values();
  }

  /** Applies a record that is no entry. It must have passed {@link checkRecord} when it was written. Returns its group. */
  apply(record: StateRecord, condemnedPeer = 0): GroupState {
    const group = this.#obtain(record.groupId);
    switch (record.kind) {
      case "created":
        group.lifecycle = { state: "live", peerId: record.peerId };
        group.hardState = ZERO_HARD_STATE;
        group.pendingInstall = undefined;
        group.restartAfter(record.index, record.term);
        break;
      case "hardState":
        group.hardState = record.hardState;
        break;
      case "truncate":
        truncate(group, record.index, record.term);
        break;
      case "install":
        group.pendingInstall = {
          file: record.file,
          index: record.index,
          term: record.term,
          confState: record.confState,
        };
        group.restartAfter(record.index, record.term);
        break;
      case "installed":
        group.pendingInstall = undefined;
        break;
      case "destroyed":
        destroy(group, record);
        break;
      case "condemned":
        this.condemn(record.groupId, record.reason, condemnedPeer);
        break;
    }
    return group;
  }

  /** Forbids a group to start; the first reason stays. Its entries are dropped so that they pin no segment. */
  condemn(groupId: number, reason: string, peerId = 0): void {
    const group = this.#obtain(groupId);
    if (group.lifecycle.state === "condemned") return;
    group.lifecycle = { state: "condemned", peerId: peerId === 0 ? group.lifecycle.peerId : peerId, reason };
    group.restartAfter(group.lastIndex, 0);
  }

  /** Takes a group over from a segment head; its entries count as missing until their records are met. */
  restore(summary: GroupSummary): void {
    const group = this.#obtain(summary.groupId);
    group.lifecycle = summary.lifecycle;
    group.hardState = summary.hardState;
    group.pendingInstall = summary.pendingInstall;
    group.restartAfter(summary.truncatedIndex, summary.truncatedTerm);
    for (let index = summary.truncatedIndex + 1; index <= summary.lastIndex; index++)
      group.index.push(0, MISSING, 0, 0);
  }

  #obtain(groupId: number): GroupState {
    const known = this.#groups.get(groupId);
    if (known !== undefined) return known;
    const added = new GroupState(groupId, { state: "live", peerId: 0 }, this.#context);
    this.#groups.set(groupId, added);
    return added;
  }
}

function truncate(group: GroupState, index: number, term: number): void {
  if (index <= group.truncatedIndex) return;
  group.index.dropThrough(index);
  group.tail.dropThrough(index);
  group.truncatedIndex = index;
  group.truncatedTerm = term;
}

function destroy(group: GroupState, record: Extract<LogRecord, { kind: "destroyed" }>): void {
  const isOlder = group.lifecycle.state === "destroyed" && group.lifecycle.peerId > record.peerId;
  if (isOlder) return;
  const { peerId, confVer, version } = record;
  group.lifecycle = { state: "destroyed", peerId, confVer, version };
  group.hardState = ZERO_HARD_STATE;
  group.pendingInstall = undefined;
  group.restartAfter(0, 0);
}

/** What a record is checked against. */
type GroupBounds = Pick<GroupLog, "lifecycle" | "truncatedIndex" | "lastIndex">;

/** Throws InvariantError unless `record` makes sense for its group as it is now. */
export function checkRecord(group: GroupBounds | undefined, record: LogRecord): void {
  const state = group?.lifecycle.state ?? "absent";
  const { groupId } = record;
  if (!Number.isSafeInteger(groupId) || groupId < 1 || groupId > MAX_U48)
    throw new InvariantError(`${nameOf(record)}: the group id must be a whole number in 1..${MAX_U48}`);
  // Nearly all records are of these two kinds: no message is built for them unless it is needed.
  if (state === "live" && record.kind === "hardState") return;
  if (group !== undefined && state === "live" && record.kind === "entries") {
    checkEntries(group, record);
    return;
  }
  const name = nameOf(record);
  if (record.kind === "destroyed") return;
  if (record.kind === "condemned") {
    invariant(state !== "destroyed", `${name}: the group is destroyed already`);
    return;
  }
  if (record.kind === "created") {
    const newest = group?.lifecycle.peerId ?? 0;
    const isFree = state === "absent" || (state === "destroyed" && record.peerId > newest);
    invariant(isFree, `${name}: peer ${record.peerId} cannot be created, peer ${newest} is ${state}`);
    return;
  }
  invariant(group !== undefined && state === "live", `${name}: the group is ${state}, not live`);
  if (record.kind === "truncate") {
    invariant(
      record.index <= group.lastIndex,
      `${name}: index ${record.index} is after the last index ${group.lastIndex}`,
    );
  }
}

function nameOf(record: LogRecord): string {
  return `log record ${record.kind} of group ${record.groupId}`;
}

function checkEntries(group: GroupBounds, record: Extract<LogRecord, { kind: "entries" }>): void {
  const first = record.entries[0];
  if (first === undefined) return;
  const { truncatedIndex, lastIndex } = group;
  if (first.index <= truncatedIndex || first.index > lastIndex + 1) {
    const range = `(${truncatedIndex}, ${lastIndex + 1}]`;
    throw new InvariantError(`${nameOf(record)}: first index ${first.index} does not fit ${range}`);
  }
  let due = first.index;
  for (const { index, term } of record.entries) {
    if (index !== due) throw new InvariantError(`${nameOf(record)}: index ${index} where ${due} was due`);
    if (term > MAX_U48) throw new InvariantError(`${nameOf(record)}: term ${term} is over ${MAX_U48}`);
    due++;
  }
}
