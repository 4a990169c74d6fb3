/** Administration through PD: what operators, `rheactl` and tools ask for. Every call is idempotent and follows the leading member. */
import { RheaError } from "@rhea/common";
import {
  PdMethods,
  type AddOperationResponse,
  type ClusterConfig,
  type ClusterConfigInit,
  type ClusterInfoResponse,
  type EvictLeadersRequestInit,
  type Operation,
  type ScanRegionsResponse,
  type Method,
  type StoreInfo,
  type StoreRequest,
  type StoreRequestInit,
  type StoreResponse,
  type StoreResponseInit,
  type MemberRequestInit,
  type PdMember,
} from "@rhea/proto";
import { encodeBound, type Key } from "../keys.js";
import { timeoutOf, type CallOptions } from "../options.js";
import type { PdClient } from "./pd-client.js";

/** Who asks for a change: recorded with every operation. */
export type Origin = "operator" | "user";

/** Kinds of operations that can be asked for. */
export type OperationKind = "add-peer" | "remove-peer" | "replace-peer" | "transfer-leader" | "split";

/** Options of a change. */
export interface ChangeOptions extends CallOptions {
  /** Default "user". */
  readonly origin?: Origin;
}

/** A change to one region. */
export interface OperationRequest {
  readonly kind: OperationKind;
  readonly regionId: number;
  /** add-peer, transfer-leader: the target; remove-peer: whose peer; replace-peer: the new store, absent = PD chooses. */
  readonly storeId?: number | undefined;
  /** replace-peer: the store whose peer goes. */
  readonly fromStoreId?: number | undefined;
  /** remove-peer: instead of `storeId`. */
  readonly peerId?: number | undefined;
  /** split: absent = near the middle. */
  readonly splitKey?: Key | undefined;
  readonly origin?: Origin;
  readonly reason?: string;
}

/** Where a member of PD stands: a learner or not yet added, a voter, or on its way out. */
export type PdMemberState = "joining" | "member" | "removing";

/** A member of PD. */
export interface PdMemberInfo {
  readonly memberId: number;
  readonly name: string;
  /** `host:port`; empty while it is not known yet. */
  readonly address: string;
  readonly isLeader: boolean;
  readonly isVoter: boolean;
  /** The leader has heard of it within about 3 s. */
  readonly isHealthy: boolean;
  readonly state: PdMemberState;
  readonly version: string;
  readonly featureLevel: number;
}

