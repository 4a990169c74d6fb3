/** Reads of one region: one ReadIndex for all that came in a turn, then range and version are checked again and the state is read. */
import { RheaError, fromLatin1, isInRange, toLatin1 } from "@rhea/common";
import { ReadKind, type KeyValueInit, type Read, type ReadResultInit } from "@rhea/proto";
import { createPacer } from "../engine/pacer.js";
import type { TurnTask } from "../engine/turn-queue.js";
import type { Epoch } from "../format/descriptor.js";
import { DATA, SEQUENCES, namespaceRange } from "../format/keys.js";
import { decodeEnvelope } from "../format/value-envelope.js";
import { decodeSequence } from "./decide.js";
import { epochError, keyError, notLeaderError } from "./epoch-errors.js";
import { checkKey, checkRange } from "./limits.js";
import type { Region } from "./region.js";
import type { ReplySink } from "./reply-sink.js";

interface PendingRead {
  readonly id: number;
  readonly sink: ReplySink;
  readonly read: Read;
  readonly epoch: Epoch | undefined;
}

/** Rows asked of an iterator at a time. */
const SLICE_ROWS = 256;
/** Bytes that a multi-get may answer with. */
const MAX_MULTI_GET_BYTES = 12 << 20;

/** Reads that wait for the end of the turn. */
export class ReadQueue implements TurnTask {
  readonly #region: Region;
  #pending: PendingRead[] = [];

  constructor(region: Region) {
    this.#region = region;
  }

