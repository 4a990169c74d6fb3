/** The cluster's settings: what the process was started with, under what SetClusterConfig wrote later. */
import { RheaError } from "@rhea/common";
import type { ClusterConfig, ClusterConfigInit } from "@rhea/proto";

/** Everything that decides about scheduling. Times in ms, sizes in bytes. */
export interface ClusterSettings {
  /** Voters wanted per region: 1, 3, 5 or 7. Default 3. */
  readonly replicas: number;
  /** Who replaces peers on down stores: PD itself (default), or an operator that asks for it. */
  readonly repair: "pd" | "operator";
  /** A region above either limit is split. Defaults 96 MiB and 960,000. */
  readonly regionMaxBytes: number;
  readonly regionMaxKeys: number;
  /** Silence after which a store's peers count as lost. Default 30 min. */
  readonly maxDownTimeMs: number;
  /** Silence after which a store gets nothing new. Default 20 s. */
  readonly disconnectedAfterMs: number;
  /** Concurrent operations of one kind that PD makes itself. Default 8. */
  readonly operationLimit: number;
  /** True: checkers and schedulers propose nothing; requested operations still run. */
  readonly isSchedulingPaused: boolean;
  /** Concurrent balance operations; 0 switches the scheduler off. Default 4 each. */
  readonly leaderBalanceLimit: number;
  readonly regionBalanceLimit: number;
  /** Labels that tell failure domains, widest first. Default zone, rack, host. Not changeable at run time. */
  readonly locationLabels: readonly string[];
  /** Least level that all processes log; empty (default): each its own. */
  readonly logLevel: string;
}

/** The defaults of {@link ClusterSettings}. */
export const DEFAULT_SETTINGS: ClusterSettings = {
  replicas: 3,
  repair: "pd",
  regionMaxBytes: 96 * 1024 * 1024,
  regionMaxKeys: 960_000,
  maxDownTimeMs: 30 * 60_000,
  disconnectedAfterMs: 20_000,
  operationLimit: 8,
  isSchedulingPaused: false,
  leaderBalanceLimit: 4,
  regionBalanceLimit: 4,
  locationLabels: ["zone", "rack", "host"],
  logLevel: "",
};

const LOG_LEVELS: readonly string[] = ["", "error", "warn", "info", "debug"];

/** Lays the present fields of `update` over `base`. Throws INVALID_ARGUMENT for values out of range. */
export function mergeSettings(base: ClusterSettings, update: ClusterConfig): ClusterSettings {
  const repair = update.repair ?? base.repair;
  if (repair !== "pd" && repair !== "operator") refuse("repair", repair, '"pd" or "operator"');
  const merged: ClusterSettings = {
    replicas: update.replicas ?? base.replicas,
    repair,
    regionMaxBytes: update.regionMaxBytes ?? base.regionMaxBytes,
    regionMaxKeys: update.regionMaxKeys ?? base.regionMaxKeys,
    maxDownTimeMs: update.maxDownTimeMs ?? base.maxDownTimeMs,
    disconnectedAfterMs: update.disconnectedAfterMs ?? base.disconnectedAfterMs,
    operationLimit: update.operationLimit ?? base.operationLimit,
    isSchedulingPaused: update.schedulingPaused ?? base.isSchedulingPaused,
    leaderBalanceLimit: update.leaderBalanceLimit ?? base.leaderBalanceLimit,
    regionBalanceLimit: update.regionBalanceLimit ?? base.regionBalanceLimit,
    locationLabels: base.locationLabels,
    logLevel: update.logLevel ?? base.logLevel,
  };
  if (!LOG_LEVELS.includes(merged.logLevel)) refuse("logLevel", merged.logLevel, 'error, warn, info, debug or ""');
  if (![1, 3, 5, 7].includes(merged.replicas)) refuse("replicas", merged.replicas, "1, 3, 5 or 7");
  if (merged.regionMaxBytes < 4096) refuse("regionMaxBytes", merged.regionMaxBytes, "at least 4096");
  if (merged.regionMaxKeys < 2) refuse("regionMaxKeys", merged.regionMaxKeys, "at least 2");
  if (merged.disconnectedAfterMs < 1000) refuse("disconnectedAfterMs", merged.disconnectedAfterMs, "at least 1000");
  if (merged.maxDownTimeMs < merged.disconnectedAfterMs) {
    refuse("maxDownTimeMs", merged.maxDownTimeMs, `at least disconnectedAfterMs (${merged.disconnectedAfterMs})`);
  }
  if (merged.operationLimit < 1) refuse("operationLimit", merged.operationLimit, "at least 1");
  return merged;
}

function refuse(field: string, value: string | number, allowed: string): never {
  throw new RheaError("INVALID_ARGUMENT", `cluster config: ${field} is ${value}, allowed: ${allowed}`);
}

/** Adds an update to an earlier one: fields that are absent in `update` keep what `earlier` says. */
export function mergeUpdates(earlier: ClusterConfig, update: ClusterConfig): ClusterConfig {
  return {
    replicas: update.replicas ?? earlier.replicas,
    repair: update.repair ?? earlier.repair,
    regionMaxBytes: update.regionMaxBytes ?? earlier.regionMaxBytes,
    regionMaxKeys: update.regionMaxKeys ?? earlier.regionMaxKeys,
    maxDownTimeMs: update.maxDownTimeMs ?? earlier.maxDownTimeMs,
    disconnectedAfterMs: update.disconnectedAfterMs ?? earlier.disconnectedAfterMs,
    operationLimit: update.operationLimit ?? earlier.operationLimit,
    schedulingPaused: update.schedulingPaused ?? earlier.schedulingPaused,
    leaderBalanceLimit: update.leaderBalanceLimit ?? earlier.leaderBalanceLimit,
    regionBalanceLimit: update.regionBalanceLimit ?? earlier.regionBalanceLimit,
    logLevel: update.logLevel ?? earlier.logLevel,
  };
}

/** Writes the settings in force for the wire: every field is present. */
export function settingsToProto(settings: ClusterSettings): ClusterConfigInit {
  return {
    replicas: settings.replicas,
    repair: settings.repair,
    regionMaxBytes: settings.regionMaxBytes,
    regionMaxKeys: settings.regionMaxKeys,
    maxDownTimeMs: settings.maxDownTimeMs,
    disconnectedAfterMs: settings.disconnectedAfterMs,
    operationLimit: settings.operationLimit,
    schedulingPaused: settings.isSchedulingPaused,
    leaderBalanceLimit: settings.leaderBalanceLimit,
    regionBalanceLimit: settings.regionBalanceLimit,
    logLevel: settings.logLevel,
  };
}
