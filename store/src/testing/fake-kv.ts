/** A key-value engine for tests: in memory, with batches that can be held, failed or lost. Tests only. */
import { fromLatin1, toLatin1 } from "@rhea/common";
import type { KvBatch, KvEngine, KvEntry, KvIterator, KvRange } from "../kv/engine.js";

/** The engine with the test's levers. */
export interface FakeKv extends KvEngine {
  /** Lets no batch finish until {@link FakeKv.release}. */
  hold(): void;
  release(): void;
  /** Makes the next batch fail. */
  failNext(): void;
  /** Removes a key behind everyone's back. */
  lose(key: string): void;
}

/** Makes an engine with these contents. */
export function createFakeKv(contents: Readonly<Record<string, string>>): FakeKv {
  const map = new Map<string, Buffer>(Object.entries(contents).map(([key, value]) => [key, fromLatin1(value)]));
  let held: (() => void)[] | undefined;
  let isFailing = false;

  const walk = (source: ReadonlyMap<string, Buffer>, range: KvRange): KvIterator => {
    const rows: KvEntry[] = [...source]
      .filter(([key]) => key >= range.start && (range.end === "" || key < range.end))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => ({ key, value }));
    if (range.reverse === true) rows.reverse();
    return { next: async (max) => rows.splice(0, max), close: async () => undefined };
  };
  const batch = (): KvBatch & { operations: (() => void)[] } => {
    const operations: (() => void)[] = [];
    return {
      operations,
      put: (key, value) => {
        const copy = fromLatin1(toLatin1(value));
        operations.push(() => map.set(key, copy));
      },
      delete: (key) => operations.push(() => map.delete(key)),
      get length() {
        return operations.length;
      },
    };
  };
  return {
    get: (key) => map.get(key),
    batch,
    write: async (written) => {
      await new Promise<void>((resolve) => (held === undefined ? resolve() : held.push(resolve)));
      if (isFailing) {
        isFailing = false;
        throw new Error("the disk said no");
      }
      for (const run of (written as ReturnType<typeof batch>).operations) run();
    },
    iterate: (range) => walk(new Map(map), range),
    snapshot: () => {
      const copy = new Map(map);
      return { get: (key) => copy.get(key), iterate: (range) => walk(copy, range), close: async () => undefined };
    },
    clearRange: async (start, end) => {
      for (const key of [...map.keys()]) if (key >= start && (end === "" || key < end)) map.delete(key);
    },
    approximateSize: async () => 0,
    close: async () => undefined,
    hold: () => {
      held ??= [];
    },
    release: () => {
      const waiting = held ?? [];
      held = undefined;
      for (const resolve of waiting) resolve();
    },
    failNext: () => {
      isFailing = true;
    },
    lose: (key) => {
      map.delete(key);
    },
  };
}
