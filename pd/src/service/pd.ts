/** One PD member: follows the leadership of its metadata region, and serves the API while it leads. */
import { RheaError, type Clock, type Logger, type RpcServer, type Scheduler, type TimerHandle } from "@rhea/common";
import { PdMethods, type ClusterInfoRequest, type ClusterInfoResponseInit } from "@rhea/proto";
import { settingsToProto, type ClusterSettings } from "../cluster/index.js";
import type { MemberBook, ProvenMember } from "../members/index.js";
import { Records, type MetadataStore } from "../metadata/index.js";
import type { HeartbeatHandler } from "../pipeline/index.js";
import { allocId, bootstrap, putStore, requireCluster, setClusterConfig } from "./cluster-api.js";
import { Coordinator } from "./coordinator.js";
import { serveHeartbeats } from "./heartbeats.js";
import { addMember, announceMember, getMembers, removeMember, transferPdLeader } from "./members-api.js";
import { addOperation, cancelOperation, listOperations } from "./operations-api.js";
import { askSplit, getRegion, reportSplit, scanRegions } from "./regions-api.js";
import {
  cancelDrain,
  drainStore,
  evictLeaders,
  getStores,
  removeStore,
  reportDiskLost,
  setStoreLabels,
} from "./stores-api.js";

/** How a PD member is set up. */
export interface PdOptions {
  readonly clusterId: number;
  /** This member as it is now; asked whenever it is told. */
  readonly self: () => ProvenMember;
  /** Where the members are. */
  readonly book: MemberBook;
  /** The process's settings; what SetClusterConfig persisted lies over them. */
  readonly settings: ClusterSettings;
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** Told the level that SetClusterConfig wrote, "" for the process's own, when it changes. */
  readonly onLogLevel?: (level: string) => void;
  /** Asks for a round of announcements: this member hears no leader, or the records have it elsewhere. */
  readonly announce?: () => void;
}

/** Whether a member serves, and why not. */
export type Readiness = { readonly isReady: true } | { readonly isReady: false; readonly reason: string };

/** A running PD member. */
export interface Pd {
  /** Registers all methods; before the server listens. */
  serve(server: RpcServer): void;
  /** Adds a heartbeat handler, before the one named or at the end. Takes effect when this member next begins to lead, and now if it leads. */
  registerHandler(handler: HeartbeatHandler, before?: string): void;
  /** The leader's engine, or undefined while this member does not lead. */
  readonly leading: Coordinator | undefined;
  /** It leads, or is a voter and hears the leader. */
  readonly readiness: Readiness;
  /** Resolves when this member is ready for the first time, or rejects when it is closed first. */
  untilReady(): Promise<void>;
  /** Looks again at leader and configuration: something changed. */
  noteChange(): void;
  /** Stops leading and writes what is queued. The metadata store stays open: it is the caller's. */
  close(): Promise<void>;
}

/** After a failed take-over it is tried again after this long, ms. */
const RETRY_MS = 100;
/** How often a member looks at the records that it has applied. */
const LOOK_MS = 500;

/** Makes a PD member and begins to follow its metadata region's leadership. */
export function createPd(options: PdOptions): Pd {
  return new PdMember(options);
}

class PdMember implements Pd {
  readonly #options: PdOptions;
  readonly #handlers: { handler: HeartbeatHandler; before: string | undefined }[] = [];
  readonly #waiting: { resolve: () => void; reject: (error: RheaError) => void }[] = [];
  #leading: Coordinator | undefined;
  /** Rises with every change of leadership: a take-over that it passes by is dropped. */
  #reign = 0;
  #retry: TimerHandle | undefined;
  #look: TimerHandle | undefined;
  #logLevel = "";
  #isClosed = false;

