/** One store as PD knows it: identity and intent (persisted), heartbeat state (not). */
import {
  StoreState,
  type PdStoreRecord,
  type PdStoreRecordInit,
  type Store,
  type StoreInit,
  type StoreStats,
} from "@rhea/proto";
import type { ClusterSettings } from "./settings.js";

/** What a store says of itself. `uuid` and `bootNonce` are hexadecimal. */
export interface StoreIdentity {
  readonly storeId: number;
  readonly name: string;
  readonly address: string;
  readonly statusAddress: string;
  readonly raftAddress: string;
  readonly uuid: string;
  readonly incarnation: number;
  readonly bootNonce: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly version: string;
  readonly featureLevel: number;
}

/** What is wanted of a store: `up` serves, `draining` is emptied, `tombstone` is gone for good. */
export type StoreLifecycle = "up" | "draining" | "tombstone";

/** A store with its heartbeat state. The table owns it; all others only read. */
export interface StoreView extends StoreIdentity {
  /** What counts for placement: {@link StoreView.setLabels} over {@link StoreView.ownLabels}. */
  readonly labels: Readonly<Record<string, string>>;
  /** As the store registered with them. */
  readonly ownLabels: Readonly<Record<string, string>>;
  /** As they were set through PD: who sets them knows better than the process where it stands. */
  readonly setLabels: Readonly<Record<string, string>>;
  readonly lifecycle: StoreLifecycle;
  /** Regions with a peer here when the drain began. */
  readonly drainTotal: number;
  readonly drainOrigin: string;
  readonly diskLost: boolean;
  readonly diskLostReason: string;
  /** A heartbeat stream is open. */
  readonly isConnected: boolean;
  /** Monotonic ms of the last heartbeat, or of when this PD began to lead if there was none since. */
  readonly lastHeartbeatMs: number;
  readonly stats: StoreStats | undefined;
  /** Peers in `error` or condemned, by region id. */
  readonly faults: ReadonlyMap<number, { readonly peerId: number; readonly code: string; readonly message: string }>;
  /** Monotonic ms at which the lease under which leaders leave this store ends; 0: none. */
  readonly evictLeadersUntilMs: number;
}

/** What is wanted of a store and what is known of its disk: the part of its record that PD changes. */
export type StoreIntent = Partial<
  Pick<StoreView, "lifecycle" | "drainTotal" | "drainOrigin" | "diskLost" | "diskLostReason" | "setLabels">
>;

/** How a store is doing: `disconnected` gets nothing new, a peer on a `down` store counts as lost. */
export type StoreHealth = "up" | "disconnected" | "down";

/** Judges a store by the age of its heartbeat. */
export function storeHealth(store: StoreView, nowMs: number, settings: ClusterSettings): StoreHealth {
  const silentMs = nowMs - store.lastHeartbeatMs;
  if (store.diskLost || store.lifecycle === "tombstone" || silentMs > settings.maxDownTimeMs) return "down";
  return silentMs > settings.disconnectedAfterMs ? "disconnected" : "up";
}

/** Whether a peer on this store can be counted as alive when a removal is proven. */
export function isLiveStore(store: StoreView | undefined, nowMs: number, settings: ClusterSettings): boolean {
  return store?.isConnected === true && storeHealth(store, nowMs, settings) === "up";
}

/** Whether leaders should leave this store. */
export function isEvictingLeaders(store: StoreView, nowMs: number): boolean {
  return store.lifecycle === "draining" || store.evictLeadersUntilMs > nowMs || store.stats?.drainingLeaders === true;
}

const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** Reads a store's own words from the wire. */
export function identityFromProto(store: Store): StoreIdentity {
  return {
    storeId: store.storeId,
    name: store.name,
    address: store.address,
    statusAddress: store.statusAddress,
    raftAddress: store.raftAddress,
    uuid: toHex(store.uuid),
    incarnation: store.incarnation,
    bootNonce: toHex(store.bootNonce),
    labels: { ...store.labels },
    version: store.version,
    featureLevel: store.featureLevel,
  };
}

/** The state that the wire shows: the intent first, then the health. */
export function stateForWire(store: StoreView, nowMs: number, settings: ClusterSettings): StoreState {
  if (store.lifecycle === "tombstone") return StoreState.STORE_TOMBSTONE;
  if (store.lifecycle === "draining") return StoreState.STORE_DRAINING;
  const health = storeHealth(store, nowMs, settings);
  if (health === "down") return StoreState.STORE_DOWN;
  return health === "disconnected" ? StoreState.STORE_DISCONNECTED : StoreState.STORE_UP;
}

/** Writes a store for the wire, with a state as seen by {@link stateForWire}. */
export function storeToProto(store: StoreIdentity, state: StoreState): StoreInit {
  return {
    storeId: store.storeId,
    name: store.name,
    address: store.address,
    statusAddress: store.statusAddress,
    raftAddress: store.raftAddress,
    uuid: Buffer.from(store.uuid, "hex"),
    incarnation: store.incarnation,
    bootNonce: Buffer.from(store.bootNonce, "hex"),
    labels: store.labels,
    version: store.version,
    featureLevel: store.featureLevel,
    state,
  };
}

const PERSISTED_STATES: Record<StoreLifecycle, StoreState> = {
  up: StoreState.STORE_UP,
  draining: StoreState.STORE_DRAINING,
  tombstone: StoreState.STORE_TOMBSTONE,
};

/** Writes what is persisted of a store. */
export function storeToRecord(store: StoreView): PdStoreRecordInit {
  return {
    store: storeToProto({ ...store, labels: store.ownLabels }, PERSISTED_STATES[store.lifecycle]),
    drainTotal: store.drainTotal,
    drainOrigin: store.drainOrigin,
    diskLost: store.diskLost,
    diskLostReason: store.diskLostReason,
    setLabels: store.setLabels,
  };
}

/** What a persisted record holds, ready for {@link StoreTable.restore}; its labels are the store's own. */
export type PersistedStore = Omit<
  StoreView,
  "isConnected" | "lastHeartbeatMs" | "stats" | "faults" | "evictLeadersUntilMs" | "ownLabels"
>;

/** Reads a persisted store. */
export function storeFromRecord(record: PdStoreRecord): PersistedStore | undefined {
  if (record.store === null) return undefined;
  const { state } = record.store;
  return {
    ...identityFromProto(record.store),
    lifecycle:
      state === StoreState.STORE_TOMBSTONE ? "tombstone" : state === StoreState.STORE_DRAINING ? "draining" : "up",
    drainTotal: record.drainTotal,
    drainOrigin: record.drainOrigin,
    diskLost: record.diskLost,
    diskLostReason: record.diskLostReason,
    setLabels: { ...record.setLabels },
  };
}
