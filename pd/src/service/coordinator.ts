/** The working PD leader: model, operations, sessions and planner tied together. All methods run on the event loop and do not wait, unless they return a promise. */
import { RheaError, type Clock, type Logger, type Scheduler, type TimerHandle } from "@rhea/common";
import type { ClusterConfig, ErrorInit, RegionStats, StoreInit, StoreToPd } from "@rhea/proto";
import {
  createCluster,
  mergeSettings,
  mergeUpdates,
  peerById,
  regionFromProto,
  regionToProto,
  settingsToProto,
  stateForWire,
  storeToProto,
  type Cluster,
  type ClusterSettings,
  type RegionDescriptor,
  type RegionView,
  type StoreIdentity,
  type StoreIntent,
  type StoreView,
} from "../cluster/index.js";
import { MemberKeeper, type MemberGroup, type ProvenMember } from "../members/index.js";
import { IdSource, WriteBehind, type PersistedState, type Records } from "../metadata/index.js";
import { OperationTable, type OperationView } from "../operations/index.js";
import { builtInHandlers, HeartbeatPipeline, type HeartbeatHandler } from "../pipeline/index.js";
import { emptinessDoubt } from "../schedule/index.js";
import { FeatureLevel } from "./feature-level.js";
import { HeldPeerClaims } from "./held-peer-claims.js";
import { requireAdmissible, requireLevel } from "./identity-rules.js";
import { Planner } from "./planner.js";
import { SessionTable, type SessionStream } from "./sessions.js";
import { StoreChanges } from "./store-changes.js";

const TICK_MS = 500;

/** What a coordinator needs. */
export interface CoordinatorOptions {
  readonly clusterId: number;
  /** Settings of the process; what SetClusterConfig persisted lies over them. */
  readonly settings: ClusterSettings;
  readonly records: Records;
  readonly persisted: PersistedState;
  /** PD's group, and this member in it. */
  readonly group: MemberGroup;
  readonly self: () => ProvenMember;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** Handlers added from outside, in front of the one named. */
  readonly extraHandlers: readonly { readonly handler: HeartbeatHandler; readonly before: string | undefined }[];
}

/** The leader's engine. Made when leadership is confirmed and everything is loaded; closed when it ends. */
export class Coordinator {
  readonly cluster: Cluster;
  readonly operations: OperationTable;
  readonly sessions: SessionTable;
  readonly planner: Planner;
  readonly pipeline: HeartbeatPipeline;
  readonly ids: IdSource;
  readonly records: Records;
  readonly writeBehind: WriteBehind;
  readonly members: MemberKeeper;
  readonly clusterId: number;
  readonly logger: Logger;
  /** Region reports by how they ended. */
  readonly counters = { reports: 0, refused: 0 };
  isBootstrapped: boolean;
  readonly #options: CoordinatorOptions;
  readonly #level: FeatureLevel;
  readonly #claims = new HeldPeerClaims();
  readonly #storeChanges = new StoreChanges();
  readonly #tombstoning = new Set<number>();
  /** Stores whose record is newer in memory than on disk. */
  readonly #unsaved = new Set<number>();
  #configUpdate: ClusterConfig;
  #timer: TimerHandle | undefined;
  #isKicked = false;
  #isClosed = false;

  constructor(options: CoordinatorOptions) {
    const { persisted, records, scheduler, logger } = options;
    this.#options = options;
    this.clusterId = options.clusterId;
    this.records = records;
    this.logger = logger;
    this.#configUpdate = persisted.config;
    this.isBootstrapped = persisted.bootstrap !== undefined;
    const nowMs = this.nowMs();
    this.cluster = createCluster(mergeSettings(options.settings, persisted.config));
    this.ids = new IdSource(records, persisted.idEnd, logger);
    this.writeBehind = new WriteBehind(records, scheduler, logger);
    this.operations = new OperationTable(
      this.cluster,
      (count) => this.ids.take(count),
      (operation) => this.#onOperation(operation),
    );
    this.#level = new FeatureLevel(persisted.featureLevel, (level) => records.saveFeatureLevel(level), logger);
    this.members = new MemberKeeper({
      ...{ group: options.group, self: options.self, records: persisted.members },
      ...{ clock: options.clock, scheduler, logger },
      save: (record) => records.saveMember(record),
      allocateId: () => this.ids.allocate(1),
      featureLevel: () => this.#level.required,
      onChanged: () => this.sessions.broadcastMembers(this.members.list()),
    });
    this.sessions = new SessionTable(scheduler, () => this.featureLevel());
    this.planner = new Planner({
      cluster: this.cluster,
      operations: this.operations,
      logger,
      leadingSinceMs: nowMs,
      dispatch: (regionId) => this.dispatch(regionId),
    });
    this.pipeline = new HeartbeatPipeline((handler, error) =>
      logger.log("error", "heartbeat handler failed", { handler, error: RheaError.from(error).message }),
    );
    this.#registerHandlers();
    this.#restore(persisted, nowMs);
    this.#setTimer();
  }

