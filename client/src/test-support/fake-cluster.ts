/**
 * A cluster that follows a script: stores with regions, leaders and session tables, and a PD. Stores judge requests as real ones do (leader,
 * epoch, range, sessions), but there is no raft below: all stores share one state.
 */
import type { RheaError } from "@rhea/common";
import { fromLatin1, isInRange, toLatin1, type RpcStream } from "@rhea/common";
import {
  Command,
  CommandResult,
  KvMethods,
  PdMethods,
  PeerRole,
  type ErrorInit,
  type KvOperation,
  type KvRequests,
  type KvResponsesInit,
  type KvResultInit,
  type RegionInit,
  type RegionOperations,
  type RegionRouteInit,
  type StoreInit,
} from "@rhea/proto";
import type { MemoryNet } from "./memory-net.js";
import { executeCommand, executeRead, touchedKeys, type FakeData } from "./fake-data.js";

/** One region of the script. Keys are Latin-1. */
export interface FakeRegion {
  readonly regionId: number;
  start: string;
  end: string;
  confVer: number;
  version: number;
  storeIds: number[];
  /** 0: none at the moment. */
  leader: number;
  /** `client:seq` -> the first answer. */
  sessions: Map<string, Uint8Array>;
}

/** One operation as a store got it. */
export interface SeenOperation {
  readonly storeId: number;
  readonly regionId: number;
  readonly command: Command | undefined;
  readonly operation: KvOperation;
}

/** What an interceptor makes of an operation: nothing, no answer, no answer but it is applied, or an error. */
export type Fate = "serve" | "drop" | "apply-and-drop" | ErrorInit;

/** See the file's header. */
export class FakeCluster {
  readonly data: FakeData = { values: new Map(), sequences: new Map() };
  readonly regions = new Map<number, FakeRegion>();
  readonly storeIds: readonly number[];
  readonly pdAddress = "pd:7400";
  /** Messages with operations that came in, and the number of operations in each. */
  readonly messages: { storeId: number; operations: number; regions: number }[] = [];
  readonly seen: SeenOperation[] = [];
  /** Commands applied, duplicates not counted. */
  readonly applied: Command[] = [];
  lookups = 0;
  /** How PD answers: it may lag behind the stores. */
  pdRegions: (() => readonly FakeRegion[]) | undefined;
  intercept: (seen: SeenOperation) => Fate = () => "serve";
  /** How long stores take to answer a message. */
  answerAfterMs = 0;
  readonly #net: MemoryNet;

  constructor(net: MemoryNet, storeCount: number) {
    this.#net = net;
    this.storeIds = Array.from({ length: storeCount }, (_, i) => i + 1);
  }

  async start(): Promise<void> {
    await this.startPd();
    for (const storeId of this.storeIds) await this.startStore(storeId);
  }

  address(storeId: number): string {
    return `store-${storeId}:7410`;
  }

  addRegion(regionId: number, start: string, end: string, leader = 1): FakeRegion {
    const storeIds = [...this.storeIds].slice(0, 3);
    const region = { regionId, start, end, confVer: 1, version: 1, storeIds, leader, sessions: new Map() };
    this.regions.set(regionId, region);
    return region;
  }

  /** Splits a region as the state machine would: the child keeps the upper part, versions rise, session tables are copied. */
  split(regionId: number, key: string, childId: number): FakeRegion {
    const parent = this.region(regionId);
    parent.version++;
    const child = { ...parent, regionId: childId, start: key, sessions: new Map(parent.sessions) };
    parent.end = key;
    this.regions.set(childId, child);
    return child;
  }

  region(regionId: number): FakeRegion {
    const region = this.regions.get(regionId);
    if (region === undefined) throw new Error(`no region ${regionId}`);
    return region;
  }

  regionAt(key: string): FakeRegion | undefined {
    return [...this.regions.values()].find(({ start, end }) => isInRange(key, start, end));
  }

  async startPd(): Promise<void> {
    const server = this.#net.createServer();
    server.unary(PdMethods.GetRegion, async ({ key, prefetch }) => {
      this.lookups++;
      const regions = this.pdRegions?.() ?? [...this.regions.values()];
      return this.#routes(regions, toLatin1(key), prefetch + 1);
    });
    await server.listen(this.pdAddress);
  }

  async startStore(storeId: number): Promise<void> {
    const server = this.#net.createServer();
    server.unary(KvMethods.Routes, async ({ startKey, limit }) => {
      this.lookups++;
      return this.#routes([...this.regions.values()], toLatin1(startKey), limit);
    });
    server.stream(KvMethods.Operations, (stream: RpcStream<KvRequests, KvResponsesInit>) => {
      stream.listen({
        onMessage: (message) => this.#serve(storeId, message, stream),
        onClose: () => undefined,
      });
    });
    await server.listen(this.address(storeId));
  }

