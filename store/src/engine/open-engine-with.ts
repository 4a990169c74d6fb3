/** Opens a store engine on a given raft: markers checked, regions loaded, log reconciled, groups started. */
import { RheaError, fromLatin1 } from "@rhea/common";
import type { LogOptions, RaftHost, RaftHostOptions, RaftLog } from "@rhea/raft";
import { Overlay } from "../overlay/overlay.js";
import { openTurnMarkers } from "../overlay/turn-markers.js";
import type { StoreEngineOptions, StoreLimits } from "./api.js";
import { createCounters } from "./counters.js";
import { loadRegions } from "./load-regions.js";
import { planRecovery } from "./recovery.js";
import { StoreEngineCore } from "./store-engine.js";
import { TurnQueue } from "./turn-queue.js";

const DEFAULT_LIMITS: StoreLimits = {
  overlayBytes: 64 << 20,
  reserveBytes: 256 << 20,
  scanRows: 10_000,
  scanBytes: 1 << 20,
  entryBytes: 1 << 20,
};
/** The format and command versions that this build writes. */
const FEATURE_LEVEL = 1;

/** Where log and host come from: `@rhea/raft`, or a test's. */
export interface RaftConstructors {
  openLog(options: LogOptions): Promise<RaftLog>;
  createRaftHost(options: RaftHostOptions): RaftHost;
}

/** Does the work of `openStoreEngine`. */
export async function openEngineWith(options: StoreEngineOptions, raft: RaftConstructors): Promise<StoreEngineCore> {
  const { env, kv } = options;
  let isFailed = false;
  const fatal = (error: RheaError): void => {
    if (isFailed) return;
    isFailed = true;
    options.onFatal(error);
  };
  const limits: StoreLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const { markers, check } = await openTurnMarkers(kv);
  const stored = await loadRegions(kv);
  const log = await raft.openLog({
    disk: env.disk,
    directory: options.logDirectory,
    clock: env.clock,
    logger: env.logger,
    incarnation: options.incarnation,
    onFailed: fatal,
    ...(options.onRecovering === undefined ? {} : { onRecovering: options.onRecovering }),
  });
  const { newestLogIncarnation } = options;
  if (newestLogIncarnation !== undefined && log.newestIncarnation > newestLogIncarnation) {
    await log.close();
    throw new RheaError(
      "DISK_LOST",
      `${options.logDirectory}: the log was written by incarnation ${log.newestIncarnation}, the data know only ${newestLogIncarnation}: ` +
        "one of them is an older image; replace this store under a new name",
    );
  }
  const overlay = new Overlay({ kv, markers, maxBytes: limits.overlayBytes, onFailed: fatal });
  const replies = new TurnQueue(env.scheduler);
  const engine = new StoreEngineCore({ options, limits, log, overlay, counters: createCounters(), replies, fatal });
  const host = raft.createRaftHost({
    clusterId: options.clusterId,
    storeId: options.storeId,
    incarnation: options.incarnation,
    bootNonce: options.bootNonce,
    featureLevel: FEATURE_LEVEL,
    log,
    disk: env.disk,
    snapshotDirectory: options.snapshotDirectory,
    net: env.net,
    clock: env.clock,
    scheduler: env.scheduler,
    rng: env.rng,
    logger: env.logger,
    ...(options.raft === undefined ? {} : { limits: options.raft }),
    resolveStore: (storeId) => options.resolveStore(storeId),
    onTurnApplied: () => {
      replies.run();
      overlay.endTurn();
    },
    onUnknownPeer: (message) => engine.onUnknownPeer(message),
    describeGroup: (groupId) => {
      const region = engine.internal(groupId);
      if (region === undefined) return undefined;
      const { epoch, start, end } = region.descriptor;
      return { epoch, startKey: fromLatin1(start), endKey: fromLatin1(end) };
    },
    onFatal: fatal,
    ...(options.observer === undefined ? {} : { observer: options.observer }),
  });
  await engine.recover(host, planRecovery(stored, log.groups(), check));
  host.start();
  return engine;
}
