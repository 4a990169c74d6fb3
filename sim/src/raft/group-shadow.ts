/** What one store's log must hold: an own, simple account of the records that the host wrote, to compare with what recovery finds. */
import type { GroupLog, LogRecord, RaftLog } from "@rhea/raft";

/** One group's part, as plain as it can be. */
export interface GroupShadow {
  state: "live" | "destroyed" | "condemned";
  peerId: number;
  term: number;
  vote: number;
  truncatedIndex: number;
  /** Terms of the entries after the truncation point. */
  terms: number[];
  isInstalling: boolean;
}

/** Groups by id. */
export type ShadowTable = Map<number, GroupShadow>;

/** Returns the last index of a shadow's log. */
export function lastIndexOf(shadow: GroupShadow): number {
  return shadow.truncatedIndex + shadow.terms.length;
}

/** Does to a table what a record does to a log. */
export function applyRecord(table: ShadowTable, record: LogRecord): void {
  const shadow = table.get(record.groupId) ?? fresh();
  table.set(record.groupId, shadow);
  switch (record.kind) {
    case "created":
      Object.assign(shadow, fresh(), { peerId: record.peerId, truncatedIndex: record.index });
      break;
    case "entries": {
      const first = record.entries[0];
      if (first === undefined) break;
      shadow.terms.length = first.index - shadow.truncatedIndex - 1;
      for (const entry of record.entries) shadow.terms.push(entry.term);
      break;
    }
    case "hardState":
      shadow.term = record.hardState.term;
      shadow.vote = record.hardState.vote;
      break;
    case "truncate":
      if (record.index <= shadow.truncatedIndex) break;
      shadow.terms.splice(0, record.index - shadow.truncatedIndex);
      shadow.truncatedIndex = record.index;
      break;
    case "install":
      shadow.truncatedIndex = record.index;
      shadow.terms = [];
      shadow.isInstalling = true;
      break;
    case "installed":
      shadow.isInstalling = false;
      break;
    case "destroyed":
      Object.assign(shadow, fresh(), { state: "destroyed", peerId: record.peerId });
      break;
    case "condemned":
      shadow.state = "condemned";
      break;
  }
}

/** Copies a table. */
export function copyTable(table: ShadowTable): ShadowTable {
  return new Map([...table].map(([groupId, shadow]) => [groupId, { ...shadow, terms: [...shadow.terms] }]));
}

/** Reads a table off an open log. */
export function readTable(log: RaftLog): ShadowTable {
  const table: ShadowTable = new Map();
  for (const group of log.groups()) {
    const { lifecycle, hardState, truncatedIndex, lastIndex, pendingInstall } = group;
    const terms: number[] = [];
    if (lifecycle.state === "live") for (let i = truncatedIndex + 1; i <= lastIndex; i++) terms.push(group.term(i));
    const { state, peerId } = lifecycle;
    const isInstalling = pendingInstall !== undefined;
    table.set(group.groupId, { ...hardState, state, peerId, truncatedIndex, terms, isInstalling });
  }
  return table;
}

/** Says how a recovered log differs from a table; undefined if it does not. With `mayCondemn` it may have given groups up. */
export function differenceOf(table: ShadowTable, log: RaftLog, mayCondemn: boolean): string | undefined {
  for (const group of log.groups()) {
    if (mayCondemn && group.lifecycle.state === "condemned") continue;
    const shadow = table.get(group.groupId);
    if (shadow === undefined) return `group ${group.groupId} was never written`;
    const what = differenceOfGroup(shadow, group);
    if (what !== undefined) return `group ${group.groupId}: ${what}`;
  }
  for (const [groupId] of table) if (log.group(groupId) === undefined) return `group ${groupId} is gone`;
  return undefined;
}

function differenceOfGroup(shadow: GroupShadow, group: GroupLog): string | undefined {
  const { lifecycle, hardState, truncatedIndex, lastIndex, pendingInstall } = group;
  if (lifecycle.state !== shadow.state) return `it is ${lifecycle.state}, not ${shadow.state}`;
  if (lifecycle.peerId !== shadow.peerId) return `it is peer ${lifecycle.peerId}, not ${shadow.peerId}`;
  if (shadow.state !== "live") return undefined;
  const { term, vote } = hardState;
  if (term !== shadow.term || vote !== shadow.vote)
    return `term ${term}, vote ${vote}, not ${shadow.term}, ${shadow.vote}`;
  if (truncatedIndex !== shadow.truncatedIndex || lastIndex !== lastIndexOf(shadow))
    return `entries (${truncatedIndex}, ${lastIndex}], not (${shadow.truncatedIndex}, ${lastIndexOf(shadow)}]`;
  for (const [i, expected] of shadow.terms.entries()) {
    const found = group.term(truncatedIndex + 1 + i);
    if (found !== expected) return `entry ${truncatedIndex + 1 + i} has term ${found}, not ${expected}`;
  }
  if ((pendingInstall !== undefined) !== shadow.isInstalling) return "the pending install differs";
  return undefined;
}

function fresh(): GroupShadow {
  return { state: "live", peerId: 0, term: 0, vote: 0, truncatedIndex: 0, terms: [], isInstalling: false };
}