  /** Takes a read in; a stale one is served at once from what is applied here. */
  submit(pending: PendingRead): void {
    if (pending.read.stale) {
      serve(this.#region, pending);
      return;
    }
    this.#pending.push(pending);
    if (this.#pending.length === 1) this.#region.context.turns.schedule(this);
  }

  runTurn(): void {
    const all = this.#pending;
    this.#pending = [];
    const fail = (error: unknown): void => {
      const answer = RheaError.from(error);
      for (const { id, sink } of all) sink.error(id, answer);
    };
    try {
      this.#region
        .requireNode()
        .readIndex()
        .then(() => {
          for (const pending of all) serve(this.#region, pending);
        }, fail);
    } catch (error) {
      fail(error);
    }
  }

  /** Answers everything that waits. */
  failAll(error: RheaError): void {
    const all = this.#pending;
    this.#pending = [];
    for (const { id, sink } of all) sink.error(id, error);
  }
}

function serve(region: Region, pending: PendingRead): void {
  const { id, sink } = pending;
  const fail = (error: unknown): void => {
    const answer = RheaError.from(error);
    if (answer.code === "CORRUPTION") region.reportFault(answer);
    sink.error(id, answer);
  };
  if (region.exclusive !== undefined) {
    region.exclusive.then(() => serve(region, pending), fail);
    return;
  }
  try {
    const result = executeRead(region, pending.read, pending.epoch);
    if (result instanceof Promise) result.then((page) => sink.read(id, page), fail);
    else sink.read(id, result);
  } catch (error) {
    fail(error);
  }
}

function executeRead(region: Region, read: Read, epoch: Epoch | undefined): ReadResultInit | Promise<ReadResultInit> {
  if (region.state !== "live") {
    throw new RheaError(
      "REGION_NOT_FOUND",
      `region ${region.regionId} is not served by store ${region.context.storeId}`,
      {
        details: { regionId: region.regionId },
      },
    );
  }
  if (region.fault !== undefined) throw notLeaderError(region);
  if (region.isIncomplete) {
    const why = `store ${region.context.storeId} is putting a snapshot in the place of its data`;
    throw new RheaError("LEADER_NOT_AVAILABLE", `region ${region.regionId}: ${why}: ask another, or repeat later`, {
      details: { regionId: region.regionId },
    });
  }
  if (epoch !== undefined && epoch.version !== region.descriptor.epoch.version) {
    throw epochError(region, epoch, [toLatin1(read.key)]);
  }
  switch (read.kind) {
    case ReadKind.READ_GET: {
      const value = readValue(region, DATA, read.key);
      region.load.read(1, value?.length ?? 0);
      return { value: value ?? null, exists: value !== undefined };
    }
    case ReadKind.READ_CONTAINS_KEY:
      return { exists: readValue(region, DATA, read.key) !== undefined };
    case ReadKind.READ_MULTI_GET:
      return multiGet(region, read);
    case ReadKind.READ_LATEST_SEQUENCE: {
      const value = readValue(region, SEQUENCES, read.key);
      return { exists: value !== undefined, sequence: decodeSequence(value) };
    }
    case ReadKind.READ_SCAN:
    case ReadKind.READ_REVERSE_SCAN:
      return scan(region, read);
    case ReadKind.READ_NONE:
      break;
  }
  throw new RheaError("VERSION_UNSUPPORTED", `read kind ${read.kind} is not known to this store`);
}

/** Reads one value as applied here. Throws KEY_NOT_IN_REGION, CORRUPTION. */
export function readValue(region: Region, namespace: string, key: Uint8Array): Buffer | undefined {
  checkKey(key);
  const userKey = toLatin1(key);
  if (!isInRange(userKey, region.descriptor.start, region.descriptor.end)) throw keyError(region, userKey);
  const engineKey = namespace + userKey;
  const envelope = region.context.overlay.get(engineKey);
  return envelope === undefined ? undefined : decodeEnvelope(engineKey, envelope);
}

function multiGet(region: Region, read: Read): ReadResultInit {
  const entries: KeyValueInit[] = [];
  let bytes = 0;
  for (const key of read.keys) {
    const value = readValue(region, DATA, key);
    if (value === undefined) continue;
    bytes += value.length + key.length;
    if (bytes > MAX_MULTI_GET_BYTES) {
      throw new RheaError(
        "BATCH_TOO_LARGE",
        `multiGet: the values exceed ${MAX_MULTI_GET_BYTES} bytes: ask for fewer keys`,
      );
    }
    entries.push({ key, value: read.keysOnly ? new Uint8Array(0) : value });
  }
  region.load.read(read.keys.length, bytes);
  return { entries };
}

/** One page of [start, end) within the region, of one moment. */
async function scan(region: Region, read: Read): Promise<ReadResultInit> {
  checkRange(read.key, read.endKey);
  const { limits } = region.context;
  const page = await scanPage(region, {
    start: toLatin1(read.key),
    end: toLatin1(read.endKey),
    isReverse: read.kind === ReadKind.READ_REVERSE_SCAN,
    maxRows: read.limit === 0 ? limits.scanRows : Math.min(read.limit, limits.scanRows),
    maxBytes: limits.scanBytes,
    keysOnly: read.keysOnly,
  });
  return { entries: page.rows, more: page.more };
}

/** What a page holds at most, and of which range (Latin-1; cut to the region's). */
export interface PageRequest {
  readonly start: string;
  readonly end: string;
  readonly isReverse: boolean;
  readonly maxRows: number;
  readonly maxBytes: number;
  readonly keysOnly: boolean;
}

/** Reads a page as applied here at the moment of the call; steps aside while it is long. Throws KEY_NOT_IN_REGION, CORRUPTION. */
export async function scanPage(
  region: Region,
  request: PageRequest,
): Promise<{ rows: { key: Buffer; value: Buffer }[]; more: boolean }> {
  const { start, end } = cutToRegion(region, request);
  const iterator = region.context.overlay.iterate({ ...namespaceRange(DATA, start, end), reverse: request.isReverse });
  const { clock, scheduler } = region.context.env;
  const pace = createPacer(clock, scheduler);
  const rows: { key: Buffer; value: Buffer }[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const slice = await iterator.next(Math.min(request.maxRows - rows.length + 1, SLICE_ROWS));
      if (slice.length === 0) return { rows, more: false };
      for (const { key, value } of slice) {
        if (rows.length >= request.maxRows || (bytes >= request.maxBytes && rows.length > 0))
          return { rows, more: true };
        const user = decodeEnvelope(key, value);
        rows.push({ key: fromLatin1(key.slice(1)), value: request.keysOnly ? user.subarray(0, 0) : user });
        bytes += key.length + (request.keysOnly ? 0 : user.length);
      }
      await pace();
    }
  } finally {
    region.load.read(rows.length, bytes);
    await iterator.close();
  }
}

function cutToRegion(
  region: Region,
  range: { readonly start: string; readonly end: string },
): { start: string; end: string } {
  const { descriptor } = region;
  const start = range.start > descriptor.start ? range.start : descriptor.start;
  const end = range.end === "" || (descriptor.end !== "" && descriptor.end < range.end) ? descriptor.end : range.end;
  if (end !== "" && start >= end) throw keyError(region, range.start);
  return { start, end };
}
