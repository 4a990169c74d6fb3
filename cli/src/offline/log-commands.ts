/** `rheactl offline log verify` and `dump`. */
import type { Writable } from "node:stream";
import { RheaError } from "@rhea/common";
import { nodeDisk } from "@rhea/common/env-node";
import { inspectLog, readLog, type LogInspection, type ReadItem, type ReadRecord } from "@rhea/raft/offline";
import { bytesText, renderTable, write, type OutputFormat } from "../output.js";
import { withStoppedLog, type StoppedLog } from "./stopped-log.js";

/** What these commands print to, and how. */
export interface OfflineContext {
  readonly stdout: Writable;
  readonly output: OutputFormat;
}

/** Options of both. */
export interface LogOptions {
  /** Where the log is, if it is not in the store's directory. */
  readonly logDir?: string | undefined;
}

interface SegmentCount {
  readonly path: string;
  readonly bytes: number;
  readonly head: string;
  readonly isSynced: boolean;
  frames: number;
  damagedFrames: number;
  unreadableBytes: number;
  readonly groups: Set<number>;
}

/**
 * `offline log verify DIR`: what stands in each segment, and what an open would do with it.
 * @throws RheaError CORRUPTION when an open would refuse the store or a group; LOCKED, NOT_FOUND.
 */
export async function logVerify(context: OfflineContext, directory: string, options: LogOptions): Promise<void> {
  await withStoppedLog(directory, options.logDir, async (log) => {
    const segments = await countSegments(log.directory);
    const inspection = await inspectLog(nodeDisk, log.directory);
    const { findings, refusal, groups, wasClosedCleanly } = inspection;
    const condemned = groups.flatMap(({ groupId, lifecycle }) =>
      lifecycle.state === "condemned" ? [{ groupId, peerId: lifecycle.peerId, reason: lifecycle.reason }] : [],
    );
    if (context.output === "json") {
      const json = {
        directory: log.directory,
        segments: segments.map(({ groups: each, ...rest }) => ({ ...rest, groups: each.size })),
        wasClosedCleanly,
        groups: groups.length,
        findings,
        condemned,
        refusal: refusal === undefined ? null : { code: refusal.code, message: refusal.message, ...refusal.details },
      };
      await write(context.stdout, `${JSON.stringify(json)}\n`);
    } else await write(context.stdout, verdictText(log, segments, inspection));
    if (refusal !== undefined) throw refusal;
    if (condemned.length > 0) {
      const list = condemned.map(({ groupId, reason }) => `group ${groupId}: ${reason}`).join("\n");
      throw new RheaError("CORRUPTION", `${condemned.length} groups are refused: ${list}`);
    }
  });
}

async function countSegments(directory: string): Promise<SegmentCount[]> {
  const segments: SegmentCount[] = [];
  for await (const item of readLog(nodeDisk, directory)) {
    if (item.item === "segment") {
      const { path, bytes, head, isSynced = true } = item;
      segments.push({
        path,
        bytes,
        head,
        isSynced,
        frames: 0,
        damagedFrames: 0,
        unreadableBytes: 0,
        groups: new Set(),
      });
      continue;
    }
    const segment = segments.at(-1);
    if (segment === undefined) continue;
    if (item.item === "gap") {
      segment.unreadableBytes += item.bytes;
      continue;
    }
    segment.frames++;
    if (!item.isIntact) segment.damagedFrames++;
    for (const { groupId } of item.groups ?? []) if (groupId !== 0) segment.groups.add(groupId);
  }
  return segments;
}

function verdictText(log: StoppedLog, segments: readonly SegmentCount[], inspection: LogInspection): string {
  const rows = segments.map((segment) => [
    segment.path,
    bytesText(segment.bytes),
    segment.frames,
    segment.damagedFrames,
    segment.unreadableBytes,
    segment.groups.size,
    segment.head === "good" ? (segment.isSynced ? "" : "not synced frame by frame") : `head is ${segment.head}`,
  ]);
  const table = renderTable(["SEGMENT", "SIZE", "FRAMES", "DAMAGED", "UNREADABLE", "GROUPS", "NOTE"], rows);
  const { refusal, groups, findings, wasClosedCleanly } = inspection;
  const live = groups.filter(({ lifecycle }) => lifecycle.state === "live").length;
  const lines = [
    ...findings.map(({ level, message }) => `${level === "warn" ? "open would" : "damage"}: ${message}`),
    refusal === undefined
      ? `An open would go on with ${live} of ${groups.length} groups; the log was ${wasClosedCleanly ? "closed in order" : "not closed"}.`
      : "An open would refuse the store.",
    ...(log.isLocked ? [] : ["No lock was found: make sure that no process has this log open."]),
  ];
  return `${table}${lines.join("\n")}\n`;
}

