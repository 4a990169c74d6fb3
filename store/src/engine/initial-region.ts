/** The state of a region that begins with the cluster: the same on every store that lists it. */
import { RheaError, toLatin1 } from "@rhea/common";
import { PeerRole } from "@rhea/proto";
import type { ConfState } from "@rhea/raft";
import type { RegionDescriptor } from "../format/descriptor.js";
import type { StoredRegion } from "../region/region.js";
import { SessionTable } from "../region/session-table.js";
import { FIRST_INDEX, FIRST_TERM } from "../region/split.js";
import type { InitialRegion } from "./api.js";

/** A configuration without members: of a peer that waits for its snapshot. */
const NO_MEMBERS: ConfState = {
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
};

/** Builds the first state at (5, 5). Throws INVALID_ARGUMENT if this store is not among the voters. */
export function initialState(initial: InitialRegion, storeId: number): StoredRegion {
  const own = initial.voters.find((voter) => voter.storeId === storeId);
  if (own === undefined) {
    throw new RheaError("INVALID_ARGUMENT", `region ${initial.regionId}: store ${storeId} is not among its voters`);
  }
  const voters = [...initial.voters].sort((a, b) => a.peerId - b.peerId);
  const descriptor: RegionDescriptor = {
    regionId: initial.regionId,
    start: toLatin1(initial.startKey),
    end: toLatin1(initial.endKey),
    epoch: { confVer: 1, version: 1 },
    peers: voters.map(({ peerId, storeId: at }) => ({ peerId, storeId: at, role: PeerRole.VOTER })),
  };
  return {
    record: {
      descriptor,
      peerId: own.peerId,
      confState: { ...NO_MEMBERS, voters: voters.map(({ peerId }) => peerId) },
      logStarted: false,
      awaitingSnapshot: false,
    },
    applied: { index: FIRST_INDEX, term: FIRST_TERM, revision: 0, stamp: 0, approximateSize: 0, approximateKeys: 0 },
    sessions: new SessionTable(),
  };
}

/** The state of a peer made by a message: nothing but a claim on the range. */
export function awaitingState(descriptor: RegionDescriptor, peerId: number): StoredRegion {
  return {
    record: { descriptor, peerId, confState: NO_MEMBERS, logStarted: true, awaitingSnapshot: true },
    applied: { index: 0, term: 0, revision: 0, stamp: 0, approximateSize: 0, approximateKeys: 0 },
    sessions: new SessionTable(),
  };
}
