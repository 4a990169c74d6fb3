/**
 * How a group gets from the configuration it has to the one that was asked for: one change at a time, new voters first as learners. Pure:
 * it is asked again after every step, also by another leader, and needs no memory of the steps before.
 */
import { EMPTY_BYTES } from "@rhea/common";
import { isJoint } from "../core/index.js";
import type { ConfChangeSingle, ConfChangeV2, ConfState, PeerId } from "../core/types.js";
import type { PeerInfo } from "./api.js";
import { encodeChangeContext } from "./change-context.js";

/** Ids that leaders give begin above this; those of a group's first members lie below. */
const FIRST_GIVEN_ID = 1_000;

/** A whole configuration to reach. A peer id of 0 stands for "whoever is on that store, else a new one". */
export interface Goal {
  /** The request, for messages. */
  readonly what: string;
  readonly voters: readonly PeerInfo[];
  readonly learners: readonly PeerInfo[];
  /** Makes voters of peers whatever they have of the log. */
  readonly withoutCatchUp: boolean;
  /** A leader that does not stay a voter first hands over to one that does. */
  readonly handsOver: boolean;
}

/** What the plan looks at. */
export interface Position {
  readonly self: PeerId;
  readonly confState: ConfState;
  readonly members: readonly PeerInfo[];
  /** Index that the next entry of this leader's log will get. */
  readonly nextIndex: number;
  isCaughtUp(peerId: PeerId): boolean;
}

/** What to do next. */
export type PlanStep =
  | { readonly kind: "done" }
  /** `adds`: the peer that this brings in as a learner on the way, if it does. */
  | { readonly kind: "propose"; readonly change: ConfChangeV2; readonly adds: PeerId | undefined }
  | { readonly kind: "catchUp"; readonly peers: readonly PeerId[] }
  /** Leadership should go to one of these, who finishes. */
  | { readonly kind: "handOver"; readonly to: readonly PeerId[] }
  /** The joint configuration is left by itself. */
  | { readonly kind: "wait" };

/** The change that ends a joint configuration. */
export const LEAVE_JOINT: ConfChangeV2 = { transition: "auto", changes: [], context: EMPTY_BYTES };

/** Returns the next step towards `goal`. */
export function planStep(goal: Goal, position: Position): PlanStep {
  const { confState, self, members } = position;
  if (isJoint(confState)) {
    if (confState.autoLeave) return { kind: "wait" };
    if (confState.voters.includes(self)) return { kind: "propose", change: LEAVE_JOINT, adds: undefined };
    return { kind: "handOver", to: confState.voters };
  }
  const wanted = [...goal.voters, ...goal.learners].map((peer) => findMember(members, peer) ?? peer);
  const isNew = (peer: PeerInfo): boolean => !members.some(({ peerId }) => peerId === peer.peerId);
  const voters = wanted.slice(0, goal.voters.length);
  const first = wanted.find(({ peerId }) => peerId === 0) ?? (goal.withoutCatchUp ? undefined : voters.find(isNew));
  if (first !== undefined) return addLearner(first, position);

  const lagging = goal.withoutCatchUp
    ? []
    : voters.map(({ peerId }) => peerId).filter((id) => confState.learners.includes(id) && !position.isCaughtUp(id));
  if (lagging.length > 0) return { kind: "catchUp", peers: lagging };
  return changeRoles(goal, voters, wanted.slice(goal.voters.length), position);
}

/** Finds the member that a peer names: by its id, or by its store where no id is said. */
export function findMember(members: readonly PeerInfo[], { peerId, storeId }: PeerInfo): PeerInfo | undefined {
  if (peerId !== 0) return members.find((member) => member.peerId === peerId);
  return members.find((member) => member.storeId === storeId);
}

function addLearner(peer: PeerInfo, { nextIndex, members }: Position): PlanStep {
  const highest = Math.max(0, ...members.map(({ peerId }) => peerId));
  // The index of the entry that adds it: no other peer of this group ever gets it.
  const peerId = peer.peerId === 0 ? Math.max(FIRST_GIVEN_ID + nextIndex, highest + 1) : peer.peerId;
  const learner: PeerInfo = { ...peer, peerId, role: "learner" };
  const change = changeOf([{ type: "addLearnerNode", nodeId: peerId }], [learner], "auto");
  return { kind: "propose", change, adds: peerId };
}

/** The one change that is left when everybody is there who has to be. */
function changeRoles(
  goal: Goal,
  voters: readonly PeerInfo[],
  learners: readonly PeerInfo[],
  { confState, members, self }: Position,
): PlanStep {
  const changes: ConfChangeSingle[] = [];
  const named: PeerInfo[] = [];
  const add = (peer: PeerInfo, type: ConfChangeSingle["type"], role: PeerInfo["role"]): void => {
    changes.push({ type, nodeId: peer.peerId });
    named.push({ ...peer, role });
  };
  for (const peer of voters) if (!confState.voters.includes(peer.peerId)) add(peer, "addNode", "voter");
  for (const peer of learners) if (!confState.learners.includes(peer.peerId)) add(peer, "addLearnerNode", "learner");
  const stays = new Set([...voters, ...learners].map(({ peerId }) => peerId));
  for (const peer of members) if (!stays.has(peer.peerId)) add(peer, "removeNode", peer.role);
  if (changes.length === 0) return tellNews(goal, members);
  const leaves = confState.voters.includes(self) && !voters.some(({ peerId }) => peerId === self);
  const transition = leaves && goal.handsOver ? "jointExplicit" : "auto";
  return { kind: "propose", change: changeOf(changes, named, transition), adds: undefined };
}

/** Addresses and priorities that the goal says and the members do not have. */
function tellNews({ voters, learners }: Goal, members: readonly PeerInfo[]): PlanStep {
  for (const peer of [...voters, ...learners]) {
    const member = findMember(members, peer);
    if (member === undefined) continue;
    const { address = member.address, priority = member.priority } = peer;
    if (address === member.address && priority === member.priority) continue;
    const told: PeerInfo = {
      ...member,
      ...(address === undefined ? {} : { address }),
      ...(priority === undefined ? {} : { priority }),
    };
    const change = changeOf([{ type: "updateNode", nodeId: member.peerId }], [told], "auto");
    return { kind: "propose", change, adds: undefined };
  }
  return { kind: "done" };
}

function changeOf(
  changes: readonly ConfChangeSingle[],
  named: readonly PeerInfo[],
  transition: ConfChangeV2["transition"],
): ConfChangeV2 {
  return { transition, changes, context: encodeChangeContext(named) };
}
