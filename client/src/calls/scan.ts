/** Scans: paged over regions, each page linearizable, no snapshot over pages. */
import { RheaError } from "@rhea/common";
import { ReadKind, type KvResult, type ReadInit } from "@rhea/proto";
import { checkRange, detach, encodeBound, keyAfter, lastKeyBelow, type Key } from "../keys.js";
import { timeoutOf, type ReadOptions } from "../options.js";
import type { Route } from "../routing/route.js";
import { Operation } from "../sending/operation.js";
import { readResult, type Kit } from "./kit.js";

/** A key with its value. */
export interface Entry {
  readonly key: Buffer;
  /** Empty where the scan asked for keys only. */
  readonly value: Buffer;
}

/** What to scan: [start, end); an absent bound is the end of the keyspace on that side. */
export interface ScanOptions extends ReadOptions {
  readonly start?: Key | undefined;
  readonly end?: Key | undefined;
  /** Entries at most; default all. No more regions are read than it needs. */
  readonly limit?: number | undefined;
  /** Default true. False: keys only, values come empty. */
  readonly returnValue?: boolean | undefined;
}

/** What to iterate over. `timeoutMs` is the time for one page. */
export interface IteratorOptions extends ScanOptions {
  /** Entries per page, default 256, at most 10,000. While the caller works on a page the next one is on its way. */
  readonly bufSize?: number | undefined;
  /** Default false. True: from the end to the start. */
  readonly reverse?: boolean | undefined;
}

/** The scanning calls, as RheaClient documents them. */
export interface ScanCalls {
  /** All entries of a range in key order. For ranges that do not fit in memory use {@link ScanCalls.iterator}. */
  scan(options?: ScanOptions): Promise<Entry[]>;
  /** The same range, greatest key first. */
  reverseScan(options?: ScanOptions): Promise<Entry[]>;
  /** The same range lazily. */
  iterator(options?: IteratorOptions): AsyncGenerator<Entry, void, undefined>;
}

const DEFAULT_BUF_SIZE = 256;
const MAX_BUF_SIZE = 10_000;

interface Range {
  /** Latin-1, as in {@link Route}. */
  readonly start: string;
  readonly end: string;
}

interface PageRequest extends Range {
  readonly isReverse: boolean;
  /** 0: the store's own limit. */
  readonly limit: number;
  readonly isKeysOnly: boolean;
  readonly isStale: boolean;
}

interface Page {
  readonly entries: Entry[];
  /** What is left to scan; absent at the end. */
  readonly rest: Range | undefined;
}

/** The page's part of the region that the present attempt goes to. */
function readFor(operation: Operation, route: Route): ReadInit {
  const request = operation.context as PageRequest;
  const start = request.start > route.start ? request.start : route.start;
  const isEndInside = request.end !== "" && (route.end === "" || request.end <= route.end);
  return {
    kind: request.isReverse ? ReadKind.READ_REVERSE_SCAN : ReadKind.READ_SCAN,
    key: Buffer.from(start, "latin1"),
    endKey: Buffer.from(isEndInside ? request.end : route.end, "latin1"),
    limit: request.limit,
    keysOnly: request.isKeysOnly,
    stale: request.isStale,
  };
}

function restAfter(request: PageRequest, route: Route, last: Buffer | undefined): Range | undefined {
  const { start, end, isReverse } = request;
  if (last !== undefined) {
    const key = last.toString("latin1");
    if (isReverse) return key > start ? { start, end: key } : undefined;
    const next = keyAfter(key);
    return next !== undefined && (end === "" || next < end) ? { start: next, end } : undefined;
  }
  if (isReverse) return route.start > start ? { start, end: route.start } : undefined;
  return route.end !== "" && (end === "" || route.end < end) ? { start: route.end, end } : undefined;
}

