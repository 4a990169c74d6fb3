/** How the host runs the core. */
import { raftEventLevel, type RaftEvent } from "../core/index.js";
import type { PeerId, RaftConfig, Storage } from "../core/types.js";
import type { HostLimits, RaftHostOptions } from "./api.js";

/** Committed entry bytes handed out and not yet applied. */
const MAX_APPLYING_BYTES = 8 * 1024 * 1024;

/** What differs from group to group. */
export interface CorePlace {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly applied: number;
  readonly storage: Storage;
  /** Election priority; -1: none. */
  readonly priority: number;
}

/** Builds the core's configuration: PreVote, CheckQuorum and asynchronous writes on, proposals never forwarded. */
export function coreConfig(
  { groupId, peerId, applied, storage, priority }: CorePlace,
  limits: HostLimits,
  options: RaftHostOptions,
): RaftConfig {
  const { rng, logger } = options;
  const onEvent = (event: RaftEvent): void => {
    const loudness = raftEventLevel(event.kind);
    // Elections of thousands of groups are no news; who leads is.
    const level = loudness === "info" && event.kind !== "becameLeader" ? "debug" : loudness;
    if (logger.isEnabled(level)) logger.log(level, event.kind, { groupId, ...event });
  };
  return {
    id: peerId,
    electionTick: limits.electionTicks,
    heartbeatTick: limits.heartbeatTicks,
    storage,
    applied,
    asyncStorageWrites: true,
    maxSizePerMsg: limits.maxMessageBytes,
    maxCommittedSizePerReady: MAX_APPLYING_BYTES,
    maxUncommittedEntriesSize: limits.maxUncommittedBytes,
    maxInflightMsgs: limits.maxInflightMessages,
    checkQuorum: true,
    preVote: true,
    disableProposalForwarding: true,
    stepDownOnRemoval: true,
    readOnlyOption: options.readOnly ?? "safe",
    priority,
    random: (n) => rng.int(n),
    onEvent,
  };
}