  constructor(options: PdOptions) {
    this.#options = options;
    this.#lookLater();
    options.metadata.onLeadership((isLeader) => this.#onLeadership(isLeader));
  }

  get leading(): Coordinator | undefined {
    return this.#leading;
  }

  registerHandler(handler: HeartbeatHandler, before?: string): void {
    this.#handlers.push({ handler, before });
    this.#leading?.pipeline.registerHandler(handler, before);
  }

  get readiness(): Readiness {
    if (this.#leading !== undefined) return { isReady: true };
    const { group } = this.#options.metadata;
    const { memberId } = this.#options.self();
    const peer = group.peers().find((one) => one.memberId === memberId);
    if (peer === undefined) return { isReady: false, reason: "waits to be taken into PD's group" };
    if (!peer.isVoter) return { isReady: false, reason: "is a learner: catches up" };
    if (group.leaderId === 0) return { isReady: false, reason: "hears no leader" };
    return group.leaderId === memberId ? { isReady: false, reason: "is about to lead" } : { isReady: true };
  }

  untilReady(): Promise<void> {
    if (this.readiness.isReady) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  noteChange(): void {
    if (this.#waiting.length > 0 && this.readiness.isReady)
      for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#reign++;
    this.#retry?.cancel();
    this.#look?.cancel();
    const closing = new RheaError("SHUTTING_DOWN", `PD ${this.#options.self().name} is shutting down`);
    for (const { reject } of this.#waiting.splice(0)) reject(closing);
    const coordinator = this.#leading;
    this.#leading = undefined;
    if (coordinator === undefined) return;
    try {
      await coordinator.writeBehind.flush();
    } finally {
      coordinator.close({ code: "PD_NOT_LEADER", message: closing.message });
    }
  }

  serve(server: RpcServer): void {
    const { clock } = this.#options;
    const m = PdMethods;
    const leading = () => this.#requireLeading();
    server.unary(m.ClusterInfo, async (request) => this.#clusterInfo(request));
    server.unary(m.SetClusterConfig, (request) => this.#answer((pd) => setClusterConfig(pd, request)));
    server.unary(m.Bootstrap, (request) => this.#answer((pd) => bootstrap(pd, request, clock.wallMs())));
    server.unary(m.AllocId, (request) => this.#answer((pd) => allocId(pd, request)));
    server.unary(m.PutStore, (request) => this.#answer((pd) => putStore(pd, request)));
    server.stream(m.Heartbeats, (stream) => serveHeartbeats(stream, leading));
    server.unary(m.GetRegion, (request) => this.#answer((pd) => getRegion(pd, request)));
    server.unary(m.ScanRegions, (request) => this.#answer((pd) => scanRegions(pd, request)));
    server.unary(m.AskSplit, (request) => this.#answer((pd) => askSplit(pd, request)));
    server.unary(m.ReportSplit, (request) => this.#answer((pd) => reportSplit(pd, request)));
    server.unary(m.GetStores, (request) => this.#answer((pd) => getStores(pd, request)));
    server.unary(m.DrainStore, (request) => this.#answer((pd) => drainStore(pd, request)));
    server.unary(m.CancelDrain, (request) => this.#answer((pd) => cancelDrain(pd, request)));
    server.unary(m.RemoveStore, (request) => this.#answer((pd) => removeStore(pd, request)));
    server.unary(m.ReportDiskLost, (request) => this.#answer((pd) => reportDiskLost(pd, request)));
    server.unary(m.EvictLeaders, (request) => this.#answer((pd) => evictLeaders(pd, request)));
    server.unary(m.SetStoreLabels, (request) => this.#answer((pd) => setStoreLabels(pd, request)));
    server.unary(m.AddOperation, (request) => this.#answer((pd) => addOperation(pd, request)));
    server.unary(m.ListOperations, (request) => this.#answer((pd) => listOperations(pd, request)));
    server.unary(m.CancelOperation, (request) => this.#answer((pd) => cancelOperation(pd, request)));
    server.unary(m.AddMember, (request) => this.#answer((pd) => addMember(pd, request)));
    server.unary(m.GetMembers, (request) => this.#answer((pd) => getMembers(pd, request)));
    server.unary(m.RemoveMember, (request) => this.#answer((pd) => removeMember(pd, request)));
    server.unary(m.TransferPdLeader, (request) => this.#answer((pd) => transferPdLeader(pd, request)));
    server.unary(m.AnnounceMember, async (request) => {
      const { book, clusterId } = this.#options;
      return announceMember({ book, clusterId, leading: this.#leading }, request);
    });
  }

  /** Answers from the leader's engine; losing the metadata region's leadership on the way reads as PD_NOT_LEADER. */
  async #answer<T>(work: (coordinator: Coordinator) => T | Promise<T>): Promise<T> {
    try {
      return await work(this.#requireLeading());
    } catch (thrown) {
      const error = RheaError.from(thrown);
      if (error.code !== "NOT_LEADER" && error.code !== "LEADER_NOT_AVAILABLE") throw error;
      throw this.#notLeader(error);
    }
  }

  #requireLeading(): Coordinator {
    if (this.#leading === undefined) throw this.#notLeader();
    return this.#leading;
  }

  #notLeader(cause?: RheaError): RheaError {
    const { metadata, self } = this.#options;
    const { name } = self();
    const address = metadata.isLeader ? "" : metadata.leaderAddress;
    const hint = metadata.isLeader
      ? "is about to lead, try again"
      : address === ""
        ? "no leader is known"
        : `ask ${address}`;
    return new RheaError("PD_NOT_LEADER", `PD ${name} does not lead: ${hint}`, {
      cause,
      details: address === "" ? {} : { leader: { peerId: 0, storeId: 0, address } },
    });
  }

  #clusterInfo(request: ClusterInfoRequest): ClusterInfoResponseInit {
    const { clusterId } = this.#options;
    requireCluster(request.header, clusterId, { mayBeAny: true });
    const coordinator = this.#requireLeading();
    return {
      clusterId,
      bootstrapped: coordinator.isBootstrapped,
      featureLevel: coordinator.featureLevel(),
      members: coordinator.members.list(),
      config: settingsToProto(coordinator.cluster.settings),
      version: this.#options.self().version,
    };
  }

  #onLeadership(isLeader: boolean): void {
    const reign = ++this.#reign;
    this.#retry?.cancel();
    if (this.#leading !== undefined) {
      this.#options.logger.log("info", "PD leadership ends", {});
      this.#leading.close({ code: "PD_NOT_LEADER", message: `PD ${this.#options.self().name} no longer leads` });
      this.#leading = undefined;
    }
    if (isLeader && !this.#isClosed) void this.#takeOver(reign);
  }

  async #takeOver(reign: number): Promise<void> {
    const { metadata, self, clusterId, settings, clock, scheduler, logger } = this.#options;
    try {
      await metadata.confirmLeadership();
      const records = new Records(metadata);
      const persisted = await records.load(clock.monotonicMs());
      if (reign !== this.#reign) return;
      const recorded = persisted.bootstrap?.clusterId ?? clusterId;
      if (recorded !== clusterId) {
        logger.log("error", "the metadata belongs to another cluster: check clusterId and dataDir", {
          clusterId,
          recorded,
        });
        return;
      }
      const extraHandlers = this.#handlers;
      this.#leading = new Coordinator({
        clusterId,
        settings,
        records,
        persisted,
        group: metadata.group,
        self,
        clock,
        scheduler,
        logger,
        extraHandlers,
      });
      logger.log("info", "PD leads", { stores: persisted.stores.length, regions: persisted.regions.length });
      this.#leading.members.step();
      this.noteChange();
    } catch (thrown) {
      if (reign !== this.#reign) return;
      const error = RheaError.from(thrown);
      logger.log("warn", "taking over PD leadership failed, tries again", { code: error.code, error: error.message });
      this.#retry = scheduler.setTimer(RETRY_MS, () => void this.#takeOver(reign));
    }
  }

  #lookLater(): void {
    this.#look = this.#options.scheduler.setTimer(LOOK_MS, () => {
      this.#lookAtRecords().catch((thrown: unknown) => {
        this.#options.logger.log("warn", "PD's records could not be read", { error: RheaError.from(thrown).message });
      });
      if (!this.#isClosed) this.#lookLater();
    });
  }

  /** What every member takes from the records as applied here: where the others are, and the log level. */
  async #lookAtRecords(): Promise<void> {
    const { metadata, book, self, onLogLevel, announce } = this.#options;
    this.noteChange();
    if (metadata.group.leaderId === 0) announce?.();
    if (!metadata.group.isLoaded) return;
    const records = new Records(metadata);
    const members = await records.members();
    const { logLevel } = await records.config();
    book.learn(members);
    const own = self();
    const recorded = members.find(({ memberId }) => memberId === own.memberId);
    const isCurrent = recorded?.address === own.address && recorded.version === own.version;
    if (!isCurrent && this.#leading === undefined) announce?.();
    if ((logLevel ?? "") === this.#logLevel) return;
    this.#logLevel = logLevel ?? "";
    onLogLevel?.(this.#logLevel);
  }
}
