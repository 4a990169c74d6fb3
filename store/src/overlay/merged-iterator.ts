/** Walks layers and engine as one ordered map, as of the moment it was made: it pins the layers and the engine's state. */
import type { KvEntry, KvIterator, KvRange } from "../kv/engine.js";
import type { Layer } from "./layer.js";

interface LayerCursor {
  readonly layer: Layer;
  readonly keys: readonly string[];
  /** Next key's place; runs down when reversed. */
  at: number;
  /** First place outside the range in walking direction. */
  readonly stop: number;
}

/** `layers`: oldest first, none of them changing any more. `engine`: a walk of the same range, begun in the same moment. */
export function mergeIterator(layers: readonly Layer[], engine: KvIterator, range: KvRange): KvIterator {
  const isReverse = range.reverse === true;
  const step = isReverse ? -1 : 1;
  const cursors = layers.map((layer) => openCursor(layer, range)).filter((cursor) => cursor.at !== cursor.stop);
  if (cursors.length === 0) return engine;
  let slice: KvEntry[] = [];
  let sliceAt = 0;
  let isEngineDone = false;

  const comesBefore = (a: string, b: string): boolean => (isReverse ? a > b : a < b);

  /** The next key of the layers with the newest layer's word on it. */
  const nextWritten = (): { key: string; value: Buffer | undefined } | undefined => {
    let best: string | undefined;
    let value: Buffer | undefined;
    for (const cursor of cursors) {
      const key = cursor.keys[cursor.at];
      if (cursor.at === cursor.stop || key === undefined) continue;
      // Later cursors are newer layers: an equal key replaces.
      if (best === undefined || key === best || comesBefore(key, best)) {
        best = key;
        value = cursor.layer.writes.get(key);
      }
    }
    return best === undefined ? undefined : { key: best, value };
  };
  const passWritten = (key: string): void => {
    for (const cursor of cursors) {
      if (cursor.at !== cursor.stop && cursor.keys[cursor.at] === key) cursor.at += step;
    }
  };

  return {
    next: async (max) => {
      const rows: KvEntry[] = [];
      while (rows.length < max) {
        if (sliceAt >= slice.length && !isEngineDone) {
          slice = await engine.next(max);
          sliceAt = 0;
          isEngineDone = slice.length === 0;
        }
        const stored = slice[sliceAt];
        const written = nextWritten();
        if (written === undefined && stored === undefined) break;
        if (stored !== undefined && (written === undefined || comesBefore(stored.key, written.key))) {
          rows.push(stored);
          sliceAt++;
          continue;
        }
        if (written === undefined) break;
        passWritten(written.key);
        if (stored?.key === written.key) sliceAt++;
        if (written.value !== undefined) rows.push({ key: written.key, value: written.value });
      }
      return rows;
    },
    close: () => engine.close(),
  };
}

function openCursor(layer: Layer, range: KvRange): LayerCursor {
  const keys = layer.sortedKeys();
  const first = lowerBound(keys, range.start);
  const end = range.end === "" ? keys.length : lowerBound(keys, range.end);
  if (end <= first) return { layer, keys, at: 0, stop: 0 };
  return range.reverse === true ? { layer, keys, at: end - 1, stop: first - 1 } : { layer, keys, at: first, stop: end };
}

/** Place of the first key >= `bound`. */
function lowerBound(keys: readonly string[], bound: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? "") < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}