  /** Monotonic ms. */
  nowMs(): number {
    return this.#options.clock.monotonicMs();
  }

  /** The feature level in force: all stores and members speak it; it never falls. */
  featureLevel(): number {
    return this.#level.inForce;
  }

  /** Registers or renews a store; durable when it resolves. Throws what {@link requireAdmissible} throws. */
  async putStore(identity: StoreIdentity): Promise<void> {
    const { stores } = this.cluster;
    const nowMs = this.nowMs();
    requireAdmissible(identity, this.cluster, nowMs);
    requireLevel(identity, this.#level.required);
    const known = stores.get(identity.storeId);
    if (known === undefined && !this.ids.wasGivenOut(identity.storeId)) {
      throw new RheaError(
        "INVALID_ARGUMENT",
        `store id ${identity.storeId} was never given out: ask for one by AllocId`,
      );
    }
    const isNewIncarnation = known !== undefined && identity.incarnation > known.incarnation;
    if (known?.diskLost === true && isNewIncarnation) {
      this.logger.log("warn", "store reported as lost came back with its identity", { storeId: known.storeId });
      stores.setIntent(known.storeId, { diskLost: false, diskLostReason: "" });
    }
    const hasChanged = stores.putIdentity(identity, nowMs);
    if (!hasChanged && !this.#unsaved.has(identity.storeId)) return;
    this.#unsaved.add(identity.storeId);
    await this.changeStore(identity.storeId, () => ({}));
    this.#unsaved.delete(identity.storeId);
    this.broadcastStore(identity.storeId);
  }

  /** Opens a store's stream; its identity was admitted by {@link Coordinator.putStore}. */
  openSession(identity: StoreIdentity, stream: SessionStream): void {
    const { storeId, incarnation, bootNonce } = identity;
    const older = this.sessions.get(storeId);
    const isTakenOver = older !== undefined && older.bootNonce !== bootNonce;
    const farewell = isTakenOver
      ? { code: "STALE_IDENTITY", message: `store ${storeId}: a newer process of this store has started` }
      : undefined;
    this.sessions.open({ storeId, incarnation, bootNonce, stream }, farewell);
    this.cluster.stores.setConnected(storeId, true);
    this.cluster.stores.heard(storeId, null, this.nowMs());
    this.sessions.sendStores(storeId, this.addressBook());
    this.sessions.sendConfig(storeId, settingsToProto(this.cluster.settings));
    this.sessions.sendMembers(storeId, this.members.list());
    this.#kick();
  }

  /** Notes that a store's stream ended. */
  closeSession(storeId: number, stream: SessionStream): void {
    if (!this.sessions.closed(storeId, stream)) return;
    this.cluster.stores.setConnected(storeId, false);
  }

  /** Takes in one message of a store's open stream. */
  onMessage(storeId: number, message: StoreToPd): void {
    const nowMs = this.nowMs();
    const store = this.cluster.stores.get(storeId);
    if (store === undefined) return;
    const hadStats = store.stats !== undefined;
    this.cluster.stores.heard(storeId, message.stats, nowMs);
    if (store.lifecycle === "tombstone") return;
    for (const result of message.stepResults) this.operations.hold(result, nowMs);
    for (const stats of message.regions) this.onRegionReport(storeId, stats, nowMs);
    for (const result of message.stepResults) this.operations.onStepResult(result, nowMs);
    if (message.fullRound) this.#noteHeldPeers(storeId, message);
    if (message.stats === null) return;
    if (!hadStats) this.#kick();
    for (const { regionId } of message.stats.faults) {
      const region = this.cluster.regions.get(regionId);
      if (region !== undefined && this.planner.check(region, nowMs) !== undefined) this.dispatch(regionId);
    }
  }

  /** Passes one region report through the pipeline. */
  onRegionReport(storeId: number, stats: RegionStats, nowMs: number): void {
    this.counters.reports++;
    const report = { storeId, stats, nowMs, newer: undefined, evicts: [], region: undefined };
    const stopped = this.pipeline.run(report);
    if (stopped === undefined) return;
    this.counters.refused++;
    if (this.logger.isEnabled("debug"))
      this.logger.log("debug", "region report refused", { storeId, regionId: stats.region?.regionId, reason: stopped });
  }

  /** Takes in both halves of a split at once. */
  onSplit(parent: RegionDescriptor, child: RegionDescriptor): void {
    for (const region of [parent, child]) {
      const outcome = this.cluster.regions.put(region);
      if (outcome.kind === "stored") this.#saveRegion(region, outcome.evicted);
      const known = this.cluster.regions.get(region.regionId);
      if (known !== undefined) this.operations.advance(known, this.nowMs());
    }
  }

  /** Sends the region's leader the step that is due. */
  dispatch(regionId: number): void {
    const region = this.cluster.regions.get(regionId);
    if (region === undefined || region.leaderStoreId === 0) return;
    const step = this.operations.command(region, this.nowMs());
    if (step !== undefined) this.sessions.sendStep(region.leaderStoreId, step);
  }

  /**
   * Changes what is wanted of a store, first on disk, then in memory, after all changes of it that were asked for earlier. `decide` looks at
   * the store at that time and says what changes ({}: its record is written as it is), or undefined for nothing; it may throw.
   */
  changeStore(storeId: number, decide: (store: StoreView) => StoreIntent | undefined): Promise<void> {
    return this.#storeChanges.run(storeId, async () => {
      const store = this.cluster.stores.get(storeId);
      const change = store === undefined ? undefined : decide(store);
      if (store === undefined || change === undefined) return;
      await this.records.saveStore({ ...store, ...change });
      this.cluster.stores.setIntent(storeId, change);
    });
  }

