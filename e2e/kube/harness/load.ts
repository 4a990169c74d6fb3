/** Load that checks what it reads: each key has one writer, so what a read may return is known exactly. */
import { createHash } from "node:crypto";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import type { RheaClient } from "@rhea/client";
import { RheaError } from "@rhea/common";

/** Options of {@link startLoad}. */
export interface LoadOptions {
  /** Loops that run side by side, each with keys of its own; default 4. */
  readonly writers?: number;
  /** Default 8. */
  readonly keysPerWriter?: number;
  /** Pause of a loop between two operations, in ms; default 20. */
  readonly pauseMs?: number;
  /** Share of reads; default 0.5. */
  readonly readRatio?: number;
  /** Default "load/". Two loads at once need different ones. */
  readonly prefix?: string;
  /** Bytes that a value is filled up to; default 64. */
  readonly valueBytes?: number;
}

/** What a load has seen. */
export interface LoadResult {
  /** Operations that succeeded. */
  readonly ok: number;
  /** Operations that the client gave up, after all its own retries. */
  readonly failed: number;
  /** Those of them that were writes and may have been applied. */
  readonly uncertain: number;
  /** Longest time in which no operation succeeded, and longest single operation. */
  readonly maxPauseMs: number;
  readonly maxLatencyMs: number;
  /** By error code: how many, and the first message. */
  readonly errors: Readonly<Record<string, { readonly count: number; readonly first: string }>>;
}

/** Load that runs. */
export interface Load {
  /** Operations that succeeded so far. */
  ok(): number;
  failed(): number;
  /** Ends the load and reads every key back. Throws if a read ever was wrong or an acknowledged write is lost. */
  stop(): Promise<LoadResult>;
}

/** A key with one writer. Writes count up; 0 stands for "absent". */
class Track {
  readonly key: string;
  #certain = 0;
  #last = 0;
  /** Writes without a known outcome that no read has shown yet: each may still take effect, once, at any time. */
  readonly #open = new Set<number>();

  constructor(key: string) {
    this.key = key;
  }

  next(): number {
    return ++this.#last;
  }

  acknowledged(value: number): void {
    this.#certain = value;
  }

  uncertain(value: number): void {
    this.#open.add(value);
  }

  /** Takes a value that a read has returned; undefined if that is right, else what would have been. */
  read(value: number): string | undefined {
    if (value === this.#certain) return undefined;
    if (this.#open.delete(value)) {
      this.#certain = value;
      return undefined;
    }
    return [this.#certain, ...this.#open].join(" or ");
  }
}

const numberOf = (value: Buffer | undefined): number =>
  value === undefined ? 0 : Number.parseInt(value.toString(), 10);

/** Starts load. Resolves once every key has been written. Keys that exist are overwritten. */
export async function startLoad(client: RheaClient, options: LoadOptions = {}): Promise<Load> {
  const { writers = 4, keysPerWriter = 8, pauseMs = 20, readRatio = 0.5, prefix = "load/", valueBytes = 64 } = options;
  const errors: Record<string, { count: number; first: string }> = {};
  const wrong: string[] = [];
  let [ok, failed, uncertain, maxPauseMs, maxLatencyMs, lastOkMs, isStopping] = [0, 0, 0, 0, 0, NaN, false];

  const attempt = async (run: () => Promise<unknown>, onUnknown: () => void) => {
    const started = performance.now();
    try {
      await run();
      ok++;
      const now = performance.now();
      if (!Number.isNaN(lastOkMs)) maxPauseMs = Math.max(maxPauseMs, now - lastOkMs);
      lastOkMs = now;
    } catch (thrown) {
      failed++;
      const { code, message, details } = RheaError.from(thrown);
      const seen = errors[code];
      errors[code] = { count: (seen?.count ?? 0) + 1, first: seen?.first ?? message };
      if ((details as { maybeApplied?: boolean } | undefined)?.maybeApplied !== false) onUnknown();
    }
    maxLatencyMs = Math.max(maxLatencyMs, performance.now() - started);
  };
  const write = async (track: Track) => {
    const value = track.next();
    const text = String(value).padEnd(valueBytes, " ");
    await attempt(
      async () => {
        await client.put(track.key, text);
        track.acknowledged(value);
      },
      () => {
        uncertain++;
        track.uncertain(value);
      },
    );
  };
  const read = (track: Track) =>
    attempt(
      async () => {
        const value = numberOf(await client.get(track.key));
        const expected = track.read(value);
        if (expected !== undefined) wrong.push(`${track.key} reads ${value}, should be ${expected}`);
      },
      () => undefined,
    );
  const lanes = Array.from({ length: writers }, (_, writer) =>
    Array.from({ length: keysPerWriter }, (__, key) => new Track(`${prefix}${writer}/${key}`)),
  );
  const keepGoing = async (tracks: readonly Track[]) => {
    for (let turn = 0; !isStopping; turn++) {
      const track = tracks[turn % tracks.length];
      if (track === undefined) return;
      await ((turn * 0.618_034) % 1 < readRatio ? read(track) : write(track));
      if (pauseMs > 0) await delay(pauseMs);
    }
  };
  await Promise.all(lanes.flat().map(write));
  const loops = lanes.map(keepGoing);
  return {
    ok: () => ok,
    failed: () => failed,
    async stop() {
      isStopping = true;
      const stoppedMs = performance.now();
      await Promise.all(loops);
      if (!Number.isNaN(lastOkMs)) maxPauseMs = Math.max(maxPauseMs, stoppedMs - lastOkMs);
      const result = {
        ok,
        failed,
        uncertain,
        maxPauseMs: Math.round(maxPauseMs),
        maxLatencyMs: Math.round(maxLatencyMs),
      };
      for (const track of lanes.flat()) {
        const value = numberOf(await client.get(track.key));
        const expected = track.read(value);
        if (expected !== undefined) wrong.push(`at the end ${track.key} reads ${value}, should be ${expected}`);
      }
      if (wrong.length > 0) throw new Error(`${wrong.length} reads were wrong:\n${wrong.slice(0, 10).join("\n")}`);
      return { ...result, errors };
    },
  };
}

/** All data of a cluster in one number. */
export interface Checksum {
  readonly entries: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** Reads everything, in key order, and returns its checksum. `start` and `end` bound it as in a scan. */
export async function checksum(
  client: RheaClient,
  range: { readonly start?: string; readonly end?: string } = {},
): Promise<Checksum> {
  const hash = createHash("sha256");
  let [entries, bytes] = [0, 0];
  for await (const { key, value } of client.iterator({ ...range, bufSize: 1_000 })) {
    hash.update(`${key.length} ${value.length} `).update(key).update(value);
    entries++;
    bytes += key.length + value.length;
  }
  return { entries, bytes, sha256: hash.digest("hex") };
}
