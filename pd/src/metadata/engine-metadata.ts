/** The metadata store on an embedded store engine: PD's own group 1, one region over the whole keyspace. */
import { asBuffer, fromLatin1, RheaError, toLatin1, type RpcServer } from "@rhea/common";
import { CommandKind, ReadKind, type CommandInit, type CommandResult } from "@rhea/proto";
import {
  openStoreEngine,
  type InitialRegion,
  type KvEngine,
  type RegionHandle,
  type StoreEngine,
  type StoreEngineOptions,
  type StoreEnvironment,
} from "@rhea/store";
import type { MemberGroup } from "../members/index.js";
import type { MetadataEntry, MetadataStore } from "./metadata-store.js";

/** PD's own group; region ids begin above it. */
const PD_GROUP = 1;
/** Rows of one page when everything is loaded. */
const PAGE_ROWS = 4096;

/** How to open the metadata region. */
export interface EngineMetadataOptions {
  readonly env: StoreEnvironment;
  /** Open; the caller closes it after the metadata store. */
  readonly kv: KvEngine;
  readonly clusterId: number;
  /** Store id and peer id in PD's group. */
  readonly memberId: number;
  readonly incarnation: number;
  readonly bootNonce: Uint8Array;
  readonly logDirectory: string;
  readonly snapshotDirectory: string;
  /**
   * What is expected on the disk. `first`: nothing, or what a first start that was cut short left; the region is made. `joining`: nothing or
   * a beginning; a leader sends the region. `known`: the region; its absence is CORRUPTION, or STALE_IDENTITY if this member was removed.
   */
  readonly expect: "first" | "joining" | "known";
  readonly raft?: NonNullable<StoreEngineOptions["raft"]>;
  /** `host:port` of another member. */
  readonly resolve: (memberId: number) => string | undefined;
  /** Told when the leader, the configuration or this member's part in it may have changed. */
  readonly onChanged: () => void;
  /** The disk failed, an invariant broke, or this member was removed (STALE_IDENTITY): the process must stop. */
  readonly onFatal: (error: RheaError) => void;
}

/** The metadata store on an engine, with what the process needs beside. */
export interface EngineMetadataStore extends MetadataStore {
  /** Registers raft on the server that the owner listens with. */
  addServices(server: RpcServer): void;
}

/** Opens the engine. A lone voter campaigns at once, so its leadership begins without an election timeout. */
export async function openEngineMetadata(options: EngineMetadataOptions): Promise<EngineMetadataStore> {
  const { memberId, expect, onChanged, onFatal } = options;
  const leadership = new LeadershipSignal();
  let hadRegion = false;
  const noteRegion = (): void => {
    const isThere = held.engine?.region(PD_GROUP) !== undefined;
    const fault = held.engine?.faults().find(({ regionId }) => regionId === PD_GROUP)?.error;
    if (hadRegion && !isClosing && (fault !== undefined || !isThere)) onFatal(fault ?? removed(memberId));
    hadRegion ||= isThere;
    onChanged();
  };
  let isClosing = false;
  const held: { engine?: StoreEngine } = {};
  const engine = await openStoreEngine({
    ...options,
    storeId: memberId,
    initialRegions: expect === "first" ? [wholeKeyspace(memberId)] : [],
    resolveStore: options.resolve,
    onRegionLeadership: (regionId, isLeader) => {
      if (regionId === PD_GROUP) leadership.set(isLeader);
    },
    onRegionChanged: noteRegion,
  });
  held.engine = engine;
  const fault = engine.faults().find(({ regionId }) => regionId === PD_GROUP)?.error;
  const wasRemoved = engine.wasDestroyed(PD_GROUP);
  if (fault !== undefined || wasRemoved || (expect === "known" && engine.region(PD_GROUP) === undefined)) {
    isClosing = true;
    await engine.close();
    if (wasRemoved) throw removed(memberId);
    throw fault ?? new RheaError("CORRUPTION", "the metadata region (group 1) is not in PD's data directory");
  }
  hadRegion = engine.region(PD_GROUP) !== undefined;
  const node = engine.host.group(PD_GROUP);
  if (node?.listPeers().every(({ peerId, role }) => peerId === memberId || role === "learner") === true)
    node.campaign();
  return new EngineMetadata(engine, leadership, options.resolve, () => (isClosing = true));
}

function removed(memberId: number): RheaError {
  return new RheaError(
    "STALE_IDENTITY",
    `PD member ${memberId} was removed from the cluster for good: delete its data directory`,
  );
}

function wholeKeyspace(memberId: number): InitialRegion {
  const voters = [{ peerId: memberId, storeId: memberId }];
  return { regionId: PD_GROUP, startKey: new Uint8Array(), endKey: new Uint8Array(), voters };
}

/** Remembers leadership until somebody listens. */
class LeadershipSignal {
  isLeader = false;
  #listener: ((isLeader: boolean) => void) | undefined;

  set(isLeader: boolean): void {
    this.isLeader = isLeader;
    this.#listener?.(isLeader);
  }

