/** Peers that stores said to hold though the region, as PD knows it, does not have them. Settled by the region's next report. */

/** Claims remembered at most; beyond that new ones wait for the store's next full round. */
const MAX_CLAIMS = 100_000;

/** The claims by region. */
export class HeldPeerClaims {
  readonly #byRegion = new Map<number, Map<number, number>>();
  #size = 0;

  /** Remembers that `storeId` holds `peerId`. */
  add(regionId: number, storeId: number, peerId: number): void {
    if (this.#size >= MAX_CLAIMS) return;
    let claims = this.#byRegion.get(regionId);
    if (claims === undefined) this.#byRegion.set(regionId, (claims = new Map<number, number>()));
    if (!claims.has(peerId)) this.#size++;
    claims.set(peerId, storeId);
  }

  /** Takes out the claims of a region. */
  take(regionId: number): readonly { readonly storeId: number; readonly peerId: number }[] {
    const claims = this.#byRegion.get(regionId);
    if (claims === undefined) return [];
    this.#byRegion.delete(regionId);
    this.#size -= claims.size;
    return [...claims].map(([peerId, storeId]) => ({ storeId, peerId }));
  }
}
