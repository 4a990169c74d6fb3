/** All regions of a store on one log, one raft host and one key-value engine: their lives from creation to destruction. */
import { RheaError, toLatin1, type RpcServer } from "@rhea/common";
import { PeerRole } from "@rhea/proto";
import type { LogStats, RaftHost, RaftLog, UnknownPeerMessage } from "@rhea/raft";
import type { Epoch, RegionDescriptor } from "../format/descriptor.js";
import { applyStateKey, regionKey, sessionRange } from "../format/keys.js";
import type { Overlay } from "../overlay/overlay.js";
import type { ChildPlan, RegionContext } from "../region/context.js";
import { createRegionMachine } from "../region/region-machine.js";
import { Region, type StoredRegion } from "../region/region.js";
import { FIRST_INDEX, FIRST_TERM } from "../region/split.js";
import { addKvService } from "../service/kv-service.js";
import type { InitialRegion, RegionFault, RegionHandle, StoreEngine, StoreEngineOptions, StoreLimits } from "./api.js";
import type { EngineCounters } from "./counters.js";
import { awaitingState, initialState } from "./initial-region.js";
import { PendingClears } from "./pending-clears.js";
import { RangeIndex } from "./range-index.js";
import type { FaultyGroup, Recovery } from "./recovery.js";
import { createRegionHandle } from "./region-handle.js";
import { SizeMeter } from "./size-meter.js";
import { TurnQueue } from "./turn-queue.js";

/** What {@link StoreEngineCore} is built from. */
export interface EngineParts {
  readonly options: StoreEngineOptions;
  readonly limits: StoreLimits;
  readonly log: RaftLog;
  readonly overlay: Overlay;
  readonly counters: EngineCounters;
  /** Replies leave once per turn through this queue. */
  readonly replies: TurnQueue;
  readonly fatal: (error: RheaError) => void;
}

const METER_INTERVAL_MS = 1_000;

/** The engine. Made by `openStoreEngine`, which also gives it its host. */
export class StoreEngineCore implements StoreEngine {
  readonly #parts: EngineParts;
  readonly #regions = new Map<number, Region>();
  readonly #handles = new Map<Region, RegionHandle>();
  /** Groups that do not run and have no records here. */
  readonly #orphans = new Map<number, FaultyGroup>();
  readonly #ranges = new RangeIndex<Region>();
  readonly #turns: TurnQueue;
  readonly #clears: PendingClears;
  readonly #meter = new SizeMeter();
  readonly #context: RegionContext;
  #host: RaftHost | undefined;
  #isClosing = false;
  #isDiskFull = false;

  constructor(parts: EngineParts) {
    const { options, overlay } = parts;
    this.#parts = parts;
    this.#turns = new TurnQueue(options.env.scheduler);
    this.#clears = new PendingClears(options.kv, overlay, parts.fatal);
    this.#context = this.#createContext();
  }

  get storeId(): number {
    return this.#parts.options.storeId;
  }