function decodePage(result: KvResult, operation: Operation): Page {
  const read = readResult(result);
  const request = operation.context as PageRequest;
  const entries = read.entries.map(({ key, value }) => ({ key: detach(key), value: detach(value) }));
  const { route } = operation;
  if (route === undefined) throw new RheaError("INTERNAL", "a scan page was answered without a region");
  const last = read.more ? entries[entries.length - 1]?.key : undefined;
  if (read.more && last === undefined) {
    throw new RheaError("INTERNAL", `region ${route.regionId}: an empty scan page says that there is more`);
  }
  return { entries, rest: restAfter(request, route, last) };
}

function fetchPage(kit: Kit, request: PageRequest, timeoutMs: number, signal: AbortSignal | undefined): Promise<Page> {
  return new Promise((resolve, reject) => {
    const operation = new Operation({
      name: request.isReverse ? "reverseScan" : "scan",
      routeKey: request.isReverse ? lastKeyBelow(request.end) : request.start,
      readFor,
      isStale: request.isStale,
      context: request,
      decode: decodePage,
      resolve,
      reject,
    });
    kit.sender.submit(operation, timeoutMs, signal);
  });
}

function checkCount(value: number | undefined, name: string, max: number): number | undefined {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 1 && value <= max)) return value;
  throw new RheaError("INVALID_ARGUMENT", `option ${name}: ${value} given, a whole number in 1..${max} is needed`);
}

function firstRequest(options: IteratorOptions | undefined, isReverse: boolean): PageRequest {
  const start = encodeBound(options?.start).toString("latin1");
  const end = encodeBound(options?.end).toString("latin1");
  checkRange(start, end);
  return {
    start,
    end,
    isReverse,
    limit: 0,
    isKeysOnly: options?.returnValue === false,
    isStale: options?.readOnlySafe === false,
  };
}

async function scanAll(kit: Kit, options: ScanOptions | undefined, isReverse: boolean): Promise<Entry[]> {
  const limit = checkCount(options?.limit, "limit", Number.MAX_SAFE_INTEGER) ?? Infinity;
  let request = firstRequest(options, isReverse);
  const deadlineMs = kit.clock.monotonicMs() + timeoutOf(options, kit.options.timeoutMs);
  const pages: Entry[][] = [];
  let count = 0;
  for (;;) {
    const left = limit - count;
    const remainingMs = Math.max(1, deadlineMs - kit.clock.monotonicMs());
    const page = await fetchPage(
      kit,
      { ...request, limit: left > MAX_BUF_SIZE ? 0 : left },
      remainingMs,
      options?.signal,
    );
    pages.push(page.entries);
    count += page.entries.length;
    if (page.rest === undefined || count >= limit) return pages.flat();
    request = { ...request, ...page.rest };
  }
}

async function* iterate(kit: Kit, options: IteratorOptions | undefined): AsyncGenerator<Entry, void, undefined> {
  const bufSize = checkCount(options?.bufSize, "bufSize", MAX_BUF_SIZE) ?? DEFAULT_BUF_SIZE;
  let left = checkCount(options?.limit, "limit", Number.MAX_SAFE_INTEGER) ?? Infinity;
  const timeoutMs = timeoutOf(options, kit.options.timeoutMs);
  let request = firstRequest(options, options?.reverse === true);
  const fetch = (): Promise<Page> =>
    fetchPage(kit, { ...request, limit: Math.min(left, bufSize) }, timeoutMs, options?.signal);
  let next: Promise<Page> | undefined = fetch();
  while (next !== undefined) {
    const page: Page = await next;
    left -= page.entries.length;
    next = undefined;
    if (page.rest !== undefined && left > 0) {
      request = { ...request, ...page.rest };
      next = fetch();
      next.catch(() => undefined); // seen by the await above, or by nobody if the caller stops here
    }
    yield* page.entries;
  }
}

/** Makes the calls. */
export function createScanCalls(kit: Kit): ScanCalls {
  return {
    scan: (options) => scanAll(kit, options, false),
    reverseScan: (options) => scanAll(kit, options, true),
    iterator: (options) => iterate(kit, options),
  };
}
