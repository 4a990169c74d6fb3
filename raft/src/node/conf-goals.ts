/** What a request about a group's members asks for, as a whole configuration; requests that make no sense are refused here. Pure. */
import { RheaError } from "@rhea/common";
import type { PeerId } from "../core/types.js";
import type { PeerInfo } from "./api.js";
import { findMember, type Goal } from "./conf-plan.js";

/** The group as it is, outside of a joint configuration. */
export interface Present {
  readonly groupId: number;
  readonly self: PeerId;
  readonly members: readonly PeerInfo[];
}

/** Adds a voter or learner, or promotes a learner. */
export function addPeerGoal(present: Present, peer: PeerInfo, withoutCatchUp: boolean): Goal {
  const existing = requirePlace(present, peer);
  if (existing?.role === "voter" && peer.role === "learner") {
    const why = `peer ${existing.peerId} votes already: change the configuration to one in which it is a learner`;
    throw refused(present, why);
  }
  return merge(present, "addPeer", [peer], { withoutCatchUp });
}

/** Removes a peer; one that is not there is no matter. */
export function removePeerGoal(present: Present, peerId: PeerId): Goal {
  const { self, members } = present;
  const existing = members.find((member) => member.peerId === peerId);
  const voters = members.filter(({ role }) => role === "voter");
  if (existing?.role === "voter" && voters.length === 1) {
    throw refused(present, `peer ${peerId} is its only voter: add another first`);
  }
  // The other one may never hear that this committed, and could not be elected without the vote of the peer that is gone.
  if (existing?.role === "voter" && voters.length === 2 && peerId === self) {
    throw refused(present, `peer ${peerId} leads it and is one of two voters: transfer leadership to the other first`);
  }
  const left = members.filter((member) => member.peerId !== peerId);
  return goal("removePeer", left, { handsOver: false });
}

/** Sets the voters; peers named as learners become or stay learners, learners that are not named stay what they are. */
export function changePeersGoal(present: Present, peers: readonly PeerInfo[], withoutCatchUp: boolean): Goal {
  requireList(present, peers);
  if (!peers.some(({ role }) => role === "voter")) {
    throw refused(present, `a configuration without a voter was asked for`);
  }
  const named = new Set(peers.map((peer) => requirePlace(present, peer)?.peerId));
  const rest = present.members.filter(({ peerId, role }) => role === "learner" && !named.has(peerId));
  return goal("changePeers", [...peers, ...rest], { withoutCatchUp });
}

/** Adds learners. */
export function addLearnersGoal(present: Present, peers: readonly PeerInfo[]): Goal {
  return merge(present, "addLearners", requireLearners(present, peers), {});
}

/** Removes learners; those that are not there are no matter. */
export function removeLearnersGoal(present: Present, peerIds: readonly PeerId[]): Goal {
  const { members } = present;
  const voter = members.find(({ peerId, role }) => role === "voter" && peerIds.includes(peerId));
  if (voter !== undefined) throw refused(present, `peer ${voter.peerId} is a voter of it, no learner`);
  const left = members.filter(({ peerId }) => !peerIds.includes(peerId));
  return goal("removeLearners", left, {});
}

/** Makes these, and no others, the learners. */
export function resetLearnersGoal(present: Present, peers: readonly PeerInfo[]): Goal {
  const voters = present.members.filter(({ role }) => role === "voter");
  return goal("resetLearners", [...voters, ...requireLearners(present, peers)], {});
}

/** Makes a voter of a learner. */
export function promoteGoal(present: Present, peerId: PeerId, withoutCatchUp: boolean): Goal {
  const learner = present.members.find((member) => member.peerId === peerId);
  if (learner === undefined) {
    throw new RheaError("NOT_FOUND", `group ${present.groupId}: peer ${peerId} is no member of it: add it first`, {
      details: { regionId: present.groupId },
    });
  }
  return merge(present, "learnerToFollower", [{ ...learner, role: "voter" }], { withoutCatchUp });
}

/**
 * Checks a list of peers that is to be a whole configuration, or a part of one.
 * @throws RheaError INVALID_ARGUMENT where a peer has neither id nor store, OPERATION_REFUSED where one is named twice.
 */
export function requireList({ groupId }: { readonly groupId: number }, peers: readonly PeerInfo[]): void {
  const ids = new Set<number>();
  const stores = new Set<number>();
  for (const { peerId, storeId } of peers) {
    if (storeId === 0) {
      const who = peerId === 0 ? "a peer" : `peer ${peerId}`;
      throw new RheaError("INVALID_ARGUMENT", `group ${groupId}: ${who} is named without its store`);
    }
    if ((peerId !== 0 && ids.has(peerId)) || stores.has(storeId)) {
      throw refused({ groupId }, `peer ${peerId} on store ${storeId} is named twice, or two peers on one store`);
    }
    ids.add(peerId);
    stores.add(storeId);
  }
}

function requireLearners(present: Present, peers: readonly PeerInfo[]): PeerInfo[] {
  requireList(present, peers);
  return peers.map((peer) => {
    const existing = requirePlace(present, peer);
    if (existing?.role === "voter") throw refused(present, `peer ${existing.peerId} is a voter of it, no learner`);
    return { ...peer, role: "learner" };
  });
}

/** Finds the member a peer is; refuses one that is elsewhere, or a second one on a store. */
function requirePlace(present: Present, peer: PeerInfo): PeerInfo | undefined {
  requireList(present, [peer]);
  const existing = findMember(present.members, peer);
  if (existing !== undefined && existing.storeId !== peer.storeId) {
    const why = `peer ${peer.peerId} is on store ${existing.storeId}, not ${peer.storeId}: use a new peer id`;
    throw refused(present, why);
  }
  return existing;
}

/** The present configuration with some peers added, or in another role. */
function merge(present: Present, what: string, peers: readonly PeerInfo[], options: Partial<Goal>): Goal {
  const replaced = new Set(peers.map((peer) => findMember(present.members, peer)?.peerId));
  return goal(what, [...present.members.filter(({ peerId }) => !replaced.has(peerId)), ...peers], options);
}

function goal(what: string, peers: readonly PeerInfo[], options: Partial<Goal>): Goal {
  const voters = peers.filter(({ role }) => role === "voter");
  const learners = peers.filter(({ role }) => role === "learner");
  return { what, voters, learners, withoutCatchUp: false, handsOver: true, ...options };
}

function refused({ groupId }: { readonly groupId: number }, why: string): RheaError {
  return new RheaError("OPERATION_REFUSED", `group ${groupId}: ${why}`, { details: { regionId: groupId } });
}
