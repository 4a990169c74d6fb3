/**
 * A log under watch: passes everything on to the real one, judges what the host writes, and keeps an account over crashes of what was
 * promised durable. What recovery finds must be that, and of what was still on its way a prefix.
 */
import { InvariantError } from "@rhea/common";
import type { LogRecord, RaftLog } from "@rhea/raft";
import type { ConsensusChecker } from "./consensus-checker.js";
import { applyRecord, copyTable, differenceOf, lastIndexOf, readTable, type ShadowTable } from "./group-shadow.js";

/** The account of one store's disk. It outlives processes. */
export interface LogAccount {
  /**
   * Compares a log that was just opened with the account. On a disk that was damaged on purpose it may have condemned groups.
   * @throws InvariantError where something durable is missing and the log does not say so.
   */
  open(log: RaftLog, isDamaged: boolean): void;
  /** Wraps an opened log. `nodeOf` gives what the checks need of the running host; `onInstall` hears of installs that are durable. */
  watch(log: RaftLog, nodeOf: (groupId: number) => WatchedNode | undefined, onInstall: () => void): RaftLog;
  /** Judges an append response about to leave: what it acknowledges must be durable. */
  checkAck(groupId: number, peerId: number, term: number, index: number): void;
  /** Judges a vote about to leave. */
  checkVote(groupId: number, peerId: number, term: number, candidate: number): void;
}

/** What the checks look at in a running peer. */
export interface WatchedNode {
  readonly peerId: number;
  readonly isLeader: boolean;
  readonly applied: number;
}

interface Durable {
  /** Highest index that was durable in the present term. */
  highest: number;
  term: number;
  readonly votes: Map<number, number>;
}

/** Opens an account for an empty disk. */
export function createLogAccount(storeId: number, checker: ConsensusChecker): LogAccount {
  let durable: ShadowTable = new Map();
  let pending: (readonly LogRecord[])[] = [];
  let life = 0;
  const marks = new Map<string, Durable>();
  /** Indexes of membership changes in each group's log. */
  const changes = new Map<number, number[]>();

  const markOf = (groupId: number, peerId: number): Durable => {
    const key = `${groupId}/${peerId}`;
    let mark = marks.get(key);
    if (mark === undefined) marks.set(key, (mark = { highest: 0, term: 0, votes: new Map() }));
    return mark;
  };
  const note = (groupId: number): void => {
    const shadow = durable.get(groupId);
    if (shadow === undefined || shadow.state !== "live") return;
    const mark = markOf(groupId, shadow.peerId);
    const last = lastIndexOf(shadow);
    if (mark.term !== shadow.term) Object.assign(mark, { term: shadow.term, highest: last });
    else mark.highest = Math.max(mark.highest, last);
    if (shadow.vote !== 0) mark.votes.set(shadow.term, shadow.vote);
    checker.onDurable(groupId, shadow.peerId, shadow.term, shadow.vote);
  };
  const noteAll = (): void => {
    for (const groupId of durable.keys()) note(groupId);
  };

  const judgeEntries = (log: RaftLog, record: Extract<LogRecord, { kind: "entries" }>, node?: WatchedNode): void => {
    const { groupId, entries } = record;
    const group = log.group(groupId);
    const first = entries[0];
    if (group === undefined || first === undefined) return;
    const what = `group ${groupId} peer ${node?.peerId ?? 0}`;
    if (node?.isLeader === true && first.index <= group.lastIndex && checker.leads(groupId, node.peerId, first.term)) {
      throw new InvariantError(`leader append-only: ${what} replaces entries from ${first.index} on while it leads`);
    }
    checker.onAppend(groupId, group.term(first.index - 1), entries);
    const known = (changes.get(groupId) ?? []).filter((index) => index < first.index);
    for (const { index, type } of entries) {
      if (type === "normal") continue;
      const open = node?.isLeader === true ? known.filter((other) => other > node.applied) : [];
      if (open.length > 0)
        throw new InvariantError(`two changes at once: ${what} appends ${index} with ${open[0]} open`);
      known.push(index);
    }
    changes.set(groupId, known);
  };

  return {
    open(log, isDamaged) {
      life++;
      changes.clear();
      const candidate = copyTable(durable);
      const first = differenceOf(candidate, log, isDamaged);
      let difference = first;
      for (const records of pending) {
        if (difference === undefined) break;
        for (const record of records) applyRecord(candidate, record);
        difference = differenceOf(candidate, log, isDamaged);
      }
      if (difference !== undefined) {
        throw new InvariantError(
          `durability: store ${storeId}: its log is not what was promised durable (${first ?? ""}), nor that and a part of ${pending.length} unfinished writes (${difference})`,
        );
      }
      durable = isDamaged ? readTable(log) : candidate;
      pending = [];
      noteAll();
    },
    watch(log, nodeOf, onInstall) {
      const own = life;
      return {
        get wasClosedCleanly() {
          return log.wasClosedCleanly;
        },
        get newestIncarnation() {
          return log.newestIncarnation;
        },
        groups: () => log.groups(),
        group: (groupId) => log.group(groupId),
        stats: () => log.stats(),
        close: () => log.close(),
        append: (records) => {
          for (const record of records) {
            if (record.kind === "entries") judgeEntries(log, record, nodeOf(record.groupId));
            else if (record.kind === "created" || record.kind === "install") changes.delete(record.groupId);
          }
          const appended = log.append(records);
          pending.push(records);
          appended.then(
            () => {
              if (own !== life) return;
              for (const record of pending.shift() ?? []) {
                applyRecord(durable, record);
                note(record.groupId);
                if (record.kind === "install") onInstall();
              }
            },
            () => undefined,
          );
          return appended;
        },
      };
    },
    checkAck(groupId, peerId, term, index) {
      const mark = markOf(groupId, peerId);
      const { highest } = mark;
      // A later term that is durable makes what was said in an earlier one harmless: nothing of it can count any more.
      if (index <= highest || mark.term > term) return;
      throw new InvariantError(
        `durable before acknowledged: group ${groupId} peer ${peerId} acknowledges ${index}, ${highest} is durable`,
      );
    },
    checkVote(groupId, peerId, term, candidate) {
      const mark = markOf(groupId, peerId);
      const vote = mark.votes.get(term) ?? 0;
      if (vote === candidate || mark.term > term) return;
      throw new InvariantError(
        `durable before acknowledged: group ${groupId} peer ${peerId} votes for ${candidate} in term ${term}, durable is a vote for ${vote}`,
      );
    },
  };
}
