/** The store's side of its heartbeat stream with PD: registers, reports, carries out what PD answers; reconnects for ever. */
import { RheaError, type Logger, type RpcStream, type Scheduler, type TimerHandle, errorFromWire } from "@rhea/common";
import type { PdToStore, StepResultInit, StoreInit, StoreStatsInit, StoreToPdInit } from "@rhea/proto";
import type { StoreEnvironment } from "../engine/api.js";
import type { StoreEngineCore } from "../engine/store-engine.js";
import { descriptorFromProto } from "../format/descriptor.js";
import type { AddressBook } from "./address-book.js";
import type { PdChannel } from "./pd-channel.js";
import { RegionReports } from "./region-reports.js";
import { joinCluster } from "./registration.js";
import { StepExecutor } from "./step-executor.js";

/** What a client needs. */
export interface PdClientOptions {
  readonly env: StoreEnvironment;
  readonly pd: PdChannel;
  readonly engine: StoreEngineCore;
  readonly addresses: AddressBook;
  readonly clusterId: number;
  /** This store as PD lists it. */
  readonly store: StoreInit;
  readonly dataDirectory: string;
  /** Measures the store; `reset` takes the counters of the interval. */
  readonly measure: () => Promise<StoreStatsInit>;
  /** The cluster's log level, "" for the process's own; told with every configuration that PD sends. */
  readonly onLogLevel?: ((level: string) => void) | undefined;
  /** PD refuses this store for good: the process must stop. */
  readonly onRefused: (error: RheaError) => void;
}

/** Reports leave this long after a change, so that changes of one moment share a message. */
const CHANGE_DELAY_MS = 10;
const ROUND_MS = 250;
/** Store statistics: each this many rounds while things change, else at rest. */
const STATS_ROUNDS_BUSY = 4;
const STATS_ROUNDS_REST = 20;
const FULL_ROUND_ROUNDS = 120;
const RECONNECT_MS = 200;
/** Errors after which this store must not go on. */
const FINAL = new Set(["DISK_LOST", "STALE_IDENTITY", "CLUSTER_MISMATCH", "VERSION_UNSUPPORTED"]);

/** One store's connection with PD. */
export class PdClient {
  readonly #options: PdClientOptions;
  readonly #reports: RegionReports;
  readonly #steps: StepExecutor;
  readonly #logger: Logger;
  readonly #scheduler: Scheduler;
  #stream: RpcStream<PdToStore, StoreToPdInit> | undefined;
  #results: StepResultInit[] = [];
  #changeTimer: TimerHandle | undefined;
  #roundTimer: TimerHandle | undefined;
  #round = 0;
  #wasBusy = true;
  #isClosed = false;
  #isDraining = false;
  #hasJoined = false;

