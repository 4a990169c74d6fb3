/** All stores by id. Pure structure; the service decides what may change. */
import type { StoreStats } from "@rhea/proto";
import type { PersistedStore, StoreIdentity, StoreIntent, StoreView } from "./store.js";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type StoreRecord = Mutable<StoreView>;

/** Read access to {@link StoreTable}. */
export interface StoresView {
  get(storeId: number): StoreView | undefined;
  /** All stores, tombstones included, by id. */
  all(): readonly StoreView[];
}

/** The store table. */
export class StoreTable implements StoresView {
  readonly #stores = new Map<number, StoreRecord>();
  #ordered: readonly StoreRecord[] | undefined;

  get(storeId: number): StoreView | undefined {
    return this.#stores.get(storeId);
  }

  all(): readonly StoreView[] {
    this.#ordered ??= [...this.#stores.values()].sort((a, b) => a.storeId - b.storeId);
    return this.#ordered;
  }

  /** Takes in a persisted store; its silence counts from `nowMs`. */
  restore(persisted: PersistedStore, nowMs: number): void {
    this.#add({
      ...persisted,
      ownLabels: persisted.labels,
      labels: { ...persisted.labels, ...persisted.setLabels },
      isConnected: false,
      lastHeartbeatMs: nowMs,
      stats: undefined,
      faults: new Map(),
      evictLeadersUntilMs: 0,
    });
  }

  /** Takes in what a store says of itself, new or known. Returns whether anything changed. */
  putIdentity(identity: StoreIdentity, nowMs: number): boolean {
    const known = this.#stores.get(identity.storeId);
    if (known === undefined) {
      const fresh = { drainTotal: 0, drainOrigin: "", diskLost: false, diskLostReason: "", setLabels: {} };
      this.restore({ ...identity, lifecycle: "up", ...fresh }, nowMs);
      return true;
    }
    const before = pickIdentity({ ...known, labels: known.ownLabels });
    const hasChanged = JSON.stringify(before) !== JSON.stringify(pickIdentity(identity));
    const { labels: ownLabels } = identity;
    Object.assign(known, pickIdentity(identity), { ownLabels, labels: { ...ownLabels, ...known.setLabels } });
    return hasChanged;
  }

  /** Notes that the heartbeat stream opened or closed. */
  setConnected(storeId: number, isConnected: boolean): void {
    const store = this.#stores.get(storeId);
    if (store !== undefined) store.isConnected = isConnected;
  }

  /** Notes a sign of life, with statistics if it brought any. */
  heard(storeId: number, stats: StoreStats | null, nowMs: number): void {
    const store = this.#stores.get(storeId);
    if (store === undefined) return;
    store.lastHeartbeatMs = nowMs;
    if (stats === null) return;
    store.stats = stats;
    store.faults = new Map(
      stats.faults.map(({ regionId, peerId, code, message }) => [regionId, { peerId, code, message }]),
    );
  }

  /** Changes what is wanted of the store. */
  setIntent(storeId: number, change: StoreIntent): void {
    const store = this.#stores.get(storeId);
    if (store === undefined) return;
    Object.assign(store, change);
    if (change.setLabels !== undefined) store.labels = { ...store.ownLabels, ...store.setLabels };
  }

  /** Sets until when leaders leave this store; 0 ends it. */
  setEvictLeaders(storeId: number, untilMs: number): void {
    const store = this.#stores.get(storeId);
    if (store !== undefined) store.evictLeadersUntilMs = untilMs;
  }

  #add(record: StoreRecord): void {
    this.#stores.set(record.storeId, record);
    this.#ordered = undefined;
  }
}

function pickIdentity(store: StoreIdentity): StoreIdentity {
  return {
    storeId: store.storeId,
    name: store.name,
    address: store.address,
    statusAddress: store.statusAddress,
    raftAddress: store.raftAddress,
    uuid: store.uuid,
    incarnation: store.incarnation,
    bootNonce: store.bootNonce,
    labels: store.labels,
    version: store.version,
    featureLevel: store.featureLevel,
  };
}
