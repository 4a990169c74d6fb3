/**
 * Results first, engine behind: applied writes are visible here at once and go to the engine in the background, one batch at a time, each
 * gathering every turn that came meanwhile. The engine's durable state is therefore always a whole prefix of turns.
 */
import { RheaError } from "@rhea/common";
import type { KvEngine, KvIterator, KvRange } from "../kv/engine.js";
import { Layer, joinLayers } from "./layer.js";
import { mergeIterator } from "./merged-iterator.js";
import type { TurnMarkers } from "./turn-markers.js";

/** Someone whose local records ride with its writes: a region. */
export interface OverlayParticipant {
  readonly regionId: number;
  /**
   * Gives the local records (apply state, sessions, descriptor) as they are now, between two entries. Called once per batch that has
   * writes of this participant; the returned function is called when that batch is durable.
   */
  collect(put: (key: string, value: Buffer | undefined) => void): () => void;
}

/** What an overlay needs. */
export interface OverlayOptions {
  readonly kv: KvEngine;
  readonly markers: TurnMarkers;
  /** Over this many bytes {@link Overlay.isFull}; over twice as many apply has to wait. */
  readonly maxBytes: number;
  /** Called once at the first failed batch: the process must stop. */
  readonly onFailed: (error: RheaError) => void;
}

/** Waiting layers are joined beyond this many, so that a lookup stays short while the disk is slow. */
const MAX_WAITING_LAYERS = 8;

/** The writes that are applied and not yet durable in the engine, over the engine. */
export class Overlay {
  readonly #kv: KvEngine;
  readonly #markers: TurnMarkers;
  readonly #maxBytes: number;
  readonly #onFailed: (error: RheaError) => void;
  /** Being written to the engine; still here until that is durable. */
  #writing: Layer | undefined;
  /** Sealed and not yet in a batch; oldest first. */
  #waiting: Layer[] = [];
  #current = new Layer();
  #dirty = new Set<OverlayParticipant>();
  #failure: RheaError | undefined;
  /** Resolved by the batch that covers everything present when the caller asked. */
  #flushWaiters: { resolve: () => void; reject: (error: RheaError) => void }[] = [];
  #roomWaiters: (() => void)[] = [];
  #batches = 0;

  constructor(options: OverlayOptions) {
    this.#kv = options.kv;
    this.#markers = options.markers;
    this.#maxBytes = options.maxBytes;
    this.#onFailed = options.onFailed;
  }

  /** Bytes not yet durable in the engine. */
  get bytes(): number {
    let bytes = this.#current.bytes + (this.#writing?.bytes ?? 0);
    for (const layer of this.#waiting) bytes += layer.bytes;
    return bytes;
  }

  /** Whether new proposals must be refused. */
  get isFull(): boolean {
    return this.bytes > this.#maxBytes;
  }

  /** Batches written so far. */
  get batches(): number {
    return this.#batches;
  }

  /** Reads a key as applied. */
  get(key: string): Buffer | undefined {
    if (this.#current.writes.size > 0 && this.#current.writes.has(key)) return this.#current.writes.get(key);
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      const layer = this.#waiting[i];
      if (layer?.writes.has(key) === true) return layer.writes.get(key);
    }
    if (this.#writing?.writes.has(key) === true) return this.#writing.writes.get(key);
    return this.#kv.get(key);
  }

  /** Writes (undefined: deletes) a key. It becomes durable with the next batch; see {@link Overlay.endTurn}. */
  put(key: string, value: Buffer | undefined): void {
    this.#current.put(key, value);
  }

  /** Says that a participant's local records have to go with the next batch. */
  markDirty(participant: OverlayParticipant): void {
    this.#dirty.add(participant);
  }

  /** Forgets a participant that is gone: its records are not written any more. */
  forget(participant: OverlayParticipant): void {
    this.#dirty.delete(participant);
  }

  /** Walks a range as applied at this moment. */
  iterate(range: KvRange): KvIterator {
    this.#seal();
    const layers = this.#writing === undefined ? this.#waiting.slice() : [this.#writing, ...this.#waiting];
    return mergeIterator(layers, this.#kv.iterate(range), range);
  }

  /** Closes the turn's layer and starts a batch unless one is being written. */
  endTurn(): void {
    this.#seal();
    this.#startBatch();
  }

  /** Resolves when everything put or marked so far is durable in the engine. Rejects with DISK_FAILED. */
  flush(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#seal();
    if (!this.#hasWork() && this.#writing === undefined) return Promise.resolve();
    const done = new Promise<void>((resolve, reject) => this.#flushWaiters.push({ resolve, reject }));
    this.#startBatch();
    return done;
  }

  /** Resolves when apply may go on: at once unless twice the bound is exceeded. */
  room(): Promise<void> | undefined {
    if (this.bytes <= 2 * this.#maxBytes) return undefined;
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  #hasWork(): boolean {
    return this.#waiting.length > 0 || this.#dirty.size > 0;
  }

  #seal(): void {
    if (this.#current.writes.size === 0) return;
    this.#waiting.push(this.#current);
    this.#current = new Layer();
    if (this.#waiting.length > MAX_WAITING_LAYERS) this.#waiting = [joinLayers(this.#waiting)];
  }

  #startBatch(): void {
    if (this.#writing !== undefined || this.#failure !== undefined) return;
    this.#seal();
    if (!this.#hasWork()) {
      this.#settleFlushes();
      return;
    }
    const [first] = this.#waiting;
    const layer = this.#waiting.length === 1 && first !== undefined ? first : joinLayers(this.#waiting);
    this.#waiting = [];
    this.#writing = layer;
    const batch = this.#kv.batch();
    for (const [key, value] of layer.writes) {
      if (value === undefined) batch.delete(key);
      else batch.put(key, value);
    }
    const regions: number[] = [];
    const durable: (() => void)[] = [];
    for (const participant of this.#dirty) {
      regions.push(participant.regionId);
      const done = participant.collect((key, value) => {
        if (value === undefined) batch.delete(key);
        else batch.put(key, value);
      });
      durable.push(done);
    }
    this.#dirty = new Set();
    this.#markers.mark(batch, regions, layer.bytes);
    const flushes = this.#flushWaiters;
    this.#flushWaiters = [];
    this.#kv.write(batch).then(
      () => {
        this.#batches++;
        this.#writing = undefined;
        for (const done of durable) done();
        for (const { resolve } of flushes) resolve();
        this.#wakeApply();
        this.#startBatch();
      },
      (error: unknown) => this.#fail(error, flushes),
    );
  }

  #settleFlushes(): void {
    const flushes = this.#flushWaiters;
    this.#flushWaiters = [];
    for (const { resolve } of flushes) resolve();
  }

  #wakeApply(): void {
    if (this.#roomWaiters.length === 0 || this.bytes > this.#maxBytes) return;
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const resolve of waiters) resolve();
  }

  #fail(error: unknown, flushes: readonly { reject: (error: RheaError) => void }[]): void {
    const cause = RheaError.from(error);
    this.#failure =
      cause.code === "DISK_FAILED"
        ? cause
        : new RheaError("DISK_FAILED", `the key-value engine failed: ${cause.message}; the process must stop`, {
            cause,
          });
    for (const { reject } of [...flushes, ...this.#flushWaiters]) reject(this.#failure);
    this.#flushWaiters = [];
    this.#onFailed(this.#failure);
  }
}
