/** What PD keeps and under which keys: `cluster`, `config`, `ids`, `feature`, `store/ID`, `region/ID`, `operation/ID`, `member/ID` (ids as 16 hexadecimal digits). */
import { InvariantError } from "@rhea/common";
import {
  ClusterConfig,
  Operation,
  PdBootstrapRecord,
  PdFeatureLevel,
  PdIdWindow,
  PdMemberRecord,
  PdStoreRecord,
  Region,
} from "@rhea/proto";
import {
  regionFromProto,
  regionToProto,
  storeFromRecord,
  storeToRecord,
  type RegionDescriptor,
  type StoreView,
} from "../cluster/index.js";
import { memberFromRecord, memberToRecord, type MemberRecord } from "../members/index.js";
import { operationFromProto, operationToProto, type OperationView } from "../operations/index.js";
import type { MetadataEntry, MetadataStore } from "./metadata-store.js";

const CLUSTER_KEY = "cluster";
const CONFIG_KEY = "config";
const IDS_KEY = "ids";
const FEATURE_KEY = "feature";
/** The first id that is given out: 1 is PD's own group. */
const FIRST_ID = 2;

const idKey = (kind: "store" | "region" | "operation" | "member", id: number) =>
  `${kind}/${id.toString(16).padStart(16, "0")}`;

/** Everything that was persisted. */
export interface PersistedState {
  readonly bootstrap: PdBootstrapRecord | undefined;
  /** What SetClusterConfig wrote; absent fields were never set. */
  readonly config: ClusterConfig;
  /** Ids below it may have been given out. */
  readonly idEnd: number;
  readonly stores: readonly NonNullable<ReturnType<typeof storeFromRecord>>[];
  /** In no order; where two overlap the higher version is right. */
  readonly regions: readonly RegionDescriptor[];
  readonly operations: readonly OperationView[];
  /** PD's members, removed ones too. */
  readonly members: readonly MemberRecord[];
  /** The feature level in force. */
  readonly featureLevel: number;
}

/** Reads and writes PD's records. */
export class Records {
  readonly #metadata: MetadataStore;

  constructor(metadata: MetadataStore) {
    this.#metadata = metadata;
  }

  /** Reads everything. Call after leadership is confirmed. `nowMs`: where the clocks of resumed operations start. */
  async load(nowMs: number): Promise<PersistedState> {
    const one = async (key: string) => (await this.#metadata.scan(key)).find((entry) => entry.key === key)?.value;
    const [bootstrap, config, ids] = [await one(CLUSTER_KEY), await one(CONFIG_KEY), await one(IDS_KEY)];
    const feature = await one(FEATURE_KEY);
    const stores = await this.#metadata.scan("store/");
    const regions = await this.#metadata.scan("region/");
    const operations = await this.#metadata.scan("operation/");
    return {
      bootstrap: bootstrap === undefined ? undefined : PdBootstrapRecord.decode(bootstrap),
      config: ClusterConfig.decode(config ?? new Uint8Array()),
      idEnd: ids === undefined ? FIRST_ID : PdIdWindow.decode(ids).end,
      stores: stores.map(({ key, value }) => {
        const store = storeFromRecord(PdStoreRecord.decode(value));
        if (store === undefined) throw new InvariantError(`metadata: record ${key} holds no store`);
        return store;
      }),
      regions: regions.map(({ value }) => regionFromProto(Region.decode(value))),
      operations: operations.flatMap(({ value }) => operationFromProto(Operation.decode(value), nowMs) ?? []),
      members: await this.members(),
      featureLevel: feature === undefined ? 1 : PdFeatureLevel.decode(feature).level,
    };
  }

  /** The records of PD's members as applied here; on a follower they may be a little old. */
  async members(): Promise<readonly MemberRecord[]> {
    const members = await this.#metadata.scan("member/");
    return members.flatMap(({ value }) => memberFromRecord(PdMemberRecord.decode(value)) ?? []);
  }

  /** What SetClusterConfig wrote, as applied here. */
  async config(): Promise<ClusterConfig> {
    const entry = (await this.#metadata.scan(CONFIG_KEY)).find(({ key }) => key === CONFIG_KEY);
    return ClusterConfig.decode(entry?.value ?? new Uint8Array());
  }

  async saveMember(member: MemberRecord): Promise<void> {
    const value = PdMemberRecord.encode(memberToRecord(member)).finish();
    await this.#metadata.put([{ key: idKey("member", member.memberId), value }]);
  }

  async saveFeatureLevel(level: number): Promise<void> {
    await this.#metadata.put([{ key: FEATURE_KEY, value: PdFeatureLevel.encode({ level }).finish() }]);
  }

  /** Records the first region unless one is recorded: exactly one caller wins. */
  async bootstrap(record: PdBootstrapRecord): Promise<boolean> {
    return this.#metadata.compareAndPut(CLUSTER_KEY, undefined, PdBootstrapRecord.encode(record).finish());
  }

  /** Reads the winner's record. */
  async readBootstrap(): Promise<PdBootstrapRecord | undefined> {
    const entry = (await this.#metadata.scan(CLUSTER_KEY)).find(({ key }) => key === CLUSTER_KEY);
    return entry === undefined ? undefined : PdBootstrapRecord.decode(entry.value);
  }

  async saveConfig(config: ClusterConfig): Promise<void> {
    await this.#metadata.put([{ key: CONFIG_KEY, value: ClusterConfig.encode(config).finish() }]);
  }

  async saveStore(store: StoreView): Promise<void> {
    const value = PdStoreRecord.encode(storeToRecord(store)).finish();
    await this.#metadata.put([{ key: idKey("store", store.storeId), value }]);
  }

  /** Moves the end of the id window from `from` to `to`. Returns false when another leader has moved it: this one is stale. */
  async moveIdEnd(from: number, to: number): Promise<boolean> {
    const expect = from === FIRST_ID ? undefined : PdIdWindow.encode({ end: from }).finish();
    return this.#metadata.compareAndPut(IDS_KEY, expect, PdIdWindow.encode({ end: to }).finish());
  }

  /** Writes regions, then removes the evicted. A crash in between leaves an older overlapping record, which loading drops. */
  async saveRegions(changed: readonly RegionDescriptor[], removedIds: readonly number[]): Promise<void> {
    const entries: MetadataEntry[] = changed.map((region) => ({
      key: idKey("region", region.regionId),
      value: Region.encode(regionToProto(region)).finish(),
    }));
    if (entries.length > 0) await this.#metadata.put(entries);
    if (removedIds.length > 0) await this.#metadata.delete(removedIds.map((id) => idKey("region", id)));
  }

  async saveOperation(operation: OperationView, nowMs: number): Promise<void> {
    const value = Operation.encode(operationToProto(operation, nowMs)).finish();
    await this.#metadata.put([{ key: idKey("operation", operation.operationId), value }]);
  }

  async removeOperation(operationId: number): Promise<void> {
    await this.#metadata.delete([idKey("operation", operationId)]);
  }
}
