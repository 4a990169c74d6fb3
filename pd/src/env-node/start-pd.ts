/** Puts a PD member together from Node's environment. */
import { type ConfigOf, type Logger, RheaError } from "@rhea/common";
import {
  grpcNet,
  nodeClock,
  nodeDisk,
  nodeRng,
  nodeScheduler,
  startStatusServer,
  tlsFiles,
} from "@rhea/common/env-node";
import { ClusterConfig } from "@rhea/proto";
import { openLevelKv } from "@rhea/store/env-node";
import { DEFAULT_SETTINGS, mergeSettings, type ClusterSettings } from "../cluster/index.js";
import { markReady, openEngineMetadata, openMemberIdentity } from "../metadata/index.js";
import { createPd } from "../service/index.js";
import type { PD_CONFIG } from "./config-schema.js";
import { statusPages } from "./status-pages.js";

/** The values of `rhea-pd`'s keys. */
export type PdConfig = ConfigOf<typeof PD_CONFIG>;

/** A serving PD process. */
export interface RunningPd {
  /** Where it serves clients and stores. */
  readonly address: string;
  readonly statusAddress: string;
  /** Refuses new calls, makes everything durable, stops. */
  close(): Promise<void>;
}

/** Version of this build, as ClusterInfo shows it. */
const VERSION = "0.1.0";
const CLOSE_GRACE_MS = 1000;

/**
 * Starts a member and waits until it leads and serves. Throws INVALID_CONFIG, DISK_LOST, LOCKED, CORRUPTION, UNAVAILABLE (address taken).
 * `onFatal`: a disk failed or an invariant broke while it served.
 */
export async function startPd(
  config: PdConfig,
  logger: Logger,
  onFatal: (error: RheaError) => void,
): Promise<RunningPd> {
  const settings = settingsOf(config);
  const { clusterId, name, dataDir } = config;
  const disk = nodeDisk;
  const isExpected = config.initialState === "existing";
  const tls = tlsFiles({
    caFile: config["tls.caFile"],
    certFile: config["tls.certFile"],
    keyFile: config["tls.keyFile"],
  });
  const env = { clock: nodeClock, scheduler: nodeScheduler, rng: nodeRng, disk, net: grpcNet({ tls, logger }), logger };
  await prepareDirectory(dataDir);
  const member = { disk, rng: nodeRng, directory: dataDir, clusterId, name };
  // First of all: this takes the lock on the directory.
  const kv = await openLevelKv({ directory: `${dataDir}/data`, cacheBytes: 8 << 20, writeBufferBytes: 8 << 20 });
  const identity = await openMemberIdentity({ ...member, isExpected }).catch(async (error: unknown) => {
    await kv.close();
    throw error;
  });
  const metadata = await openEngineMetadata({
    ...{ env, kv, clusterId, memberId: identity.memberId, incarnation: identity.incarnation, isNew: !identity.isReady },
    ...{
      bootNonce: nodeRng.bytes(16),
      logDirectory: `${dataDir}/log`,
      snapshotDirectory: `${dataDir}/snapshots`,
      onFatal,
    },
  });
  await markReady(disk, dataDir, identity);
  const server = env.net.createServer();
  let advertised = config.advertiseAddress ?? config.address;
  const pd = createPd({
    ...{ clusterId, memberId: identity.memberId, name, address: () => advertised },
    ...{ version: VERSION, settings, metadata, clock: nodeClock, scheduler: nodeScheduler, logger },
  });
  pd.serve(server);
  const address = await server.listen(config.address);
  advertised = config.advertiseAddress ?? address;
  const status = await startStatusServer({ address: config.statusAddress, routes: statusPages(pd) });
  await pd.untilLeading();
  return {
    address,
    statusAddress: status.address,
    close: async () => {
      await status.close();
      await pd.close();
      await server.close(CLOSE_GRACE_MS);
      await metadata.close();
      await kv.close();
    },
  };
}

async function prepareDirectory(dataDir: string): Promise<void> {
  try {
    await nodeDisk.mkdir(dataDir);
  } catch (cause) {
    const { message } = RheaError.from(cause);
    throw new RheaError("DISK_FAILED", `${message}: dataDir must be a writable directory, or not exist yet`, { cause });
  }
}

/** Turns configuration into settings; what cannot be is INVALID_CONFIG. */
function settingsOf(config: PdConfig): ClusterSettings {
  const base = { ...DEFAULT_SETTINGS, locationLabels: config["schedule.locationLabels"] };
  const update = ClusterConfig.encode({
    replicas: config.replicas,
    repair: config.repair,
    regionMaxBytes: config["region.maxBytes"],
    regionMaxKeys: config["region.maxKeys"],
    maxDownTimeMs: config["schedule.maxDownTimeMs"],
    disconnectedAfterMs: config["schedule.disconnectedAfterMs"],
    operationLimit: config["schedule.operationLimit"],
    schedulingPaused: config["schedule.isPaused"],
    leaderBalanceLimit: config["schedule.leaderBalanceLimit"],
    regionBalanceLimit: config["schedule.regionBalanceLimit"],
  }).finish();
  try {
    return mergeSettings(base, ClusterConfig.decode(update));
  } catch (cause) {
    throw new RheaError("INVALID_CONFIG", RheaError.from(cause).message, { cause });
  }
}
