/** The whole of what PD knows, in memory. */
import { RegionMap, type RegionsView } from "./region-map.js";
import type { ClusterSettings } from "./settings.js";
import { StoreTable, type StoresView } from "./store-table.js";

/** What checkers, schedulers and handlers read. They never change it. */
export interface ClusterView {
  readonly regions: RegionsView;
  readonly stores: StoresView;
  readonly settings: ClusterSettings;
}

/** The model that the service changes. */
export interface Cluster extends ClusterView {
  readonly regions: RegionMap;
  readonly stores: StoreTable;
  settings: ClusterSettings;
}

/** Makes an empty model. */
export function createCluster(settings: ClusterSettings): Cluster {
  return { regions: new RegionMap(), stores: new StoreTable(), settings };
}