  constructor(options: PdClientOptions) {
    this.#options = options;
    this.#logger = options.env.logger;
    this.#scheduler = options.env.scheduler;
    this.#reports = new RegionReports(options.engine, options.env.clock);
    this.#steps = new StepExecutor(options.engine, this.#logger, (result) => {
      this.#results.push(result);
      this.regionChanged(result.regionId ?? 0);
    });
  }

  /** Whether PD has accepted this store since the process started. */
  get hasJoined(): boolean {
    return this.#hasJoined;
  }

  /** Joins and keeps reporting until closed. Resolves when PD has accepted the store for the first time. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      void this.#run(resolve);
    });
  }

  /** Asks for a report of a region at once. */
  regionChanged(regionId: number): void {
    if (regionId !== 0) this.#reports.changed(regionId);
    if (this.#changeTimer !== undefined || this.#isClosed) return;
    this.#changeTimer = this.#scheduler.setTimer(CHANGE_DELAY_MS, () => {
      this.#changeTimer = undefined;
      this.#sendChanges();
    });
  }

  /** Tells PD that leaders are being handed away. */
  drainLeaders(): void {
    this.#isDraining = true;
    void this.#sendStats();
  }

  close(): void {
    this.#isClosed = true;
    this.#changeTimer?.cancel();
    this.#roundTimer?.cancel();
    this.#stream?.close();
    this.#options.pd.close();
  }

  async #run(onJoined: () => void): Promise<void> {
    const { pd, engine, store, clusterId, env, dataDirectory, onRefused } = this.#options;
    while (this.#isOpen()) {
      try {
        await joinCluster({ pd, engine, store, clusterId, disk: env.disk, dataDirectory });
        this.#hasJoined = true;
        onJoined();
        await this.#serve();
      } catch (thrown) {
        const error = RheaError.from(thrown);
        if (FINAL.has(error.code)) {
          onRefused(error);
          return;
        }
        if (!this.#isClosed)
          this.#logger.log("warn", "no heartbeats with PD", { error: error.message, code: error.code });
        pd.moveOn(error);
      }
      if (this.#isOpen()) await pd.pause(RECONNECT_MS);
    }
  }

  #isOpen(): boolean {
    return !this.#isClosed;
  }

  /** Runs one stream until it ends; rejects with what ended it. */
  #serve(): Promise<void> {
    const { pd, clusterId, store } = this.#options;
    const stream = pd.heartbeats();
    this.#stream = stream;
    return new Promise((_resolve, reject) => {
      let refusal: RheaError | undefined;
      stream.listen({
        onMessage: (message) => {
          if (message.error !== null) {
            refusal = errorFromWire(message.error);
            stream.close();
            return;
          }
          this.#take(message);
        },
        onClose: (error) => {
          this.#stream = undefined;
          this.#roundTimer?.cancel();
          reject(refusal ?? error ?? new RheaError("UNAVAILABLE", "PD ended the heartbeat stream"));
        },
      });
      this.#round = 0;
      stream.send({ header: { clusterId }, store, ...this.#fullRound() });
      void this.#sendStats();
      this.#nextRound();
    });
  }

  #take(message: PdToStore): void {
    const { addresses, pd, onLogLevel } = this.#options;
    addresses.update(message.stores);
    if (message.members.length > 0) pd.learn(message.members.map(({ address }) => address));
    if (message.config !== null) onLogLevel?.(message.config.logLevel ?? "");
    for (const step of message.steps) this.#steps.start(step);
    for (const { region, peerId } of message.destroy) {
      if (region === null) continue;
      this.#options.engine.destroyPeer(region.regionId, peerId, descriptorFromProto(region)).catch((error: unknown) => {
        this.#logger.log("error", "could not destroy a removed peer", {
          regionId: region.regionId,
          error: String(error),
        });
      });
    }
  }

  #nextRound(): void {
    this.#roundTimer = this.#scheduler.setTimer(ROUND_MS, () => {
      this.#round++;
      if (this.#round % FULL_ROUND_ROUNDS === 0) this.#send(this.#fullRound());
      else this.#sendChanges();
      if (this.#round % (this.#wasBusy ? STATS_ROUNDS_BUSY : STATS_ROUNDS_REST) === 0) void this.#sendStats();
      this.#nextRound();
    });
  }

  #fullRound(): StoreToPdInit {
    return { fullRound: true, regions: this.#reports.full(), heldPeers: this.#options.engine.heldPeers() };
  }

  #sendChanges(): void {
    if (this.#stream === undefined) return;
    const regions = this.#reports.round();
    const stepResults = this.#results;
    if (regions.length === 0 && stepResults.length === 0) return;
    this.#results = [];
    this.#wasBusy = true;
    this.#send({ regions, stepResults });
  }

  async #sendStats(): Promise<void> {
    if (this.#stream === undefined) return;
    let stats: StoreStatsInit;
    try {
      stats = await this.#options.measure();
    } catch (error) {
      this.#logger.log("warn", "could not measure the store", { error: String(error) });
      return;
    }
    this.#wasBusy = (stats.keysWritten ?? 0) > 0 || (stats.keysRead ?? 0) > 0;
    this.#send({ stats: { ...stats, drainingLeaders: this.#isDraining } });
  }

  #send(message: StoreToPdInit): void {
    this.#stream?.send({ header: { clusterId: this.#options.clusterId }, ...message });
  }
}
