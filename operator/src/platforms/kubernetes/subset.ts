/**
 * Whether a live object says everything that a built one says. The API server adds defaults, so live objects have more; an absent field of
 * the built object matches anything. Lists are compared in order and at full length, except lists of named items, which match by name.
 */
export function isSubset(wanted: unknown, live: unknown): boolean {
  if (wanted === undefined) return true;
  if (Array.isArray(wanted)) {
    const items: readonly unknown[] = wanted;
    if (!Array.isArray(live)) return items.length === 0 && live === undefined;
    const there: readonly unknown[] = live;
    const keyed = items.length > 0 && items.every((item) => keyOf(item) !== undefined);
    if (keyed)
      return items.every((item) =>
        isSubset(
          item,
          there.find((other) => keyOf(other) === keyOf(item)),
        ),
      );
    return items.length === there.length && items.every((item, index) => isSubset(item, there[index]));
  }
  if (typeof wanted === "object" && wanted !== null) {
    const entries = Object.entries(wanted);
    if (live === undefined) return entries.every(([, value]) => isSubset(value, undefined));
    if (typeof live !== "object" || live === null) return false;
    return entries.every(([key, value]) => {
      const there = (live as Readonly<Record<string, unknown>>)[key];
      return isSubset(value, there) && (!EXACT.has(key) || isSubset(there, value));
    });
  }
  return wanted === live;
}

/** Selectors are one value to the API server: one label more chooses other pods. */
const EXACT: ReadonlySet<string> = new Set(["selector", "matchLabels"]);

/** Owner references and ports are lists to which others may add. */
function keyOf(item: unknown): string | undefined {
  if (typeof item !== "object" || item === null) return undefined;
  const { uid, name, port } = item as { readonly uid?: unknown; readonly name?: unknown; readonly port?: unknown };
  if (typeof uid === "string") return uid;
  return typeof port === "number" && typeof name === "string" ? name : undefined;
}
