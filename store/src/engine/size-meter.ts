/** Measures regions that changed much: one walk at a time over the rows, in slices, giving size, keys and the key near the middle by bytes. */
import { DATA, namespaceRange } from "../format/keys.js";
import type { Region } from "../region/region.js";
import { createPacer } from "./pacer.js";

/** Samples kept of one walk; beyond it every second one is dropped and the spacing doubles. */
const MAX_SAMPLES = 512;
const SLICE_ROWS = 512;

/** What a walk found. */
export interface Measurement {
  readonly bytes: number;
  readonly keys: number;
  /** Engine-free key (Latin-1) with about half of the bytes below it; undefined where no key splits the region. */
  readonly middleKey: string | undefined;
}

/** Walks a region's data as of now. */
export async function measureRegion(region: Region): Promise<Measurement> {
  const { clock, scheduler } = region.context.env;
  const pace = createPacer(clock, scheduler);
  const { start, end } = region.descriptor;
  const iterator = region.context.overlay.iterate(namespaceRange(DATA, start, end));
  let samples: { key: string; below: number }[] = [];
  let spacing = 1;
  let bytes = 0;
  let keys = 0;
  try {
    for (let rows = await iterator.next(SLICE_ROWS); rows.length > 0; rows = await iterator.next(SLICE_ROWS)) {
      for (const { key, value } of rows) {
        const userKey = key.slice(1);
        // The region's own start would leave nothing on the left.
        if (keys > 0 && keys % spacing === 0 && userKey > start) samples.push({ key: userKey, below: bytes });
        if (samples.length > MAX_SAMPLES) {
          samples = samples.filter((_, i) => i % 2 === 1);
          spacing *= 2;
        }
        bytes += key.length + value.length;
        keys++;
      }
      await pace();
    }
  } finally {
    await iterator.close();
  }
  let middle: { key: string; below: number } | undefined;
  for (const sample of samples) {
    if (middle === undefined || Math.abs(sample.below - bytes / 2) < Math.abs(middle.below - bytes / 2))
      middle = sample;
  }
  return { bytes, keys, middleKey: middle?.key };
}

/** Measures due regions one after the other. */
export class SizeMeter {
  #isRunning = false;

  /** Measures those of `regions` that are led here (only they report) and due, unless a round is under way. Errors go to the region's next reader. */
  async run(regions: Iterable<Region>): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      for (const region of [...regions]) {
        if (!region.isLeader || !region.load.isDue) continue;
        if (region.exclusive !== undefined) continue;
        const { version } = region.descriptor.epoch;
        const { bytes, keys, middleKey } = await measureRegion(region);
        if (region.descriptor.epoch.version === version) region.load.measured(bytes, keys, middleKey);
      }
    } finally {
      this.#isRunning = false;
    }
  }
}