  get host(): RaftHost {
    if (this.#host === undefined) throw new RheaError("SHUTTING_DOWN", "the engine has no raft host yet");
    return this.#host;
  }

  get overlayBytes(): number {
    return this.#parts.overlay.bytes;
  }

  get counters(): EngineCounters {
    return this.#parts.counters;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** Takes up what the disk holds. Called once, before the host starts. */
  async recover(host: RaftHost, plan: readonly Recovery[]): Promise<void> {
    this.#host = host;
    await this.#clears.load();
    for (const recovery of plan) await this.#recover(recovery);
    for (const initial of this.#parts.options.initialRegions ?? []) {
      if (this.#regions.has(initial.regionId) || this.#parts.log.group(initial.regionId) !== undefined) continue;
      await this.createRegion(initial);
    }
    this.#clears.run();
    await this.#checkSpace().catch(this.#warnUnmeasured); // before the first write: a second is long for a disk that is all but full
    this.#meterLater();
  }

  regions(): RegionHandle[] {
    return this.#ranges
      .sorted()
      .filter((region) => region.state === "live" || region.state === "awaiting")
      .map((region) => this.#handle(region));
  }

  region(regionId: number): RegionHandle | undefined {
    const region = this.#regions.get(regionId);
    return region === undefined || region.state === "destroyed" ? undefined : this.#handle(region);
  }

  /** The region itself, for this package's services. */
  internal(regionId: number): Region | undefined {
    return this.#regions.get(regionId);
  }

  internals(): Iterable<Region> {
    return this.#regions.values();
  }

  /** Every peer that this store's log knows, whatever its role or state. */
  heldPeers(): { regionId: number; peerId: number; confVer: number }[] {
    const held = [...this.#orphans.values()].map(({ regionId, peerId }) => ({ regionId, peerId, confVer: 0 }));
    for (const { regionId, peerId, state, descriptor } of this.#regions.values()) {
      if (state === "destroyed") continue;
      held.push({ regionId, peerId, confVer: state === "awaiting" ? 0 : descriptor.epoch.confVer });
    }
    return held;
  }

  get overlayBatches(): number {
    return this.#parts.overlay.batches;
  }

  get pendingClears(): number {
    return this.#clears.size;
  }

  /** Whether writes are refused: the key-value engine is behind, or the disk is full. */
  get isBusy(): boolean {
    return this.#isDiskFull || this.#parts.overlay.isFull;
  }

  /** Sums over all regions since the start; the size is of now. */
  totals(): {
    bytesRead: number;
    keysRead: number;
    bytesWritten: number;
    keysWritten: number;
    approximateSize: number;
  } {
    const sum = { bytesRead: 0, keysRead: 0, bytesWritten: 0, keysWritten: 0, approximateSize: 0 };
    for (const { load, state } of this.#regions.values()) {
      if (state !== "live") continue;
      const { bytesRead, keysRead, bytesWritten, keysWritten } = load.total;
      sum.bytesRead += bytesRead;
      sum.keysRead += keysRead;
      sum.bytesWritten += bytesWritten;
      sum.keysWritten += keysWritten;
      sum.approximateSize += load.approximateSize;
    }
    return sum;
  }

  faults(): RegionFault[] {
    const faults: RegionFault[] = [...this.#orphans.values()];
    for (const { regionId, peerId, fault, state } of this.#regions.values()) {
      if (fault !== undefined && state !== "destroyed") faults.push({ regionId, peerId, error: fault });
    }
    return faults;
  }

  wasDestroyed(regionId: number): boolean {
    return this.#parts.log.group(regionId)?.lifecycle.state === "destroyed";
  }

  addServices(server: RpcServer): void {
    this.host.addServices(server);
    addKvService(server, this, this.#parts.options, this.#parts.replies);
  }

  async createRegion(initial: InitialRegion): Promise<RegionHandle> {
    const known = this.#parts.log.group(initial.regionId);
    if (this.#regions.has(initial.regionId) || known !== undefined) {
      throw new RheaError("ALREADY_EXISTS", `region ${initial.regionId} is or was on store ${this.storeId}`);
    }
    const region = this.#register(initialState(initial, this.storeId));
    region.markRecordDirty();
    await this.#parts.overlay.flush();
    this.#start(region, initial.voters.length === 1, true);
    return this.#handle(region);
  }

  async destroyPeer(regionId: number, peerId: number, proof: RegionDescriptor): Promise<boolean> {
    if (proof.regionId !== regionId || proof.peers.some((peer) => peer.peerId === peerId)) return false;
    const orphan = this.#orphans.get(regionId);
    if (orphan?.peerId === peerId) {
      await this.#appendTombstone(regionId, peerId, proof.epoch);
      this.#orphans.delete(regionId);
      return true;
    }
    const region = this.#regions.get(regionId);
    if (region?.peerId !== peerId || proof.epoch.confVer <= region.descriptor.epoch.confVer) return false;
    await this.#destroy(region, proof.epoch);
    return true;
  }

  async discardRegion(regionId: number): Promise<void> {
    const region = this.#regions.get(regionId);
    if (region !== undefined) await this.#destroy(region, region.descriptor.epoch);
  }

  logStats(): LogStats {
    return this.#parts.log.stats();
  }

  async close(options: { readonly transferTimeoutMs?: number } = {}): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    const { transferTimeoutMs } = options;
    if (transferTimeoutMs !== undefined && transferTimeoutMs > 0) await this.host.transferAllLeaders(transferTimeoutMs);
    this.#clears.close();
    for (const region of this.#regions.values()) {
      region.failPending(new RheaError("SHUTTING_DOWN", `store ${this.storeId} stops`));
    }
    await this.host.close();
    await this.#parts.overlay.flush();
    await this.#parts.log.close();
  }

  /** Judges a message to a peer that is not here; only an initial one, for a free range, above any tombstone, makes it. */
  onUnknownPeer(message: UnknownPeerMessage): void {
    const { groupId, toPeer, epoch } = message;
    const present = this.#regions.get(groupId);
    if (present !== undefined) {
      // A store has one peer of a region: a message to a newer one means that this one was removed.
      if (toPeer > present.peerId && epoch.confVer > present.descriptor.epoch.confVer)
        this.#destroyLater(present, epoch);
      return;
    }
    const lifecycle = this.#parts.log.group(groupId)?.lifecycle;
    if (lifecycle !== undefined && (lifecycle.state !== "destroyed" || lifecycle.peerId >= toPeer)) return;
    if (this.#isClosing || this.#orphans.has(groupId)) return;
    const range = { start: toLatin1(message.startKey), end: toLatin1(message.endKey) };
    if (this.#ranges.overlapping(range).length > 0) return;
    const peers = [{ peerId: toPeer, storeId: this.storeId, role: PeerRole.LEARNER }];
    const region = this.#register(awaitingState({ regionId: groupId, ...range, epoch, peers }, toPeer));
    region.markRecordDirty();
    this.#start(region, false, false);
  }

  async #recover(recovery: Recovery): Promise<void> {
    const { logger } = this.#parts.options.env;
    switch (recovery.kind) {
      case "start": {
        const region = this.#register(recovery.stored);
        region.isIncomplete = this.#parts.log.group(region.regionId)?.pendingInstall !== undefined;
        this.#start(region, false, false);
        return;
      }
      case "startAnew":
        this.#start(this.#register(recovery.stored), false, true);
        return;
      case "await": {
        const { regionId, peerId } = recovery;
        // Without a record the claimed range is unknown: it is not in the index, and the snapshot is checked when it comes.
        const unknown = { regionId, start: "", end: "", epoch: { confVer: 0, version: 0 }, peers: [] };
        const stored = recovery.stored ?? awaitingState(unknown, peerId);
        this.#start(this.#register(stored, recovery.stored !== undefined), false, false);
        return;
      }
      case "finishDestroy":
        await this.#forget(this.#register(recovery.stored));
        return;
      case "drop":
        this.#parts.overlay.put(regionKey(recovery.stored.record.descriptor.regionId), undefined);
        return;
      case "fault": {
        const { regionId, error } = recovery.group;
        logger.log("error", error.message, { regionId, code: error.code });
        if (recovery.condemn) {
          await this.#parts.log.append([{ kind: "condemned", groupId: regionId, reason: error.message }]);
        }
        if (recovery.stored === undefined) this.#orphans.set(regionId, recovery.group);
        else this.#register(recovery.stored).fault = error;
        return;
      }
    }
  }

  #register(stored: StoredRegion, hasRange = true): Region {
    const region = new Region(this.#context, stored);
    this.#regions.set(region.regionId, region);
    if (hasRange) this.#ranges.add(region);
    return region;
  }

  #start(region: Region, campaignAtOnce: boolean, startsLog: boolean): void {
    const options = {
      groupId: region.regionId,
      peerId: region.peerId,
      stateMachine: createRegionMachine(region),
      applied: region.appliedIndex,
      appliedTerm: region.appliedTerm,
      confState: region.confState,
      peers: region.descriptor.peers
        .filter(() => region.state === "live")
        .map(({ peerId, storeId, role }) => ({
          peerId,
          storeId,
          role: role === PeerRole.LEARNER ? ("learner" as const) : ("voter" as const),
        })),
      campaignAtOnce,
    };
    const start = startsLog ? { index: FIRST_INDEX, term: FIRST_TERM } : undefined;
    try {
      region.node = start === undefined ? this.host.createGroup(options) : this.host.createGroup(options, start);
    } catch (error) {
      region.reportFault(RheaError.from(error));
    }
    this.#parts.options.onRegionChanged?.(region.regionId);
  }

  #destroyLater(region: Region, epoch: Epoch): void {
    this.#parts.options.env.scheduler.nextTurn(() => {
      this.#destroy(region, epoch).catch((error: unknown) => this.#parts.fatal(RheaError.from(error)));
    });
  }

  /** Tombstone first, then the records, then (in the background) the range. */
  async #destroy(region: Region, epoch: Epoch): Promise<void> {
    if (region.state === "destroyed" || this.#isClosing) return;
    let hadData = region.state === "live";
    region.state = "destroyed";
    region.failPending(new RheaError("REGION_NOT_FOUND", `region ${region.regionId} left store ${this.storeId}`));
    while (region.exclusive !== undefined) {
      // A snapshot may be landing on a range that was only claimed before.
      hadData = true;
      await region.exclusive.catch(() => undefined);
    }
    const { confVer, version } = epoch;
    if (this.host.group(region.regionId) === undefined) {
      await this.#appendTombstone(region.regionId, region.peerId, epoch);
    } else {
      await this.host.destroyGroup(region.regionId, { confVer, version });
    }
    await this.#forget(region, hadData);
  }

  async #appendTombstone(regionId: number, peerId: number, { confVer, version }: Epoch): Promise<void> {
    await this.#parts.log.append([{ kind: "destroyed", groupId: regionId, peerId, confVer, version }]);
  }

  async #forget(region: Region, hadData = region.state === "live"): Promise<void> {
    const { overlay, options } = this.#parts;
    const { regionId } = region;
    region.state = "destroyed";
    overlay.forget(region);
    overlay.put(regionKey(regionId), undefined);
    overlay.put(applyStateKey(regionId), undefined);
    if (hadData) this.#clears.add(region.descriptor);
    this.#ranges.delete(region);
    this.#handles.delete(region);
    await overlay.flush();
    const sessions = sessionRange(regionId);
    await options.kv.clearRange(sessions.start, sessions.end);
    // Not before: a new peer of the region would lose the sessions that came with its snapshot.
    this.#regions.delete(regionId);
    options.onRegionChanged?.(regionId);
  }

  #mayCreateChild({ descriptor, peerId }: ChildPlan): boolean {
    const { regionId } = descriptor;
    if (this.#regions.has(regionId) || this.#orphans.has(regionId)) return false;
    const lifecycle = this.#parts.log.group(regionId)?.lifecycle;
    return lifecycle === undefined || (lifecycle.state === "destroyed" && lifecycle.peerId < peerId);
  }

  #createContext(): RegionContext {
    const { options, limits, overlay, counters } = this.#parts;
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- the context's getter outlives the constructor
    const engine = this;
    return {
      env: options.env,
      storeId: options.storeId,
      limits,
      kv: options.kv,
      overlay,
      ranges: this.#ranges,
      turns: this.#turns,
      get host() {
        return engine.host;
      },
      get isDiskFull() {
        return engine.#isDiskFull;
      },
      resolveStore: (storeId) => options.resolveStore(storeId),
      mayCreateChild: (plan) => this.#mayCreateChild(plan),
      startChild: (child, campaign) => {
        this.#regions.set(child.regionId, child);
        this.#start(child, campaign, true);
      },
      addPendingClear: (range) => this.#clears.add(range),
      finishPendingClears: (range) => this.#clears.finish(range),
      destroyRemoved: (region) => this.#destroyLater(region, region.descriptor.epoch),
      onLeadership: (region, isLeader, term) => {
        options.onRegionLeadership?.(region.regionId, isLeader, term);
        options.onRegionChanged?.(region.regionId);
      },
      onChanged: (region) => options.onRegionChanged?.(region.regionId),
      onFault: (region, error) => {
        options.env.logger.log("error", error.message, { regionId: region.regionId, code: error.code });
        if (error.code === "DISK_FAILED") this.#parts.fatal(error);
        options.onRegionChanged?.(region.regionId);
      },
      onApplied: (commands) => {
        counters.entriesApplied++;
        counters.commandsApplied += commands;
      },
    };
  }

