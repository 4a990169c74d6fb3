import { InvariantError, RheaError } from "@rhea/common";
import { Inflights } from "./inflights.js";
import { Progress } from "./progress.js";
import { isJoint } from "./tracker.js";
import type { ConfChangeSingle, ConfChangeV2, ConfState, PeerId } from "./types.js";

/** Is a membership together with the progress of its members. */
export interface Membership {
  readonly conf: ConfState;
  readonly progress: ReadonlyMap<PeerId, Progress>;
}

/** Is what a change results in; nothing of it is shared with the input but the inflight windows. */
export interface ChangedMembership {
  readonly conf: ConfState;
  readonly progress: Map<PeerId, Progress>;
}

/** Tells how new members start: probed from `lastIndex`, with these inflight limits. */
export interface NewMemberOptions {
  readonly lastIndex: number;
  readonly maxInflightMsgs: number;
  readonly maxInflightBytes: number;
}

/** Says how a change takes effect: through a joint configuration (left by itself or not), out of one, or directly. */
function confChangeKind(change: ConfChangeV2): "leaveJoint" | "enterJointAutoLeave" | "enterJoint" | "simple" {
  if (change.transition === "auto" && change.changes.length === 0) return "leaveJoint";
  if (change.transition === "auto" && change.changes.length === 1) return "simple";
  return change.transition === "jointExplicit" ? "enterJoint" : "enterJointAutoLeave";
}

/**
 * Computes the membership after a change of any kind.
 * @throws RheaError OPERATION_REFUSED when the change does not fit the membership.
 */
export function applyConfChangeTo(
  from: Membership,
  options: NewMemberOptions,
  change: ConfChangeV2,
): ChangedMembership {
  switch (confChangeKind(change)) {
    case "leaveJoint":
      return leaveJoint(from);
    case "enterJoint":
      return enterJoint(from, options, false, change.changes);
    case "enterJointAutoLeave":
      return enterJoint(from, options, true, change.changes);
    case "simple":
      return simpleChange(from, options, change.changes);
  }
}

/** Goes from (1 2 3) to new&&(1 2 3): the thesis' C_old,new of section 4.3. */
export function enterJoint(
  from: Membership,
  options: NewMemberOptions,
  autoLeave: boolean,
  changes: readonly ConfChangeSingle[],
): ChangedMembership {
  const draft = new Draft(from, options);
  if (isJoint(from.conf)) throw refused("config is already joint");
  if (draft.voters.size === 0) throw refused("can't make a zero-voter config joint");
  draft.votersOutgoing = new Set(draft.voters);
  draft.apply(changes);
  draft.autoLeave = autoLeave;
  return draft.finish();
}

/** Drops the outgoing voters; those that were to become learners do so now. */
export function leaveJoint(from: Membership): ChangedMembership {
  const draft = new Draft(from, undefined);
  if (!isJoint(from.conf)) throw refused("can't leave a non-joint config");
  for (const id of draft.learnersNext) {
    draft.learners.add(id);
    const pr = draft.progress.get(id);
    if (pr !== undefined) pr.isLearner = true;
  }
  draft.learnersNext.clear();
  for (const id of draft.votersOutgoing) {
    if (!draft.voters.has(id) && !draft.learners.has(id)) draft.progress.delete(id);
  }
  draft.votersOutgoing.clear();
  draft.autoLeave = false;
  return draft.finish();
}

/** Applies changes that together add or remove at most one voter, so that old and new quorums always overlap. */
export function simpleChange(
  from: Membership,
  options: NewMemberOptions,
  changes: readonly ConfChangeSingle[],
): ChangedMembership {
  const draft = new Draft(from, options);
  if (isJoint(from.conf)) throw refused("can't apply simple config change in joint config");
  draft.apply(changes);
  const before = from.conf.voters;
  const kept = before.filter((id) => draft.voters.has(id)).length;
  if (before.length - kept + (draft.voters.size - kept) > 1) {
    throw refused("more than one voter changed without entering joint config");
  }
  return draft.finish();
}

/** Rebuilds a membership from the form that snapshots carry, by the changes that lead to it from nothing. */
export function restoreMembership(conf: ConfState, options: NewMemberOptions): ChangedMembership {
  const outgoing = conf.votersOutgoing.map((nodeId): ConfChangeSingle => ({ type: "addNode", nodeId }));
  const incoming: ConfChangeSingle[] = [
    ...conf.votersOutgoing.map((nodeId): ConfChangeSingle => ({ type: "removeNode", nodeId })),
    ...conf.voters.map((nodeId): ConfChangeSingle => ({ type: "addNode", nodeId })),
    ...conf.learners.map((nodeId): ConfChangeSingle => ({ type: "addLearnerNode", nodeId })),
    ...conf.learnersNext.map((nodeId): ConfChangeSingle => ({ type: "addLearnerNode", nodeId })),
  ];
  let at: ChangedMembership = {
    conf: { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false },
    progress: new Map(),
  };
  const oneByOne = outgoing.length === 0 ? incoming : outgoing;
  for (const change of oneByOne) at = simpleChange(at, options, [change]);
  return outgoing.length === 0 ? at : enterJoint(at, options, conf.autoLeave, incoming);
}

