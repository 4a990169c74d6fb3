import { RheaError } from "@rhea/common";
import type { HostLimits } from "./api.js";

const DEFAULTS: HostLimits = {
  tickMs: 100,
  electionTicks: 8,
  heartbeatTicks: 2,
  maxMessageBytes: 1024 * 1024,
  maxInflightMessages: 256,
  maxUncommittedBytes: 64 * 1024 * 1024,
  maxPendingProposals: 16_384,
  maxProposalBytes: 64 * 1024 * 1024,
  maxPendingProposalsPerProcess: 131_072,
  maxProposalBytesPerProcess: 256 * 1024 * 1024,
  maxLogEntries: 100_000,
  maxLogBytes: 64 * 1024 * 1024,
  maxSnapshots: 4,
  maxSnapshotBytesPerSecond: 1024 * 1024 * 1024,
  maxSnapshotSaves: 2,
};

/**
 * Fills in the defaults.
 * @throws RheaError INVALID_CONFIG for a value that is no whole number above 0, or an election timeout that heartbeats cannot keep.
 */
export function resolveLimits(given: Partial<HostLimits> = {}): HostLimits {
  const limits: HostLimits = { ...DEFAULTS, ...given };
  for (const [name, value] of Object.entries(limits) as [string, number][]) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RheaError("INVALID_CONFIG", `raft limit ${name} is ${value}: it must be a whole number above 0`);
    }
  }
  if (limits.electionTicks <= limits.heartbeatTicks) {
    const { electionTicks, heartbeatTicks } = limits;
    throw new RheaError(
      "INVALID_CONFIG",
      `raft.electionTicks (${electionTicks}) must exceed raft.heartbeatTicks (${heartbeatTicks}): use at least 4 times`,
    );
  }
  return limits;
}
