/** Peers that stores said to hold though the region, as PD knows it, does not have them. Settled by the region's next report. */

/** Claims remembered at most; beyond that new ones wait for the store's next full round. */
const MAX_CLAIMS = 100_000;

/**
 * Only a report that comes this long after the claim settles it, ms: streams of different stores overtake each other, and a report that its
 * leader sent before it added the peer would have a new peer destroyed.
 */
const SETTLE_MS = 5000;

interface Claim {
  readonly storeId: number;
  readonly peerId: number;
  /** Monotonic ms. */
  readonly atMs: number;
}

/** The claims by region. */
export class HeldPeerClaims {
  readonly #byRegion = new Map<number, Map<number, Claim>>();
  #size = 0;

  /** Remembers that `storeId` holds `peerId`; when it is said again, the first time counts. */
  add(regionId: number, storeId: number, peerId: number, nowMs: number): void {
    if (this.#size >= MAX_CLAIMS) return;
    let claims = this.#byRegion.get(regionId);
    if (claims === undefined) this.#byRegion.set(regionId, (claims = new Map<number, Claim>()));
    if (claims.has(peerId)) return;
    this.#size++;
    claims.set(peerId, { storeId, peerId, atMs: nowMs });
  }

  /** Takes out the claims of a region that its report of this moment settles. */
  take(regionId: number, nowMs: number): readonly { readonly storeId: number; readonly peerId: number }[] {
    const claims = this.#byRegion.get(regionId);
    if (claims === undefined) return [];
    const settled = [...claims.values()].filter(({ atMs }) => nowMs - atMs >= SETTLE_MS);
    for (const { peerId } of settled) claims.delete(peerId);
    if (claims.size === 0) this.#byRegion.delete(regionId);
    this.#size -= settled.length;
    return settled;
  }
}
