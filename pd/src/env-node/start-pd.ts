/** Puts a PD member together from Node's environment. */
import { type ConfigOf, type Logger, RheaError, tlsFiles } from "@rhea/common";
import { grpcNet, nodeClock, nodeDisk, nodeRng, nodeScheduler, startStatusServer } from "@rhea/common/env-node";
import { ClusterConfig } from "@rhea/proto";
import { openLevelKv } from "@rhea/store/env-node";
import { DEFAULT_SETTINGS, mergeSettings, type ClusterSettings } from "../cluster/index.js";
import { startMember, type RunningPd } from "../process/index.js";
import type { PD_CONFIG } from "./config-schema.js";
import { statusPages } from "./status-pages.js";

/** The values of `rhea-pd`'s keys. */
export type PdConfig = ConfigOf<typeof PD_CONFIG>;

/** Version of this build, as ClusterInfo shows it. */
const VERSION = "0.1.0";
/** The highest feature level that this build speaks. */
const FEATURE_LEVEL = 1;

/** Starts a member on this machine: see `startMember`. */
export async function startPd(
  config: PdConfig,
  logger: Logger,
  onFatal: (error: RheaError) => void,
  onLogLevel: (level: string) => void = () => undefined,
): Promise<RunningPd> {
  const settings = settingsOf(config);
  const tls = tlsFiles({
    caFile: config["tls.caFile"],
    certFile: config["tls.certFile"],
    keyFile: config["tls.keyFile"],
  });
  const net = grpcNet({ tls, logger });
  return startMember(
    {
      ...{ clusterId: config.clusterId, name: config.name, dataDir: config.dataDir, join: config.join, settings },
      ...{ address: config.address, advertiseAddress: config.advertiseAddress },
      isExpected: config.initialState === "existing",
      ...{ version: VERSION, featureLevel: FEATURE_LEVEL },
    },
    {
      env: { clock: nodeClock, scheduler: nodeScheduler, rng: nodeRng, disk: nodeDisk, net, logger },
      openKv: (directory) => openLevelKv({ directory, cacheBytes: 8 << 20, writeBufferBytes: 8 << 20 }),
      openStatus: (member) => startStatusServer({ address: config.statusAddress, routes: statusPages(member) }),
      ...{ onFatal, onLogLevel },
    },
  );
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