  listen(listener: (isLeader: boolean) => void): void {
    this.#listener = listener;
    listener(this.isLeader);
  }

  stop(): void {
    this.#listener = undefined;
  }
}

class EngineMetadata implements EngineMetadataStore {
  readonly group: MemberGroup;
  readonly #engine: StoreEngine;
  readonly #leadership: LeadershipSignal;
  readonly #resolve: (memberId: number) => string | undefined;
  readonly #onClosing: () => void;

  constructor(
    engine: StoreEngine,
    leadership: LeadershipSignal,
    resolve: (memberId: number) => string | undefined,
    onClosing: () => void,
  ) {
    this.#engine = engine;
    this.#leadership = leadership;
    this.#resolve = resolve;
    this.#onClosing = onClosing;
    this.group = engineGroup(engine);
  }

  get isLeader(): boolean {
    return this.#leadership.isLeader;
  }

  get leaderAddress(): string {
    const { leaderId } = this.group;
    return leaderId === 0 ? "" : (this.#resolve(leaderId) ?? "");
  }

  addServices(server: RpcServer): void {
    this.#engine.host.addServices(server);
  }

  async confirmLeadership(): Promise<void> {
    // A ReadIndex is answered only after an entry of the leader's own term is committed and applied.
    await this.#region().read({ kind: ReadKind.READ_GET, key: fromLatin1("cluster") });
  }

  async scan(prefix: string): Promise<readonly MetadataEntry[]> {
    const entries: MetadataEntry[] = [];
    if (!this.group.isLoaded) return entries;
    const region = this.#region();
    const end = fromLatin1(afterPrefix(prefix));
    let start = fromLatin1(prefix);
    for (;;) {
      const rows = await region.scanLocal(start, end, PAGE_ROWS);
      for (const { key, value } of rows) entries.push({ key: toLatin1(key), value });
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE_ROWS) return entries;
      start = Buffer.concat([last.key, Buffer.alloc(1)]);
    }
  }

  async put(entries: readonly MetadataEntry[]): Promise<void> {
    await this.#execute({
      kind: CommandKind.CMD_PUT_LIST,
      entries: entries.map(({ key, value }) => ({ key: fromLatin1(key), value })),
    });
  }

  async delete(keys: readonly string[]): Promise<void> {
    await this.#execute({
      kind: CommandKind.CMD_DELETE_LIST,
      entries: keys.map((key) => ({ key: fromLatin1(key) })),
    });
  }

  async compareAndPut(key: string, expect: Uint8Array | undefined, value: Uint8Array): Promise<boolean> {
    const { applied } = await this.#execute({
      kind: CommandKind.CMD_COMPARE_AND_PUT,
      key: fromLatin1(key),
      value: asBuffer(value),
      ...(expect === undefined ? {} : { expect: asBuffer(expect) }),
    });
    return applied;
  }

  onLeadership(listener: (isLeader: boolean) => void): void {
    this.#leadership.listen(listener);
  }

  handOver(timeoutMs: number): Promise<void> {
    return this.#engine.host.transferAllLeaders(timeoutMs);
  }

  async close(): Promise<void> {
    this.#onClosing();
    this.#leadership.stop();
    await this.#engine.close();
  }

  async #execute(command: CommandInit): Promise<CommandResult> {
    return this.#region().execute(command);
  }

  #region(): RegionHandle {
    return requireRegion(this.#engine);
  }
}

function requireRegion(engine: StoreEngine): RegionHandle {
  const region = engine.region(PD_GROUP);
  if (region !== undefined) return region;
  throw new RheaError("LEADER_NOT_AVAILABLE", "this PD member does not have the metadata region yet");
}

/** PD's group on the engine. */
function engineGroup(engine: StoreEngine): MemberGroup {
  const node = () => engine.host.group(PD_GROUP);
  return {
    get isLoaded() {
      return engine.region(PD_GROUP)?.state === "live";
    },
    get leaderId() {
      const leader = node()?.leaderId ?? 0;
      return leader;
    },
    peers: () =>
      (node()?.listPeers() ?? []).map(({ peerId, role }) => ({ memberId: peerId, isVoter: role === "voter" })),
    progress: () =>
      (node()?.status().progress ?? []).map(({ peerId, role, isCaughtUp, lastActiveMs }) => ({
        ...{ memberId: peerId, isVoter: role === "voter" },
        ...{ isCaughtUp, silentMs: lastActiveMs },
      })),
    addPeer: async (memberId, role) => requireRegion(engine).addPeer({ peerId: memberId, storeId: memberId, role }),
    removePeer: async (memberId) => requireRegion(engine).removePeer(memberId),
    transferTo: async (memberId) => requireRegion(engine).transferLeadershipTo(memberId),
  };
}

/** The least key above all keys with the prefix. Prefixes here are text, so the last char has a successor. */
function afterPrefix(prefix: string): string {
  const last = prefix.length - 1;
  return prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1);
}
