/**
 * Marks of the engine's batches. Batch n carries a marker that lists the regions of batches n and n - 1, so that a batch which the engine
 * lost without an error shows as a gap at open, with the regions that may have lost writes.
 */
import { RheaError } from "@rhea/common";
import { TURN_MARKER_RANGE, sequenceOfKey, turnMarkerKey } from "../format/keys.js";
import { sealed, unsealed } from "../format/region-record.js";
import type { KvBatch, KvEngine } from "../kv/engine.js";

/** Markers are kept until this many bytes of later batches were written: more than the engine's own log ever holds. */
const KEPT_BYTES = 128 << 20;

interface Marker {
  readonly own: readonly number[];
  readonly previous: readonly number[];
  /** Bytes of the batch. */
  readonly bytes: number;
}

/** What the markers found at open prove. */
export type MarkerCheck =
  | { readonly kind: "whole" }
  /** These regions may have lost writes. */
  | { readonly kind: "lost"; readonly regions: ReadonlySet<number>; readonly sequence: number }
  /** Any region may have. */
  | { readonly kind: "lostAny"; readonly sequence: number };

/** Writes the markers of a store's batches and forgets old ones. */
export class TurnMarkers {
  #sequence: number;
  #previous: readonly number[];
  #keptBytes: number;
  /** Oldest first. */
  readonly #kept: { readonly sequence: number; readonly bytes: number }[];

  constructor(found: readonly { readonly sequence: number; readonly marker: Marker }[]) {
    const last = found.at(-1);
    this.#sequence = last?.sequence ?? 0;
    this.#previous = last?.marker.own ?? [];
    this.#kept = found.map(({ sequence, marker }) => ({ sequence, bytes: marker.bytes }));
    this.#keptBytes = this.#kept.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Adds the next marker to `batch`, which changes `regions` and has `bytes`, and removes markers that are old enough. */
  mark(batch: KvBatch, regions: readonly number[], bytes: number): void {
    this.#sequence++;
    const marker: Marker = { own: regions, previous: this.#previous, bytes };
    batch.put(turnMarkerKey(this.#sequence), sealed(Buffer.from(JSON.stringify(marker))));
    this.#previous = regions;
    this.#kept.push({ sequence: this.#sequence, bytes });
    this.#keptBytes += bytes;
    for (let oldest = this.#kept[0]; oldest !== undefined; oldest = this.#kept[0]) {
      if (this.#keptBytes - oldest.bytes < KEPT_BYTES) return;
      batch.delete(turnMarkerKey(oldest.sequence));
      this.#keptBytes -= oldest.bytes;
      this.#kept.shift();
    }
  }
}

/** Reads the markers and checks them for gaps. Throws CORRUPTION where one is unreadable. */
export async function openTurnMarkers(kv: KvEngine): Promise<{ markers: TurnMarkers; check: MarkerCheck }> {
  const found: { sequence: number; marker: Marker }[] = [];
  const iterator = kv.iterate(TURN_MARKER_RANGE);
  try {
    for (let rows = await iterator.next(1_000); rows.length > 0; rows = await iterator.next(1_000)) {
      for (const { key, value } of rows) {
        const sequence = sequenceOfKey(key);
        found.push({ sequence, marker: JSON.parse(unsealed(value, `marker ${sequence}`).toString()) as Marker });
      }
    }
  } finally {
    await iterator.close();
  }
  return { markers: new TurnMarkers(found), check: checkMarkers(found) };
}

function checkMarkers(found: readonly { readonly sequence: number; readonly marker: Marker }[]): MarkerCheck {
  const lost = new Set<number>();
  let lostSequence = 0;
  let expected = found[0]?.sequence ?? 0;
  for (const { sequence, marker } of found) {
    const missing = sequence - expected;
    if (missing > 0) lostSequence = sequence - 1;
    if (missing > 1) return { kind: "lostAny", sequence: lostSequence };
    if (missing === 1) for (const region of marker.previous) lost.add(region);
    expected = sequence + 1;
  }
  return lostSequence === 0 ? { kind: "whole" } : { kind: "lost", regions: lost, sequence: lostSequence };
}

/** The error of a region that {@link MarkerCheck} does not prove whole. */
export function lostBatchError(regionId: number, sequence: number): RheaError {
  return new RheaError(
    "CORRUPTION",
    `region ${regionId}: the key-value engine lost batch ${sequence}, which may have held writes of it; remove this peer and add it again`,
    { details: { regionId } },
  );
}