/** See the file's header. All calls reject with PD's error (NOT_FOUND, OPERATION_REFUSED, ...) or DEADLINE_EXCEEDED. */
export interface Admin {
  clusterInfo(options?: CallOptions): Promise<ClusterInfoResponse>;
  /** Changes the fields given; returns all of the configuration. */
  setClusterConfig(config: ClusterConfigInit, options?: CallOptions): Promise<ClusterConfig>;
  stores(options?: CallOptions & { readonly includeTombstones?: boolean }): Promise<StoreInfo[]>;
  /** Begins to move all regions off a store. */
  drainStore(storeId: number, options?: ChangeOptions): Promise<StoreInfo>;
  cancelDrain(storeId: number, options?: ChangeOptions): Promise<StoreInfo>;
  /** Makes a drained store a tombstone. `force`: although regions are left on it, where they have a quorum without it. */
  removeStore(storeId: number, options?: ChangeOptions & { readonly force?: boolean }): Promise<StoreInfo>;
  /** Tells PD that a store's disk is gone: the store counts as dead from now on. */
  reportDiskLost(storeId: number, options: ChangeOptions & { readonly reason: string }): Promise<StoreInfo>;
  /**
   * Moves leaders off a store and keeps them off for `ttlMs` (default 60,000, at most 3,600,000); must be renewed, about every third of it: a new
   * leader of PD knows nothing of it until then. `release` ends it at once.
   */
  evictLeaders(
    storeId: number,
    options?: ChangeOptions & { readonly ttlMs?: number; readonly release?: boolean },
  ): Promise<StoreInfo>;
  /** Ends {@link Admin.evictLeaders} at once. */
  releaseLeaders(storeId: number, options?: ChangeOptions): Promise<StoreInfo>;
  /**
   * Lays labels (zone, rack, host) over those that a store registers with; they win, also after its restarts. An empty value takes one away
   * again. Rejects with NOT_FOUND, OPERATION_REFUSED (a tombstone), INVALID_ARGUMENT (a label without a name).
   */
  setStoreLabels(
    storeId: number,
    labels: Readonly<Record<string, string>>,
    options?: ChangeOptions,
  ): Promise<StoreInfo>;
  /** PD's members that are not removed, by id. */
  members(options?: CallOptions): Promise<PdMemberInfo[]>;
  /**
   * Takes a member out of PD for good; resolves when it is out. Unknown or removed already is fine. Rejects with OPERATION_REFUSED where the voters
   * left would have no live majority.
   */
  removeMember(name: string, options?: ChangeOptions): Promise<void>;
  /** Moves PD's leadership to a member. Rejects with NOT_FOUND, OPERATION_REFUSED (no voter, or silent), TRANSFER_FAILED. */
  transferPdLeader(name: string, options?: ChangeOptions): Promise<void>;
  /** Regions in key order. An absent bound is the end of the keyspace; `limit` default 10,000. */
  regions(
    options?: CallOptions & {
      readonly startKey?: Key | undefined;
      readonly endKey?: Key | undefined;
      readonly limit?: number;
      readonly withHealth?: boolean;
    },
  ): Promise<ScanRegionsResponse>;
  operations(
    options?: CallOptions & {
      readonly includeFinished?: boolean;
      readonly regionId?: number | undefined;
      readonly operationId?: number | undefined;
      readonly limit?: number;
    },
  ): Promise<Operation[]>;
  /** Asks for a change. Repeating one that is done or under way succeeds. */
  addOperation(request: OperationRequest, options?: CallOptions): Promise<AddOperationResponse>;
  cancelOperation(operationId: number, options?: ChangeOptions): Promise<Operation | null>;
  /** Closes the connections to PD. */
  close(): void;
}

/** Regions per answer where the caller gives no limit. */
const REGION_LIMIT = 10_000;

/** A field that every answer of this kind has. */
function present<T>(value: T | null, path: string): T {
  if (value === null) throw new RheaError("INTERNAL", `${path}: PD's answer lacks its content`);
  return value;
}

const STATES: readonly string[] = ["joining", "member", "removing"] satisfies PdMemberState[];

function memberInfo(member: PdMember): PdMemberInfo {
  const { memberId, name, address, leader, voter, healthy, version, featureLevel } = member;
  const state = STATES.includes(member.state) ? (member.state as PdMemberState) : "member";
  return {
    memberId,
    name,
    address,
    isLeader: leader,
    isVoter: voter,
    isHealthy: healthy,
    state,
    version,
    featureLevel,
  };
}

