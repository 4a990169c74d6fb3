/**
 * Ranges that belong to no region any more and must be cleared: recorded durably with the batch that ended the region, worked off one at a
 * time in the background, and finished before a snapshot may land on them (keys carry no region id).
 */
import { RheaError } from "@rhea/common";
import { overlaps } from "../format/descriptor.js";
import {
  PENDING_CLEAR_RANGE,
  USER_NAMESPACES,
  namespaceRange,
  pendingClearKey,
  sequenceOfKey,
} from "../format/keys.js";
import { sealed, unsealed } from "../format/region-record.js";
import type { KvEngine } from "../kv/engine.js";
import type { Overlay } from "../overlay/overlay.js";

interface Clear {
  readonly sequence: number;
  /** Latin-1. */
  readonly start: string;
  readonly end: string;
  readonly done: Promise<void>;
  readonly finish: () => void;
}

/** The clears of one store. */
export class PendingClears {
  readonly #kv: KvEngine;
  readonly #overlay: Overlay;
  readonly #onFailed: (error: RheaError) => void;
  #clears: Clear[] = [];
  #sequence = 0;
  #isRunning = false;
  #isClosed = false;

  constructor(kv: KvEngine, overlay: Overlay, onFailed: (error: RheaError) => void) {
    this.#kv = kv;
    this.#overlay = overlay;
    this.#onFailed = onFailed;
  }

  get size(): number {
    return this.#clears.length;
  }

  /** Takes up what an earlier process left. */
  async load(): Promise<void> {
    const iterator = this.#kv.iterate(PENDING_CLEAR_RANGE);
    for (let rows = await iterator.next(100); rows.length > 0; rows = await iterator.next(100)) {
      for (const { key, value } of rows) {
        const range = JSON.parse(unsealed(value, "pending clear").toString()) as { start: string; end: string };
        this.#sequence = Math.max(this.#sequence, sequenceOfKey(key));
        this.#clears.push(makeClear(sequenceOfKey(key), range));
      }
    }
    await iterator.close();
  }

  /** Records a range; its clearing begins once the record is durable. */
  add(range: { readonly start: string; readonly end: string }): void {
    const { start, end } = range;
    const sequence = ++this.#sequence;
    this.#overlay.put(pendingClearKey(sequence), sealed(Buffer.from(JSON.stringify({ start, end }))));
    this.#clears.push(makeClear(sequence, range));
    this.run();
  }

  /** Works the list off, if that is not under way. */
  run(): void {
    if (this.#isRunning || this.#isClosed || this.#clears.length === 0) return;
    this.#isRunning = true;
    this.#work().catch((error: unknown) => this.#onFailed(RheaError.from(error)));
  }

  /** Resolves when nothing is left to be cleared in the range. */
  async finish(range: { readonly start: string; readonly end: string }): Promise<void> {
    this.run();
    await Promise.all(this.#clears.filter((clear) => overlaps(clear, range)).map(({ done }) => done));
  }

  /** Starts no further clear; the list is durable. */
  close(): void {
    this.#isClosed = true;
  }

  async #work(): Promise<void> {
    for (let clear = this.#clears[0]; clear !== undefined && !this.#isClosed; clear = this.#clears[0]) {
      await this.#overlay.flush();
      for (const namespace of USER_NAMESPACES) {
        const { start, end } = namespaceRange(namespace, clear.start, clear.end);
        await this.#kv.clearRange(start, end);
      }
      this.#overlay.put(pendingClearKey(clear.sequence), undefined);
      // Whoever waits puts data on the range: after a crash nothing on disk may say any more that it is to be cleared.
      await this.#overlay.flush();
      this.#clears.shift();
      clear.finish();
    }
    this.#isRunning = false;
  }
}

function makeClear(sequence: number, range: { readonly start: string; readonly end: string }): Clear {
  let finish = (): void => undefined;
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  return { sequence, start: range.start, end: range.end, done, finish };
}