  #handle(region: Region): RegionHandle {
    let handle = this.#handles.get(region);
    if (handle === undefined) {
      handle = createRegionHandle(region);
      this.#handles.set(region, handle);
    }
    return handle;
  }

  readonly #warnUnmeasured = (error: unknown): void => {
    this.#parts.options.env.logger.log("warn", "could not measure the store", { error: String(error) });
  };

  #meterLater(): void {
    const { env } = this.#parts.options;
    env.scheduler.setTimer(METER_INTERVAL_MS, () => {
      if (this.#isClosing) return;
      Promise.all([this.#meter.run(this.#regions.values()), this.#checkSpace()]).catch(this.#warnUnmeasured);
      this.#meterLater();
    });
  }

  async #checkSpace(): Promise<void> {
    const { options, limits } = this.#parts;
    const { disk, logger } = options.env;
    const spaces = await Promise.all([disk.space(options.logDirectory), disk.space(options.snapshotDirectory)]);
    const freeBytes = Math.min(...spaces.map((space) => space.freeBytes));
    const isFull = freeBytes < limits.reserveBytes;
    if (isFull !== this.#isDiskFull) {
      logger.log(isFull ? "error" : "info", isFull ? "disk full: only deletes are taken" : "space is back", {
        freeBytes,
      });
    }
    this.#isDiskFull = isFull;
  }
}