/**
 * Computes the membership a change would lead to, without touching any group: for checks before a proposal.
 * @throws RheaError OPERATION_REFUSED when the change does not fit the membership.
 */
export function nextConfState(conf: ConfState, change: ConfChangeV2): ConfState {
  const options: NewMemberOptions = { lastIndex: 1, maxInflightMsgs: 1, maxInflightBytes: 1 };
  return applyConfChangeTo(restoreMembership(conf, options), options, change).conf;
}

/** Is a membership under change. */
class Draft {
  readonly voters: Set<PeerId>;
  readonly learners: Set<PeerId>;
  readonly learnersNext: Set<PeerId>;
  readonly progress = new Map<PeerId, Progress>();
  readonly #options: NewMemberOptions | undefined;
  votersOutgoing: Set<PeerId>;
  autoLeave: boolean;

  constructor(from: Membership, options: NewMemberOptions | undefined) {
    this.voters = new Set(from.conf.voters);
    this.votersOutgoing = new Set(from.conf.votersOutgoing);
    this.learners = new Set(from.conf.learners);
    this.learnersNext = new Set(from.conf.learnersNext);
    this.autoLeave = from.conf.autoLeave;
    for (const [id, pr] of from.progress) this.progress.set(id, pr.clone());
    this.#options = options;
    this.#check();
  }

  apply(changes: readonly ConfChangeSingle[]): void {
    for (const { type, nodeId } of changes) {
      // A host that decides against a committed change replaces the id by 0.
      if (nodeId === 0) continue;
      if (type === "addNode") this.#makeVoter(nodeId);
      else if (type === "addLearnerNode") this.#makeLearner(nodeId);
      else if (type === "removeNode") this.#remove(nodeId);
    }
    if (this.voters.size === 0) throw refused("removed all voters");
  }

  finish(): ChangedMembership {
    this.#check();
    const conf: ConfState = {
      voters: sorted(this.voters),
      learners: sorted(this.learners),
      votersOutgoing: sorted(this.votersOutgoing),
      learnersNext: sorted(this.learnersNext),
      autoLeave: this.autoLeave,
    };
    return { conf, progress: this.progress };
  }

  #makeVoter(id: PeerId): void {
    const pr = this.progress.get(id);
    if (pr === undefined) {
      this.#start(id, false);
      return;
    }
    pr.isLearner = false;
    this.learners.delete(id);
    this.learnersNext.delete(id);
    this.voters.add(id);
  }

  #makeLearner(id: PeerId): void {
    const pr = this.progress.get(id);
    if (pr === undefined) {
      this.#start(id, true);
      return;
    }
    if (pr.isLearner) return;
    this.#remove(id);
    this.progress.set(id, pr);
    // A peer that still votes in the outgoing half must not be a learner as well: it becomes one when the joint state is left.
    if (this.votersOutgoing.has(id)) {
      this.learnersNext.add(id);
    } else {
      pr.isLearner = true;
      this.learners.add(id);
    }
  }

  #remove(id: PeerId): void {
    if (!this.progress.has(id)) return;
    this.voters.delete(id);
    this.learners.delete(id);
    this.learnersNext.delete(id);
    if (!this.votersOutgoing.has(id)) this.progress.delete(id);
  }

  #start(id: PeerId, isLearner: boolean): void {
    if (this.#options === undefined)
      throw new InvariantError(`leaving a joint configuration adds nobody, yet peer ${id} is new`);
    (isLearner ? this.learners : this.voters).add(id);
    const inflights = new Inflights(this.#options.maxInflightMsgs, this.#options.maxInflightBytes);
    const pr = new Progress(id, Math.max(this.#options.lastIndex, 1), inflights, isLearner);
    // Else a quorum check right after the change could depose the leader before the new peer had a chance to answer.
    pr.recentActive = true;
    this.progress.set(id, pr);
  }

  #check(): void {
    for (const set of [this.voters, this.votersOutgoing, this.learners, this.learnersNext]) {
      for (const id of set) if (!this.progress.has(id)) throw new InvariantError(`no progress for peer ${id}`);
    }
    for (const id of this.learnersNext) {
      if (!this.votersOutgoing.has(id))
        throw new InvariantError(`peer ${id} is to become a learner but is no outgoing voter`);
      if (this.progress.get(id)?.isLearner === true)
        throw new InvariantError(`peer ${id} is to become a learner but is one`);
    }
    for (const id of this.learners) {
      if (this.voters.has(id) || this.votersOutgoing.has(id))
        throw new InvariantError(`peer ${id} is both learner and voter`);
      if (this.progress.get(id)?.isLearner !== true)
        throw new InvariantError(`peer ${id} is a learner but not marked as one`);
    }
    if (this.votersOutgoing.size === 0 && (this.learnersNext.size > 0 || this.autoLeave)) {
      throw new InvariantError("learnersNext and autoLeave need a joint configuration");
    }
  }
}

function sorted(ids: ReadonlySet<PeerId>): PeerId[] {
  return [...ids].sort((a, b) => a - b);
}

function refused(message: string): RheaError {
  return new RheaError("OPERATION_REFUSED", message);
}
