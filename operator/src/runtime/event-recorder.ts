/** Kubernetes Events: what `kubectl describe` shows at the end. */
import { RheaError, type Clock, type Logger, type Scheduler, type TimerHandle } from "@rhea/common";
import { isKubeNotFound, RESOURCES, type KubeClient, type KubeEvent, type KubeObject } from "../kube/index.js";
import { microTime } from "./kube-time.js";

const SERIES_INTERVAL_MS = 60_000;
const SERIES_END_MS = 6 * 60_000;
const BURST = 25;
const REFILL_MS = 300_000;
const MAX_SERIES = 1_000;
const MAX_PENDING = 1_000;
const MAX_NOTE = 1_024;

/** Something worth telling about an object. */
export interface EventInput {
  /** The object it is about; needs apiVersion, kind and metadata. */
  readonly regarding: KubeObject;
  /** A second object that takes part. */
  readonly related?: KubeObject;
  readonly type: "Normal" | "Warning";
  /** Why, one word in CamelCase: `ScalingOut`. */
  readonly reason: string;
  /** What the controller did, one word in CamelCase: `CreateStore`. */
  readonly action: string;
  /** A sentence for people; cut at 1,024 characters. */
  readonly note: string;
}

/** Writes events. Never fails its caller: what cannot be written is logged and dropped. */
export interface EventRecorder {
  /** Records an event; returns at once. */
  record(event: EventInput): void;
  /** Resolves when all that was recorded is written or dropped, counts that wait for their interval excepted. */
  flush(): Promise<void>;
  /** Writes what waits, counts too, and stops. */
  close(): Promise<void>;
}

/** What a recorder is made with. */
export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, "create" | "mergePatch">;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** Name of the controller: `rheakv.io/operator`. */
  readonly controller: string;
  /** Name of this process: the pod. */
  readonly instance: string;
  /** Milliseconds between two writes of the count of a repeated event. Default 60,000. */
  readonly seriesIntervalMs?: number;
}

/** The same event, over time. */
interface Series {
  /** Undefined until the event was created. */
  name: string | undefined;
  readonly namespace: string;
  readonly input: EventInput;
  count: number;
  /** Count that the API server has; below `count` while a write waits. */
  writtenCount: number;
  lastMs: number;
  lastWallMs: number;
  writtenMs: number;
  timer: TimerHandle | undefined;
}

