/**
 * A PD with simulated stores on virtual time: regions change as raft would let them, every change of members is checked for a live
 * quorum, and every step that PD sends is counted.
 */
import { silentLogger } from "@rhea/common";
import {
  PdToStore,
  StoreToPd,
  StepKind,
  type OperationStep,
  type PdToStoreInit,
  type StoreStatsInit,
  type StoreToPdInit,
} from "@rhea/proto";
import {
  DEFAULT_SETTINGS,
  identityFromProto,
  isVoter,
  type ClusterSettings,
  type RegionPeer,
} from "../cluster/index.js";
import { MemberBook } from "../members/index.js";
import { MemoryMetadata } from "../metadata/index.js";
import { bootstrap } from "../service/cluster-api.js";
import { createPd, type Coordinator, type Pd } from "../service/index.js";
import { executeStep, firstRegion, reportOf, type VirtualRegion } from "./virtual-region.js";
import { VirtualTime } from "./virtual-time.js";

const STEP_MS = 20;
const CATCH_UP_MS = 200;
const ELECTION_MS = 1200;
const HEARTBEAT_MS = 1000;
const FULL_ROUND_EVERY = 30;
export const MIB = 1024 ** 2;

const SELF = {
  ...{ memberId: 1, name: "pd-1", address: "pd:1", incarnation: 1, uuid: "01", version: "0", featureLevel: 1 },
};

/** A simulated store process. */
export interface VirtualStore {
  readonly storeId: number;
  readonly labels: Record<string, string>;
  incarnation: number;
  isAlive: boolean;
  /** Messages from PD. */
  readonly received: PdToStore[];
  /** Region id -> peers on its disk. */
  readonly held: Map<number, Set<number>>;
  faults: { regionId: number; peerId: number; code: string; message: string }[];
  stream: { send: (message: PdToStoreInit) => void; close: () => void };
  beats: number;
}

/** The virtual world. */
export class VirtualCluster {
  readonly time = new VirtualTime();
  readonly stores = new Map<number, VirtualStore>();
  readonly regions = new Map<number, VirtualRegion>();
  readonly metadata = new Map<string, Uint8Array>();
  /** Steps executed, by kind of operation step. */
  readonly executed = new Map<number, number>();
  pd: Pd;
  readonly #settings: ClusterSettings;
  /** A step that was on its way at that moment may find fewer live voters than PD counted. */
  #lastKillMs = 0;

  constructor(settings: Partial<ClusterSettings> = {}) {
    this.#settings = { ...DEFAULT_SETTINGS, ...settings };
    this.pd = this.#startPd();
  }

  /** PD's engine. */
  get leading(): Coordinator {
    const { leading } = this.pd;
    if (leading === undefined) throw new Error("PD does not lead");
    return leading;
  }