/** Options of {@link logDump}. */
export interface LogDumpOptions extends LogOptions {
  readonly group?: number | undefined;
  /** Indexes of entries, both inclusive. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

/**
 * `offline log dump DIR`: every frame and record, or those of one group; `from` and `to` leave out other entries. JSON: one document per line.
 * @throws RheaError CORRUPTION, after everything that can be read, when something could not; LOCKED, NOT_FOUND.
 */
export async function logDump(context: OfflineContext, directory: string, options: LogDumpOptions): Promise<void> {
  await withStoppedLog(directory, options.logDir, async (log) => {
    let damage: string | undefined;
    for await (const item of readLog(nodeDisk, log.directory)) {
      damage ??= damageOf(item);
      const wanted = item.item === "frame" ? item.records.filter((record) => isWanted(record, options)) : [];
      const isFiltered = options.group !== undefined || options.from !== undefined || options.to !== undefined;
      if (item.item === "frame" && isFiltered && wanted.length === 0) continue;
      const text = context.output === "json" ? jsonLines(item, wanted) : textLines(item, wanted);
      await write(context.stdout, text);
    }
    if (damage !== undefined) {
      const hint = "see rheactl offline log verify for what an open would make of it";
      throw new RheaError("CORRUPTION", `${damage}: ${hint}`);
    }
  });
}

/** A torn end is a gap too: only `verify` can tell it from damage. */
function damageOf(item: ReadItem): string | undefined {
  switch (item.item) {
    case "segment":
      return item.head === "good" ? undefined : `${item.path} offset 0: the head of the segment is damaged`;
    case "gap":
      return `${item.path} offset ${item.offset}: ${item.bytes} bytes hold no readable frame`;
    case "frame":
      return item.isIntact ? undefined : `${item.path} offset ${item.offset}: frame ${item.sequence} is damaged`;
  }
}

function isWanted({ groupId, entry }: ReadRecord, { group, from, to }: LogDumpOptions): boolean {
  if (group !== undefined && groupId !== group) return false;
  if (entry === undefined) return true;
  return entry.index >= (from ?? 0) && entry.index <= (to ?? Infinity);
}

function jsonLines(item: ReadItem, records: readonly ReadRecord[]): string {
  if (item.item !== "frame") return `${JSON.stringify(item)}\n`;
  return `${JSON.stringify({ ...item, groups: item.groups ?? null, records })}\n`;
}

function textLines(item: ReadItem, records: readonly ReadRecord[]): string {
  switch (item.item) {
    case "segment": {
      const groups = item.groups === undefined ? `head is ${item.head}` : `${item.groups} groups in its head`;
      return `${item.path}: ${item.bytes} bytes, ${groups}\n`;
    }
    case "gap":
      return `  ${item.offset}: ${item.bytes} bytes hold no readable frame\n`;
    case "frame": {
      const { offset, sequence, durable, isIntact, bytes } = item;
      const state = isIntact ? "" : ", DAMAGED";
      const frame = `  ${offset}: frame ${sequence}, ${bytes} bytes, durable ${durable}${state}\n`;
      return frame + records.map((record) => `    ${recordText(record)}\n`).join("");
    }
  }
}

function recordText({ offset, groupId, kind, bytes, entry, state }: ReadRecord): string {
  const place = `${offset}: `;
  if (entry !== undefined) {
    const type = entry.type === "normal" ? "" : ` ${entry.type}`;
    return `${place}group ${groupId} ${kind} ${entry.index} term ${entry.term}${type}, ${entry.dataBytes} bytes of data`;
  }
  if (kind === "damaged") return `${place}DAMAGED record of ${bytes} bytes`;
  if (state === undefined) return `${place}${kind}`;
  const { kind: _kind, groupId: _group, ...fields } = state;
  return `${place}group ${groupId} ${kind} ${JSON.stringify(fields)}`;
}
