import type { Context, JudgedStore } from "./judge.js";
import type { Host, PdStore } from "./observed.js";

/** A store that PD knows. */
export type RegisteredStore = JudgedStore & { readonly pd: PdStore };

/** Narrows to the stores that PD knows. */
export function isRegistered(store: JudgedStore): store is RegisteredStore {
  return store.pd !== undefined;
}

/**
 * Chooses the store that goes first when there are too many: from the fullest domain, by each topology key in turn; then what does not run; does
 * not serve; is marked `removeFirst`; has the fewest regions; stands on a cordoned host; is the youngest. When a dead store came back after
 * a spare took over some of its regions, it is the fewest regions that decide which of the two goes, so that the least data moves.
 */
export function chooseVictim(
  members: readonly RegisteredStore[],
  { desired: { storePod } }: Context,
): RegisteredStore | undefined {
  const crowds = crowdsOf(members, storePod.topologyKeys);
  const facts = members.map((store) => {
    const { record, pd, verdict } = store;
    return {
      store,
      order: [
        ...crowds(record.host).map((crowd) => -crowd),
        record.process.kind === "running" ? 1 : 0,
        verdict.kind === "live" ? 1 : 0,
        record.removeFirst ? 0 : 1,
        pd.regionCount,
        record.host?.isCordoned === true ? 0 : 1,
        -record.ordinal,
      ],
    };
  });
  return facts.sort((a, b) => compareOrders(a.order, b.order))[0]?.store;
}

/** Says in words why this one. */
export function describeVictim({ record, pd, verdict }: RegisteredStore): string {
  if (verdict.kind !== "live") return `${record.name} does not serve`;
  const mark = record.removeFirst ? " is marked to go first and" : "";
  return `${record.name}${mark} has ${pd.regionCount} regions`;
}

/**
 * Counts, for each topology key, the stores in the domain of a host. Where the domains of a key are even, or no label is known, it is 0: the
 * key has nothing to say.
 */
function crowdsOf(
  stores: readonly JudgedStore[],
  topologyKeys: readonly string[],
): (host: Host | undefined) => readonly number[] {
  const counters = topologyKeys.map((key) => {
    const counts = new Map<string, number>();
    for (const { record } of stores) {
      const domain = domainOf(record.host, key);
      if (domain !== undefined) counts.set(domain, (counts.get(domain) ?? 0) + 1);
    }
    const least = Math.min(...counts.values());
    return { key, surplusOf: (domain: string) => (counts.get(domain) ?? least) - least };
  });
  return (host) =>
    counters.map(({ key, surplusOf }) => {
      const domain = domainOf(host, key);
      return domain === undefined ? 0 : surplusOf(domain);
    });
}

function domainOf(host: Host | undefined, key: string): string | undefined {
  return host?.labels[key];
}

/** Compares two orders of the same length: the first difference decides. */
export function compareOrders(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