/** Makes the administration on top of a PD client. `timeoutMs`: default time per call. */
export function createAdminCalls(pd: PdClient, timeoutMs: number): Admin {
  const { header } = pd;
  const within = (options: CallOptions | undefined): CallOptions & { timeoutMs: number } => ({
    timeoutMs: timeoutOf(options, timeoutMs),
    signal: options?.signal,
  });
  const storeCall = async (
    method: Method<StoreRequestInit, StoreResponseInit, StoreRequest, StoreResponse>,
    storeId: number,
    options: (ChangeOptions & { readonly force?: boolean }) | undefined,
  ): Promise<StoreInfo> => {
    const request = { header, storeId, origin: options?.origin ?? "user", force: options?.force ?? false };
    return present((await pd.call(method, request, within(options))).store, method.path);
  };
  const evictCall = async (request: EvictLeadersRequestInit, options: CallOptions | undefined): Promise<StoreInfo> =>
    present((await pd.call(PdMethods.EvictLeaders, request, within(options))).store, PdMethods.EvictLeaders.path);
  const memberRequest = (name: string, options: ChangeOptions | undefined): MemberRequestInit => ({
    header,
    name,
    origin: options?.origin ?? "user",
  });
  return {
    async clusterInfo(options) {
      const info = await pd.call(PdMethods.ClusterInfo, { header }, within(options));
      pd.learn(info.members.map(({ address }) => address));
      return info;
    },
    async setClusterConfig(config, options) {
      const answer = await pd.call(PdMethods.SetClusterConfig, { header, config }, within(options));
      return present(answer.config, PdMethods.SetClusterConfig.path);
    },
    async stores(options) {
      const includeTombstones = options?.includeTombstones ?? false;
      return (await pd.call(PdMethods.GetStores, { header, includeTombstones }, within(options))).stores;
    },
    drainStore: (storeId, options) => storeCall(PdMethods.DrainStore, storeId, options),
    cancelDrain: (storeId, options) => storeCall(PdMethods.CancelDrain, storeId, options),
    removeStore: (storeId, options) => storeCall(PdMethods.RemoveStore, storeId, options),
    async reportDiskLost(storeId, options) {
      const request = { header, storeId, origin: options.origin ?? "user", reason: options.reason };
      const answer = await pd.call(PdMethods.ReportDiskLost, request, within(options));
      return present(answer.store, PdMethods.ReportDiskLost.path);
    },
    evictLeaders: (storeId, options) =>
      evictCall(
        {
          ...{ header, storeId, ttlMs: options?.ttlMs ?? 0, release: options?.release ?? false },
          origin: options?.origin ?? "user",
        },
        options,
      ),
    releaseLeaders: (storeId, options) =>
      evictCall({ header, storeId, release: true, origin: options?.origin ?? "user" }, options),
    async setStoreLabels(storeId, labels, options) {
      const request = { header, storeId, labels, origin: options?.origin ?? "user" };
      const answer = await pd.call(PdMethods.SetStoreLabels, request, within(options));
      return present(answer.store, PdMethods.SetStoreLabels.path);
    },
    async members(options) {
      const { members } = await pd.call(PdMethods.GetMembers, { header }, within(options));
      pd.learn(members.map(({ address }) => address));
      return members.map(memberInfo);
    },
    async removeMember(name, options) {
      await pd.call(PdMethods.RemoveMember, memberRequest(name, options), within(options));
    },
    async transferPdLeader(name, options) {
      await pd.call(PdMethods.TransferPdLeader, memberRequest(name, options), within(options));
    },
    async regions(options) {
      const request = {
        header,
        startKey: encodeBound(options?.startKey),
        endKey: encodeBound(options?.endKey),
        limit: options?.limit ?? REGION_LIMIT,
        withHealth: options?.withHealth ?? false,
      };
      return pd.call(PdMethods.ScanRegions, request, within(options));
    },
    async operations(options) {
      const { includeFinished = false, regionId = 0, operationId = 0, limit = 0 } = options ?? {};
      const request = { header, includeFinished, regionId, operationId, limit };
      return (await pd.call(PdMethods.ListOperations, request, within(options))).operations;
    },
    async addOperation(request, options) {
      return pd.call(
        PdMethods.AddOperation,
        {
          header,
          kind: request.kind,
          regionId: request.regionId,
          storeId: request.storeId ?? 0,
          fromStoreId: request.fromStoreId ?? 0,
          peerId: request.peerId ?? 0,
          splitKey: encodeBound(request.splitKey),
          origin: request.origin ?? "user",
          reason: request.reason ?? "",
        },
        within(options),
      );
    },
    async cancelOperation(operationId, options) {
      const request = { header, operationId, origin: options?.origin ?? "user" };
      return (await pd.call(PdMethods.CancelOperation, request, within(options))).operation;
    },
    close: () => pd.close(),
  };
}