/**
 * Makes a recorder. An event that repeats (same object, type, reason, action and note) within six minutes is one object whose count goes
 * up, written at most once per interval. Each object may have 25 new events, and one more every five minutes.
 */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, clock, scheduler, logger } = options;
  const intervalMs = options.seriesIntervalMs ?? SERIES_INTERVAL_MS;
  /** Least recently seen first. */
  const allSeries = new Map<string, Series>();
  const buckets = new Map<string, { tokens: number; atMs: number }>();
  const pending: Series[] = [];
  let writing: Promise<void> | undefined;
  let names = 0;
  let isClosed = false;

  function record(input: EventInput): void {
    if (isClosed) return;
    const now = clock.monotonicMs();
    const id = JSON.stringify([objectId(input.regarding), input.type, input.reason, input.action, input.note]);
    const known = allSeries.get(id);
    allSeries.delete(id);
    if (known !== undefined && now - known.lastMs < SERIES_END_MS) {
      allSeries.set(id, known);
      known.count += 1;
      known.lastMs = now;
      known.lastWallMs = clock.wallMs();
      schedule(known, now);
      return;
    }
    if (known !== undefined) flushCount(known);
    if (!takeToken(objectId(input.regarding), now)) {
      logger.log("debug", "event dropped: too many about one object", { reason: input.reason, note: input.note });
      return;
    }
    const series: Series = {
      name: undefined,
      namespace: input.regarding.metadata?.namespace ?? "default",
      input,
      count: 1,
      writtenCount: 0,
      lastMs: now,
      lastWallMs: clock.wallMs(),
      writtenMs: now,
      timer: undefined,
    };
    allSeries.set(id, series);
    forgetOldest();
    push(series);
  }

  function schedule(series: Series, now: number): void {
    if (series.timer !== undefined) return;
    series.timer = scheduler.setTimer(Math.max(0, series.writtenMs + intervalMs - now), () => flushCount(series));
  }

  function flushCount(series: Series): void {
    series.timer?.cancel();
    series.timer = undefined;
    if (series.count > series.writtenCount) push(series);
  }

  function forgetOldest(): void {
    for (const [id, series] of allSeries) {
      if (allSeries.size <= MAX_SERIES && clock.monotonicMs() - series.lastMs < SERIES_END_MS) break;
      flushCount(series);
      allSeries.delete(id);
    }
  }

  /** A bucket per object, as client-go's spam filter. */
  function takeToken(object: string, now: number): boolean {
    const bucket = buckets.get(object) ?? { tokens: BURST, atMs: now };
    bucket.tokens = Math.min(BURST, bucket.tokens + (now - bucket.atMs) / REFILL_MS);
    bucket.atMs = now;
    buckets.delete(object);
    if (bucket.tokens < 1) {
      buckets.set(object, bucket);
      return false;
    }
    bucket.tokens -= 1;
    buckets.set(object, bucket);
    for (const oldest of buckets.keys()) {
      if (buckets.size <= MAX_SERIES) break;
      buckets.delete(oldest);
    }
    return true;
  }

  function push(series: Series): void {
    if (pending.includes(series)) return;
    if (pending.length >= MAX_PENDING) {
      logger.log("warn", "event dropped: too many wait for the API server", { reason: series.input.reason });
      return;
    }
    pending.push(series);
    writing ??= writeAll();
  }

  async function writeAll(): Promise<void> {
    for (let series = pending.shift(); series !== undefined; series = pending.shift()) {
      const { count } = series;
      try {
        await writeOne(series);
      } catch (thrown) {
        const error = RheaError.from(thrown);
        logger.log("warn", "event not written", {
          reason: series.input.reason,
          note: series.input.note,
          code: error.code,
          error: error.message,
        });
      }
      // Also after a failure: the next count is tried after the interval, not at once.
      series.writtenCount = count;
      series.writtenMs = clock.monotonicMs();
      if (series.count > count) schedule(series, series.writtenMs);
    }
    writing = undefined;
  }

  async function writeOne(series: Series): Promise<void> {
    const lastObservedTime = microTime(series.lastWallMs);
    if (series.name !== undefined) {
      const key = { namespace: series.namespace, name: series.name };
      try {
        await client.mergePatch(RESOURCES.events, key, { series: { count: series.count, lastObservedTime } });
        return;
      } catch (error) {
        // Events live for an hour; one that ended begins anew.
        if (!isKubeNotFound(error)) throw error;
      }
    }
    const created = await client.create(RESOURCES.events, eventObject(series));
    series.name = created.metadata?.name;
  }

  function eventObject(series: Series): KubeEvent {
    const { input, count } = series;
    names += 1;
    const about = (input.regarding.metadata?.name ?? "").slice(0, 200);
    return {
      metadata: {
        name: `${about}.${Math.floor(clock.wallMs()).toString(16)}${names.toString(16).padStart(4, "0")}`,
        namespace: series.namespace,
      },
      eventTime: microTime(series.lastWallMs),
      reportingController: options.controller,
      reportingInstance: options.instance.slice(0, 128),
      type: input.type,
      reason: input.reason,
      action: input.action,
      note: input.note.length <= MAX_NOTE ? input.note : `${input.note.slice(0, MAX_NOTE - 1)}…`,
      regarding: referenceTo(input.regarding),
      ...(input.related === undefined ? {} : { related: referenceTo(input.related) }),
      ...(count === 1 ? {} : { series: { count, lastObservedTime: microTime(series.lastWallMs) } }),
    };
  }

  async function flush(): Promise<void> {
    while (writing !== undefined) await writing;
  }

  return {
    record,
    flush,
    async close() {
      isClosed = true;
      for (const series of allSeries.values()) flushCount(series);
      await flush();
      allSeries.clear();
    },
  };
}

function objectId({ kind, metadata }: KubeObject): string {
  return `${kind ?? ""}/${metadata?.namespace ?? ""}/${metadata?.name ?? ""}/${metadata?.uid ?? ""}`;
}

function referenceTo({ apiVersion, kind, metadata }: KubeObject): NonNullable<KubeEvent["regarding"]> {
  return Object.fromEntries(
    Object.entries({
      apiVersion,
      kind,
      name: metadata?.name,
      namespace: metadata?.namespace,
      uid: metadata?.uid,
      resourceVersion: metadata?.resourceVersion,
    }).filter(([, value]) => value !== undefined),
  );
}
