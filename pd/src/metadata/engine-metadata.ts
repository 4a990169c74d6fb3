/** The metadata store on an embedded store engine: PD's own group 1, one region over the whole keyspace. */
import { asBuffer, fromLatin1, RheaError, toLatin1 } from "@rhea/common";
import { CommandKind, ReadKind, type CommandInit, type CommandResult } from "@rhea/proto";
import {
  openStoreEngine,
  type InitialRegion,
  type KvEngine,
  type RegionHandle,
  type StoreEngine,
  type StoreEnvironment,
} from "@rhea/store";
import type { MetadataEntry, MetadataStore } from "./metadata-store.js";

/** PD's own group; region ids begin above it. */
const PD_GROUP = 1;
/** Rows of one page when everything is loaded. */
const PAGE_ROWS = 4096;

/** How to open the metadata region. One member in this version: it is the only voter. */
export interface EngineMetadataOptions {
  readonly env: StoreEnvironment;
  /** Open; the caller closes it after the metadata store. */
  readonly kv: KvEngine;
  readonly clusterId: number;
  readonly memberId: number;
  readonly incarnation: number;
  readonly bootNonce: Uint8Array;
  readonly logDirectory: string;
  readonly snapshotDirectory: string;
  /** True at a first start: the region is made. Else its absence is CORRUPTION. */
  readonly isNew: boolean;
  /** The disk failed or an invariant broke: the process must stop. */
  readonly onFatal: (error: RheaError) => void;
}

/** Opens the engine. The only voter campaigns at once, so leadership begins without an election timeout. */
export async function openEngineMetadata(options: EngineMetadataOptions): Promise<MetadataStore> {
  const { memberId } = options;
  const leadership = new LeadershipSignal();
  const engine = await openStoreEngine({
    ...options,
    storeId: memberId,
    initialRegions: options.isNew ? [wholeKeyspace(memberId)] : [],
    resolveStore: () => undefined,
    onRegionLeadership: (regionId, isLeader) => {
      if (regionId === PD_GROUP) leadership.set(isLeader);
    },
  });
  const region = engine.region(PD_GROUP);
  if (region === undefined) {
    const fault = engine.faults().find(({ regionId }) => regionId === PD_GROUP)?.error;
    await engine.close();
    throw fault ?? new RheaError("CORRUPTION", "the metadata region (group 1) is not in PD's data directory");
  }
  engine.host.group(PD_GROUP)?.campaign();
  return new EngineMetadata(engine, region, leadership);
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

class EngineMetadata implements MetadataStore {
  readonly #engine: StoreEngine;
  readonly #region: RegionHandle;
  readonly #leadership: LeadershipSignal;

  constructor(engine: StoreEngine, region: RegionHandle, leadership: LeadershipSignal) {
    this.#engine = engine;
    this.#region = region;
    this.#leadership = leadership;
  }

  get isLeader(): boolean {
    return this.#leadership.isLeader;
  }

  get leaderAddress(): string {
    return "";
  }

  async confirmLeadership(): Promise<void> {
    // A ReadIndex is answered only after an entry of the leader's own term is committed and applied.
    await this.#region.read({ kind: ReadKind.READ_GET, key: fromLatin1("cluster") });
  }

  async scan(prefix: string): Promise<readonly MetadataEntry[]> {
    const entries: MetadataEntry[] = [];
    const end = fromLatin1(afterPrefix(prefix));
    let start = fromLatin1(prefix);
    for (;;) {
      const rows = await this.#region.scanLocal(start, end, PAGE_ROWS);
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

  async close(): Promise<void> {
    this.#leadership.stop();
    await this.#engine.close();
  }

  #execute(command: CommandInit): Promise<CommandResult> {
    return this.#region.execute(command);
  }
}

/** The least key above all keys with the prefix. Prefixes here are text, so the last char has a successor. */
function afterPrefix(prefix: string): string {
  const last = prefix.length - 1;
  return prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1);
}