  #routes(
    regions: readonly FakeRegion[],
    key: string,
    limit: number,
  ): { routes: RegionRouteInit[]; stores: StoreInit[] } {
    const sorted = [...regions].sort((a, b) => (a.start < b.start ? -1 : 1));
    const routes = sorted
      .filter(({ end }) => end === "" || key < end)
      .slice(0, limit)
      .map((region) => ({
        region: toRegion(region),
        leader: region.leader === 0 ? null : { peerId: region.leader * 100, storeId: region.leader },
      }));
    return { routes, stores: this.storeIds.map((storeId) => ({ storeId, address: this.address(storeId) })) };
  }

  #serve(storeId: number, message: KvRequests, stream: RpcStream<KvRequests, KvResponsesInit>): void {
    if (message.hello !== null) stream.send({ hello: { protocolVersion: 1, clusterId: 1, storeId, incarnation: 1 } });
    if (message.regions.length === 0) return;
    const operations = message.regions.reduce((sum, region) => sum + region.operations.length, 0);
    this.messages.push({ storeId, operations, regions: message.regions.length });
    const results: KvResultInit[] = [];
    for (const group of message.regions) {
      for (const operation of group.operations) {
        const result = this.#operate(storeId, group, operation);
        if (result !== undefined) results.push(result);
      }
    }
    if (results.length === 0) return;
    if (this.answerAfterMs === 0) stream.send({ results });
    else this.#net.scheduler.setTimer(this.answerAfterMs, () => void stream.send({ results }));
  }

  #operate(storeId: number, group: RegionOperations, operation: KvOperation): KvResultInit | undefined {
    const { id } = operation;
    const command = operation.command.length > 0 ? Command.decode(operation.command) : undefined;
    const seen: SeenOperation = { storeId, regionId: group.regionId, command, operation };
    this.seen.push(seen);
    const fate = this.intercept(seen);
    if (fate === "drop") return undefined;
    if (typeof fate === "object") return { id, error: fate };
    const region = this.regions.get(group.regionId);
    const error = this.#judge(storeId, region, group, operation, command);
    if (error !== undefined || region === undefined) return { id, error: error ?? null };
    const result =
      command === undefined
        ? { id, read: executeRead(this.data, operation.read, region) }
        : { id, commandResult: this.#apply(region, command) };
    return fate === "apply-and-drop" ? undefined : result;
  }

  #apply(region: FakeRegion, command: Command): Uint8Array {
    const session = `${toLatin1(command.clientId)}:${command.seq}`;
    const first = region.sessions.get(session);
    if (first !== undefined) return first;
    this.applied.push(command);
    const answer = CommandResult.encode(executeCommand(this.data, command)).finish();
    region.sessions.set(session, answer);
    return answer;
  }

  #judge(
    storeId: number,
    region: FakeRegion | undefined,
    group: RegionOperations,
    operation: KvOperation,
    command: Command | undefined,
  ): ErrorInit | undefined {
    if (region === undefined || !region.storeIds.includes(storeId)) {
      return { code: "REGION_NOT_FOUND", message: `store ${storeId} has no region ${group.regionId}` };
    }
    if (operation.read?.stale !== true && region.leader !== storeId) {
      const leader = region.leader === 0 ? null : { peerId: region.leader * 100, storeId: region.leader };
      return {
        code: "NOT_LEADER",
        message: `store ${storeId} does not lead region ${region.regionId}`,
        leader,
        leaderAddress: leader === null ? "" : this.address(leader.storeId),
      };
    }
    if ((operation.read?.key.length ?? 0) > 4096)
      return { code: "KEY_TOO_LARGE", message: "a bound is over 4096 bytes" };
    if (group.version !== region.version) {
      const current = [...this.regions.values()].filter(({ version }) => version > group.version);
      return { code: "EPOCH_NOT_MATCH", message: "version differs", currentRegions: current.map(toRegion) };
    }
    for (const key of touchedKeys(command, operation.read)) {
      if (!isInRange(key, region.start, region.end)) {
        return { code: "KEY_NOT_IN_REGION", message: `key ${key}`, currentRegions: [toRegion(region)] };
      }
    }
    return undefined;
  }
}

/** The wire form of a region of the script. */
function toRegion(region: FakeRegion): RegionInit {
  return {
    regionId: region.regionId,
    startKey: fromLatin1(region.start),
    endKey: fromLatin1(region.end),
    epoch: { confVer: region.confVer, version: region.version },
    peers: region.storeIds.map((storeId) => ({ peerId: storeId * 100, storeId, role: PeerRole.VOTER })),
  };
}

/** The error of an attempt that a test lets fail. */
export function wireError(code: RheaError["code"], more: ErrorInit = {}): ErrorInit {
  return { code, message: `scripted ${code}`, ...more };
}