  /**
   * Makes a store a tombstone, durably, after everything that PD knows of regions is durable too. `mayBury` is asked first and last of all
   * and says or throws why not; in between nothing new is placed there.
   */
  buryStore(storeId: number, mayBury: (store: StoreView) => boolean): Promise<void> {
    const { stores } = this.cluster;
    return this.#storeChanges.run(storeId, async () => {
      const store = stores.get(storeId);
      if (store === undefined || !mayBury(store)) return;
      const { lifecycle } = store;
      stores.setIntent(storeId, { lifecycle: "draining" });
      try {
        await this.writeBehind.flush();
        if (!mayBury(store)) return;
        await this.records.saveStore({ ...store, lifecycle: "tombstone" });
        stores.setIntent(storeId, { lifecycle: "tombstone" });
      } finally {
        if (store.lifecycle !== "tombstone") stores.setIntent(storeId, { lifecycle });
      }
      this.logger.log("info", "store is a tombstone", { storeId, name: store.name });
      this.broadcastStore(storeId);
    });
  }

  /** Why PD cannot be sure that the store has no peer, beyond those that it knows of; empty if it is sure. */
  doubtOfEmptiness(storeId: number): string {
    return emptinessDoubt(this.cluster, this.operations.mayGainPeer(storeId, this.nowMs()));
  }

  /** Changes the cluster's settings for good. Throws INVALID_ARGUMENT for values out of range. */
  async setConfig(update: ClusterConfig): Promise<void> {
    const merged = mergeUpdates(this.#configUpdate, update);
    const settings = mergeSettings(this.#options.settings, merged);
    await this.records.saveConfig(merged);
    this.#configUpdate = merged;
    this.cluster.settings = settings;
    this.sessions.broadcastConfig(settingsToProto(settings));
    this.#kick();
  }

  /** The stores that are not gone, for the wire. */
  addressBook(): readonly StoreInit[] {
    return this.cluster.stores
      .all()
      .flatMap((store) => (store.lifecycle === "tombstone" ? [] : [this.storeForWire(store)]));
  }

  /** A store for the wire, with its present state. */
  storeForWire(store: StoreView): StoreInit {
    return storeToProto(store, stateForWire(store, this.nowMs(), this.cluster.settings));
  }

  /** Tells all stores of one store's change. */
  broadcastStore(storeId: number): void {
    const store = this.cluster.stores.get(storeId);
    if (store !== undefined) this.sessions.broadcastStores([this.storeForWire(store)]);
  }

  /** Looks for work soon: something changed that gives room or reason. */
  requestPlanning(): void {
    this.#kick();
  }

  /** Ends every session and forgets. `error` is the sessions' last word. */
  close(error: ErrorInit): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.writeBehind.close();
    this.members.close();
    this.sessions.closeAll(error);
  }

  #registerHandlers(): void {
    const handlers = builtInHandlers({
      cluster: this.cluster,
      operations: this.operations,
      saveRegion: (region, evicted) => this.#saveRegion(region, evicted),
      check: (region) => this.planner.check(region, this.nowMs()),
      sendStep: (storeId, step) => this.sessions.sendStep(storeId, step),
      sendDestroy: (storeId, region, peerId) =>
        this.sessions.sendDestroy(storeId, { region: regionToProto(region), peerId }),
      takeClaims: (region) => this.#claims.take(region.regionId, this.nowMs()),
    });
    for (const handler of handlers) this.pipeline.registerHandler(handler);
    for (const { handler, before } of this.#options.extraHandlers) this.pipeline.registerHandler(handler, before);
  }

  #restore({ stores, regions, operations, bootstrap }: PersistedState, nowMs: number): void {
    for (const store of stores) this.cluster.stores.restore(store, nowMs);
    const known = regions.length === 0 && bootstrap?.firstRegion ? [regionFromProto(bootstrap.firstRegion)] : regions;
    for (const region of [...known].sort((a, b) => a.version - b.version)) this.cluster.regions.put(region);
    for (const operation of operations) this.operations.resume(operation);
  }

  #saveRegion(region: RegionDescriptor, evicted: readonly RegionView[]): void {
    for (const { regionId } of evicted) this.writeBehind.removeRegion(regionId);
    this.writeBehind.saveRegion(region);
  }

  #onOperation(operation: OperationView): void {
    const { operationId, regionId, kind, origin, state } = operation;
    const isRequested = origin === "operator" || origin === "user";
    if (state === "running") {
      if (isRequested) this.writeBehind.saveOperation(operation);
      this.logger.log("info", "operation begins", { operationId, regionId, kind, origin, reason: operation.reason });
      return;
    }
    if (isRequested) this.writeBehind.removeOperation(operationId);
    this.logger.log("info", `operation ${state}`, { operationId, regionId, kind, origin, message: operation.message });
    this.#kick();
  }

  #noteHeldPeers(storeId: number, { heldPeers }: StoreToPd): void {
    for (const { regionId, peerId, confVer } of heldPeers) {
      const region = this.cluster.regions.get(regionId);
      if (region !== undefined && confVer < region.confVer && peerById(region, peerId) === undefined) {
        this.#claims.add(regionId, storeId, peerId, this.nowMs());
      }
    }
  }

  #kick(): void {
    if (this.#isKicked || this.#isClosed) return;
    this.#isKicked = true;
    this.#options.scheduler.nextTurn(() => {
      this.#isKicked = false;
      if (this.#isClosed) return;
      this.planner.checkUrgent(this.nowMs());
      this.planner.patrol(this.nowMs());
    });
  }

  #setTimer(): void {
    this.#timer = this.#options.scheduler.setTimer(TICK_MS, () => {
      this.tick();
      this.#setTimer();
    });
  }

  /** One round of time: timeouts, drains that are done, planning. */
  tick(): void {
    const nowMs = this.nowMs();
    this.operations.tick(nowMs);
    for (const regionId of this.operations.due(nowMs)) this.dispatch(regionId);
    for (const store of this.cluster.stores.all()) this.#finishDrain(store);
    this.planner.tick(nowMs);
    this.members.step();
    void this.#level.consider(this.#spokenLevels());
  }

  /** The feature levels of all that take part: stores and members that are not gone. */
  #spokenLevels(): number[] {
    const parts = [
      ...this.cluster.stores.all().filter(({ lifecycle }) => lifecycle !== "tombstone"),
      ...this.members.present(),
    ];
    return parts.map(({ featureLevel }) => Math.max(1, featureLevel));
  }

  #finishDrain({ storeId, lifecycle }: StoreView): void {
    if (lifecycle !== "draining" || this.#tombstoning.has(storeId) || !this.#isDrained(storeId)) return;
    this.#tombstoning.add(storeId);
    this.buryStore(storeId, (store) => store.lifecycle === "draining" && this.#isDrained(storeId))
      .catch((thrown: unknown) => {
        const error = RheaError.from(thrown);
        this.logger.log("warn", "a drained store could not be recorded as a tombstone, tries again", {
          storeId,
          code: error.code,
          error: error.message,
        });
      })
      .finally(() => this.#tombstoning.delete(storeId));
  }

  #isDrained(storeId: number): boolean {
    return this.cluster.regions.usage(storeId).regionIds.size === 0 && this.doubtOfEmptiness(storeId) === "";
  }
}