  /** Steps executed in all. */
  get stepCount(): number {
    return [...this.executed.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Restarts PD on its data; stores reconnect with the next heartbeat. */
  async restartPd(): Promise<void> {
    await this.pd.close();
    for (const store of this.stores.values()) store.stream = this.#newStream(store);
    this.pd = this.#startPd();
    await this.time.settle();
    for (const store of this.stores.values()) {
      const isGone = this.leading.cluster.stores.get(store.storeId)?.lifecycle === "tombstone";
      if (isGone) store.isAlive = false;
      else if (store.isAlive) await this.#connect(store);
    }
  }

  /** Starts a new store. */
  async addStore(labels: Record<string, string> = {}): Promise<VirtualStore> {
    await this.time.settle();
    const storeId = await this.leading.ids.allocate(1);
    const store: VirtualStore = {
      ...{ storeId, labels, incarnation: 1, isAlive: true, received: [], held: new Map(), faults: [], beats: 0 },
      stream: { send: () => undefined, close: () => undefined },
    };
    store.stream = this.#newStream(store);
    this.stores.set(storeId, store);
    await this.#connect(store);
    this.#beatLater(store);
    return store;
  }

  /** Makes the first region on a store. */
  async bootstrap(store: VirtualStore, size = 0): Promise<VirtualRegion> {
    const ids = await this.leading.ids.allocate(2);
    const region = firstRegion(ids, ids + 1, store.storeId, size);
    this.#hold(store.storeId, region.regionId, ids + 1);
    const { region: wire } = reportOf(region, () => true);
    const request = { header: { clusterId: 1 }, store: null, region: wire as never };
    await bootstrap(this.leading, request, 0);
    this.regions.set(region.regionId, region);
    this.report(region);
    return region;
  }

  /** Cuts the whole keyspace into regions that all stand where the first stands. */
  async presplit(count: number, size: number): Promise<void> {
    for (let i = 1; i < count; i++) {
      const last = [...this.regions.values()].find((region) => region.endKey === "");
      if (last === undefined) throw new Error("no last region");
      const ids = await this.leading.ids.allocate(1 + last.peers.length);
      const step = {
        ...{
          kind: StepKind.SPLIT,
          operationId: 0,
          stepIndex: 0,
          regionId: last.regionId,
          peer: null,
          childRegionId: ids,
        },
        epoch: { confVer: last.confVer, version: last.version },
        splitKey: Buffer.from(`k${String(i).padStart(4, "0")}`),
        childPeerIds: last.peers.map((_, at) => ids + 1 + at),
      };
      this.#execute(last, step);
    }
    for (const region of this.regions.values()) region.size = size;
    for (const region of this.regions.values()) this.report(region);
  }

  /** kill -9: the stream breaks, other voters elect leaders. */
  kill(store: VirtualStore): void {
    store.isAlive = false;
    this.#lastKillMs = this.time.monotonicMs();
    this.leading.closeSession(store.storeId, store.stream);
    for (const region of this.regions.values()) {
      if (this.#leaderStore(region) === store.storeId) this.time.setTimer(ELECTION_MS, () => this.#elect(region));
    }
  }

  /** Starts a killed store again with its data. */
  async restart(store: VirtualStore): Promise<void> {
    store.isAlive = true;
    store.incarnation++;
    store.stream = this.#newStream(store);
    await this.#connect(store);
    this.#beatLater(store);
  }

  /** Peers per store, by the truth. */
  peersOn(storeId: number): number {
    return [...this.regions.values()].filter((region) => region.peers.some((peer) => peer.storeId === storeId)).length;
  }

  /** Leaders per store, by the truth. */
  leadersOn(storeId: number): number {
    return [...this.regions.values()].filter((region) => this.#leaderStore(region) === storeId).length;
  }

  /** Whether every region has `replicas` live voters and nothing else. */
  isHealthy(replicas = 3): boolean {
    return [...this.regions.values()].every(
      (region) =>
        region.peers.length === replicas && region.peers.every((peer) => isVoter(peer) && this.#works(region, peer)),
    );
  }

  /** Breaks a follower of a region on a live store: it reports a fault from its next heartbeat on. */
  breakFollower(region: VirtualRegion, pick: number): void {
    const followers = region.peers.filter((peer) => peer.peerId !== region.leaderPeerId && this.#isLive(peer.storeId));
    const peer = followers[pick % Math.max(1, followers.length)];
    const { regionId } = region;
    if (peer === undefined) return;
    this.#lastKillMs = this.time.monotonicMs() + HEARTBEAT_MS;
    this.stores
      .get(peer.storeId)
      ?.faults.push({ regionId, peerId: peer.peerId, code: "CORRUPTION", message: "flipped bit" });
  }

  /** Sends the region's report from its leader. */
  report(region: VirtualRegion): void {
    const leader = this.stores.get(this.#leaderStore(region));
    if (leader?.isAlive !== true) return;
    this.#send(leader, { regions: [reportOf(region, (storeId) => this.#isLive(storeId))] });
  }

  #startPd(): Pd {
    return createPd({
      ...{ clusterId: 1, self: () => SELF, book: new MemberBook(silentLogger), settings: this.#settings },
      ...{ metadata: new MemoryMetadata(this.metadata), clock: this.time, scheduler: this.time, logger: silentLogger },
    });
  }

  async #connect(store: VirtualStore): Promise<void> {
    const identity = identityFromProto({
      ...{
        storeId: store.storeId,
        name: `s${store.storeId}`,
        address: `s${store.storeId}:1`,
        statusAddress: "",
        raftAddress: "",
      },
      ...{
        uuid: Buffer.alloc(16, store.storeId),
        incarnation: store.incarnation,
        bootNonce: Buffer.alloc(8, store.incarnation),
      },
      ...{ state: 0, labels: store.labels, version: "0", featureLevel: 1 },
    });
    await this.leading.putStore(identity);
    this.leading.openSession(identity, store.stream);
    this.#beat(store, true);
    await this.time.settle();
  }

  #newStream(store: VirtualStore): VirtualStore["stream"] {
    const stream = {
      send: (message: PdToStoreInit) => {
        const decoded = PdToStore.decode(PdToStore.encode(message).finish());
        if (stream === store.stream && store.isAlive) this.#receive(store, decoded);
      },
      close: () => undefined,
    };
    return stream;
  }

  #beatLater(store: VirtualStore): void {
    const { incarnation } = store;
    this.time.setTimer(HEARTBEAT_MS, () => {
      if (!store.isAlive || store.incarnation !== incarnation) return;
      this.#beat(store, ++store.beats % FULL_ROUND_EVERY === 0);
      this.#beatLater(store);
    });
  }

  #beat(store: VirtualStore, isFullRound: boolean): void {
    const stats: StoreStatsInit = {
      ...{
        storeId: store.storeId,
        capacity: 1e12,
        available: 5e11,
        regionCount: store.held.size,
        faults: store.faults,
      },
      leaderRegionCount: this.leadersOn(store.storeId),
    };
    const led = [...this.regions.values()].filter((region) => this.#leaderStore(region) === store.storeId);
    const regions = isFullRound ? led.map((region) => reportOf(region, (id) => this.#isLive(id))) : [];
    const heldPeers = [...store.held].flatMap(([regionId, peers]) =>
      [...peers].map((peerId) => ({ regionId, peerId, confVer: 1 })),
    );
    this.#send(store, { stats, fullRound: isFullRound, regions, heldPeers: isFullRound ? heldPeers : [] });
  }

  #send(store: VirtualStore, message: StoreToPdInit): void {
    const { leading } = this.pd;
    if (leading?.sessions.get(store.storeId)?.stream !== store.stream) return;
    leading.onMessage(store.storeId, StoreToPd.decode(StoreToPd.encode(message).finish()));
  }

  #receive(store: VirtualStore, message: PdToStore): void {
    store.received.push(message);
    for (const { region, peerId } of message.destroy) {
      const peers = store.held.get(region?.regionId ?? 0);
      peers?.delete(peerId);
      if (peers?.size === 0) store.held.delete(region?.regionId ?? 0);
      store.faults = store.faults.filter((fault) => fault.peerId !== peerId);
      this.#requireNoMember(region?.regionId ?? 0, peerId);
    }
    for (const step of message.steps) {
      this.time.setTimer(STEP_MS, () => {
        const region = this.regions.get(step.regionId);
        if (region !== undefined && store.isAlive && this.#leaderStore(region) === store.storeId)
          this.#run(store, region, step);
      });
    }
  }

  #requireNoMember(regionId: number, peerId: number): void {
    if (this.regions.get(regionId)?.peers.some((peer) => peer.peerId === peerId) === true) {
      throw new Error(`PD had member ${peerId} of region ${regionId} destroyed`);
    }
  }

  #run(store: VirtualStore, region: VirtualRegion, step: OperationStep): void {
    const voters = region.peers.filter((peer) => isVoter(peer) && this.#works(region, peer)).length;
    if (voters <= region.peers.filter(isVoter).length / 2) return;
    const heir = region.peers.find(
      (peer) => step.kind === StepKind.TRANSFER_LEADER && peer.peerId === step.peer?.peerId,
    );
    const isDeaf = heir !== undefined && !this.#works(region, heir);
    const error = isDeaf ? { code: "TRANSFER_FAILED", message: "no answer" } : this.#execute(region, step);
    const { operationId, regionId, stepIndex } = step;
    this.#send(store, { stepResults: [{ operationId, regionId, stepIndex, error }] });
  }

  #execute(region: VirtualRegion, step: OperationStep): { code: string; message: string } | null {
    const outcome = executeStep(region, step);
    if (outcome.kind === "refused") {
      this.report(region);
      return outcome;
    }
    this.executed.set(step.kind, (this.executed.get(step.kind) ?? 0) + 1);
    this.#requireLiveQuorum(region, step);
    for (const peer of region.peers) this.#hold(peer.storeId, region.regionId, peer.peerId);
    if (outcome.child !== undefined) this.#addChild(outcome.child);
    for (const { peerId } of region.peers) {
      if (region.caughtUp.has(peerId)) continue;
      this.time.setTimer(CATCH_UP_MS, () => this.#catchUp(region, peerId));
    }
    this.report(region);
    return null;
  }

  #addChild(child: VirtualRegion): void {
    this.regions.set(child.regionId, child);
    for (const peer of child.peers) this.#hold(peer.storeId, child.regionId, peer.peerId);
    this.report(child);
  }

  #catchUp(region: VirtualRegion, peerId: number): void {
    const peer = region.peers.find((member) => member.peerId === peerId);
    if (peer === undefined || region.caughtUp.has(peerId)) return;
    if (!this.#isLive(peer.storeId)) {
      this.time.setTimer(ELECTION_MS, () => this.#catchUp(region, peerId));
      return;
    }
    region.caughtUp.add(peerId);
    this.report(region);
  }

  #requireLiveQuorum(region: VirtualRegion, step: OperationStep): void {
    if (this.time.monotonicMs() - this.#lastKillMs <= STEP_MS) return;
    const voters = region.peers.filter(isVoter);
    const live = voters.filter((peer) => this.#works(region, peer)).length;
    if (live <= voters.length / 2)
      throw new Error(`step ${step.kind} leaves region ${region.regionId} ${live} of ${voters.length} voters`);
  }

  #elect(region: VirtualRegion): void {
    if (this.#isLive(this.#leaderStore(region))) return;
    const voters = region.peers.filter(isVoter);
    const live = voters.filter((peer) => this.#works(region, peer));
    const [winner] = live;
    if (winner === undefined || live.length <= voters.length / 2) {
      this.time.setTimer(ELECTION_MS, () => this.#elect(region));
      return;
    }
    region.leaderPeerId = winner.peerId;
    region.term++;
    this.report(region);
  }

  #hold(storeId: number, regionId: number, peerId: number): void {
    const { held } = this.stores.get(storeId) ?? { held: new Map<number, Set<number>>() };
    const peers = held.get(regionId) ?? new Set();
    held.set(regionId, peers.add(peerId));
  }

  #isLive(storeId: number): boolean {
    return this.stores.get(storeId)?.isAlive === true;
  }

  /** Whether a peer can vote with all data. */
  #works(region: VirtualRegion, { peerId, storeId }: RegionPeer): boolean {
    const isFaulty = this.stores.get(storeId)?.faults.some((fault) => fault.peerId === peerId) === true;
    return this.#isLive(storeId) && region.caughtUp.has(peerId) && !isFaulty;
  }

  #leaderStore(region: VirtualRegion): number {
    return region.peers.find((peer) => peer.peerId === region.leaderPeerId)?.storeId ?? 0;
  }
}
