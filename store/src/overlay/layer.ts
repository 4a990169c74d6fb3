/** One layer of the overlay: the writes of one or more turns. Changes until it is sealed, never after. */

/** The writes of a layer. `undefined` as a value: deleted. */
export class Layer {
  readonly writes = new Map<string, Buffer | undefined>();
  /** Bytes of keys and values, an estimate of what the layer holds in memory. */
  bytes = 0;
  #sortedKeys: string[] | undefined;

  put(key: string, value: Buffer | undefined): void {
    this.#sortedKeys = undefined;
    this.writes.set(key, value);
    this.bytes += key.length + (value?.length ?? 0) + 64;
  }

  /** Keys in order, made at the first scan that meets this layer. */
  sortedKeys(): readonly string[] {
    this.#sortedKeys ??= [...this.writes.keys()].sort();
    return this.#sortedKeys;
  }
}

/** Joins layers, oldest first, into one that says the same. */
export function joinLayers(layers: readonly Layer[]): Layer {
  const joined = new Layer();
  for (const layer of layers) for (const [key, value] of layer.writes) joined.writes.set(key, value);
  for (const [key, value] of joined.writes) joined.bytes += key.length + (value?.length ?? 0) + 64;
  return joined;
}
