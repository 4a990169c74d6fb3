import { RheaError } from "@rhea/common";
import { NO_PRIORITY } from "./priority.js";
import { NO_LIMIT, type RaftConfig } from "./types.js";

/** Is a configuration with all defaults filled in. */
export type ResolvedRaftConfig = Required<Omit<RaftConfig, "onEvent">>;

/**
 * Checks a configuration and fills in the defaults.
 * @throws RheaError INVALID_CONFIG naming the option and its value.
 */
export function resolveRaftConfig(config: RaftConfig): ResolvedRaftConfig {
  const { id, electionTick, heartbeatTick, storage, random } = config;
  const maxSizePerMsg = config.maxSizePerMsg ?? NO_LIMIT;
  const resolved: ResolvedRaftConfig = {
    id,
    electionTick,
    heartbeatTick,
    storage,
    random,
    applied: config.applied ?? 0,
    asyncStorageWrites: config.asyncStorageWrites ?? false,
    maxSizePerMsg,
    // At least 1, so that a limit of "one entry at a time" lets one entry through.
    maxCommittedSizePerReady: Math.max(1, orElse(config.maxCommittedSizePerReady, maxSizePerMsg)),
    maxUncommittedEntriesSize: orElse(config.maxUncommittedEntriesSize, NO_LIMIT),
    maxInflightMsgs: config.maxInflightMsgs ?? 256,
    maxInflightBytes: orElse(config.maxInflightBytes, NO_LIMIT),
    checkQuorum: config.checkQuorum ?? false,
    preVote: config.preVote ?? false,
    readOnlyOption: config.readOnlyOption ?? "safe",
    priority: config.priority ?? NO_PRIORITY,
    disableProposalForwarding: config.disableProposalForwarding ?? false,
    disableConfChangeValidation: config.disableConfChangeValidation ?? false,
    stepDownOnRemoval: config.stepDownOnRemoval ?? false,
  };
  require(Number.isSafeInteger(id) && id > 0, `id is ${id}: it must be a whole number above 0`);
  require(heartbeatTick > 0, `heartbeatTick is ${heartbeatTick}: it must be above 0`);
  require(electionTick >
    heartbeatTick, `electionTick is ${electionTick}: it must exceed heartbeatTick (${heartbeatTick})`);
  require(resolved.maxInflightMsgs > 0, `maxInflightMsgs is ${resolved.maxInflightMsgs}: it must be above 0`);
  require(resolved.maxInflightBytes >= maxSizePerMsg ||
    resolved.maxInflightBytes ===
      NO_LIMIT, `maxInflightBytes is ${resolved.maxInflightBytes}: it must be at least maxSizePerMsg (${maxSizePerMsg})`);
  require(Number.isSafeInteger(resolved.priority) &&
    resolved.priority >=
      NO_PRIORITY, `priority is ${resolved.priority}: it must be -1 (off), 0 (never elected) or a whole number above`);
  require(resolved.readOnlyOption === "safe" ||
    resolved.checkQuorum, "readOnlyOption is leaseBased: that needs checkQuorum, else an old leader never notices that it is one");
  return resolved;
}

function orElse(value: number | undefined, fallback: number): number {
  return value === undefined || value === 0 ? fallback : value;
}

function require(condition: boolean, message: string): void {
  if (!condition) throw new RheaError("INVALID_CONFIG", `raft: ${message}`);
}
