import { EMPTY_BYTES, InvariantError, RheaError } from "@rhea/common";
import { applyConfChangeTo, restoreMembership, type ChangedMembership, type NewMemberOptions } from "./conf-change.js";
import { resolveRaftConfig, type ResolvedRaftConfig } from "./config.js";
import { entriesSize, payloadSize } from "./entry-size.js";
import { FIRST_RESET_TERM, generationOf } from "./generation.js";
import { makeMessage, waitsForStorage } from "./message.js";
import { ProgressTracker, voterIds } from "./tracker.js";
import { RaftLog } from "./raft-log.js";
import { Lease } from "./lease.js";
import { allowsCampaign } from "./priority.js";
import { ReadOnlyQueue } from "./read-only.js";
import { broadcastAppend, maybeSendAppend } from "./replication.js";
import { releaseConfirmedReads } from "./reads.js";
import { stepCandidate } from "./step-candidate.js";
import { stepFollower } from "./step-follower.js";
import { stepLeader } from "./step-leader.js";
import type { DropReason } from "./errors.js";
import type { EmitEvent } from "./unstable.js";
import { NO_PEER } from "./types.js";
import type {
  ConfChangeV2,
  ConfState,
  Entry,
  HardState,
  Message,
  PeerId,
  RaftConfig,
  RaftStateType,
  ReadState,
  Snapshot,
} from "./types.js";

/** Says how an input was taken: anything but "ok" is a proposal that did not enter the log. */
export type RaftStepResult = "ok" | DropReason;

/** Says why a campaign starts: to ask whether it could win, on a timeout, or because the leader told so. */
export type CampaignType = "preElection" | "election" | "transfer";

/** Marks vote requests that a leader asked for: leases do not hold them up. */
export const TRANSFER_CONTEXT: Uint8Array = Buffer.from("CampaignTransfer");

const NO_PRIORITIES: ReadonlyMap<PeerId, number> = new Map();
const HUP = makeMessage({ type: "hup" });
const BEAT = makeMessage({ type: "beat" });
const CHECK_QUORUM = makeMessage({ type: "checkQuorum" });

/**
 * Is the consensus algorithm of one peer (Ongaro's thesis): state, terms, elections and membership. What depends on the role is in
 * step-leader, step-candidate and step-follower; `RawNode` is the door for hosts.
 */
export class Raft {
  readonly config: ResolvedRaftConfig;
  readonly id: PeerId;
  readonly log: RaftLog;
  readonly tracker = new ProgressTracker();
  readonly emit: EmitEvent;
  /** Invariant: never decreases, and a vote once cast in a term stays. */
  term = 0;
  vote: PeerId = NO_PEER;
  lead: PeerId = NO_PEER;
  state: RaftStateType = "follower";
  isLearner = false;
  /** Is what may be sent at once. Invariant: none of it is for this peer. */
  msgs: Message[] = [];
  /**
   * Is what may be sent only when all that has accumulated so far (term, vote, entries, snapshot; also what is being written) is
   * durable: append and vote responses, refusals too, and the acknowledgements of a leader or candidate to itself.
   */
  msgsAfterAppend: Message[] = [];
  readStates: ReadState[] = [];
  readonly reads = new ReadOnlyQueue();
  /** Is reads that came before this leader committed an entry of its term, when it cannot know the commit index yet. */
  postponedReads: Message[] = [];
  leadTransferee: PeerId = NO_PEER;
  /** Says that this leader told another peer to campaign at once, which breaks what leases rely on until the term ends. */
  leaseForfeited = false;
  /** Is present where the configuration asks for lease reads. */
  readonly lease: Lease | undefined;
  /** Is the ticks since this peer started. */
  ticks = 0;
  /** Is the election priorities of the members, as far as the host told them; this peer's own in here overrides its configured one. */
  priorities: ReadonlyMap<PeerId, number> = NO_PRIORITIES;
  /** Is the election timeouts that passed since this peer last knew a leader; counted only by peers with a priority. */
  timeoutsWithoutLeader = 0;
  /** Says that this peer ran before, so that it may owe a leader not to vote within an election timeout of its last heartbeat. */
  readonly #hasRunBefore: boolean;
  /** Invariant: at or beyond the index of the last membership change not applied; further changes wait until it is applied. */
  pendingConfIndex = 0;
  /** Is the leader's estimate, never too high, of the payload bytes in its uncommitted tail. */
  uncommittedBytes = 0;
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** Is drawn from [electionTick, 2 * electionTick) at every change of role. */
  randomizedElectionTimeout = 0;

  constructor(config: RaftConfig) {
    this.config = resolveRaftConfig(config);
    this.id = this.config.id;
    const { onEvent } = config;
    this.emit =
      onEvent &&
      ((event) => {
        onEvent({ ...event, id: this.id });
      });
    const { storage, applied, maxCommittedSizePerReady } = this.config;
    const { readOnlyOption, electionTick } = this.config;
    this.lease = readOnlyOption === "leaseBased" ? new Lease(electionTick) : undefined;
    this.log = new RaftLog(storage, maxCommittedSizePerReady, this.emit);
    const { hardState, confState } = storage.initialState();
    this.#hasRunBefore = hardState.term > 0;
    const last = this.log.last();
    this.switchMembership(restoreMembership(confState, this.#newMemberOptions()));
    if (hardState.term !== 0 || hardState.vote !== 0 || hardState.commit !== 0) this.#loadHardState(hardState);
    if (applied > 0) this.log.appliedTo(applied, 0);
    this.becomeFollower(this.term, NO_PEER);
    this.emit?.({
      kind: "started",
      voters: voterIds(this.tracker.conf),
      term: this.term,
      commit: this.log.committed,
      applied: this.log.applied,
      last,
    });
  }

  /** Lets one tick pass. */
  tick(): void {
    this.ticks++;
    this.electionElapsed++;
    if (this.state === "leader") {
      this.#tickLeader();
    } else if (this.electionElapsed >= this.randomizedElectionTimeout && this.isPromotable()) {
      this.electionElapsed = 0;
      if (allowsCampaign(this)) this.step(HUP);
    }
  }

  /** Takes any message in. */
  step(m: Message): RaftStepResult {
    if (m.term > this.term) {
      if (!this.#acceptHigherTerm(m)) return "ok";
    } else if (m.term < this.term && m.term !== 0) {
      this.#refuseLowerTerm(m);
      return "ok";
    }
    switch (m.type) {
      case "hup":
        this.hup(this.config.preVote ? "preElection" : "election");
        return "ok";
      case "storageAppendResp":
        if (m.index !== 0) this.log.unstable.stableTo(m.index, m.logTerm);
        if (m.snapshot !== undefined) this.#appliedSnapshot(m.snapshot);
        return "ok";
      case "storageApplyResp": {
        const last = m.entries.at(-1);
        if (last === undefined) return "ok";
        this.#appliedTo(last.index, entriesSize(m.entries));
        this.uncommittedBytes = Math.max(0, this.uncommittedBytes - payloadSize(m.entries));
        return "ok";
      }
      case "vote":
      case "preVote":
        this.#judgeCandidate(m);
        return "ok";
      default:
        if (this.state === "leader") return stepLeader(this, m);
        return this.state === "follower" ? stepFollower(this, m) : stepCandidate(this, m);
    }
  }

  /** Queues a message, with this peer as its sender and its term where the type wants one. */
  send(fields: Partial<Message> & Pick<Message, "type" | "to">): void {
    const { type } = fields;
    let term = fields.term ?? 0;
    if (type === "vote" || type === "voteResp" || type === "preVote" || type === "preVoteResp") {
      if (term === 0) throw new InvariantError(`peer ${this.id}: ${type} needs a term`);
    } else {
      if (term !== 0)
        throw new InvariantError(`peer ${this.id}: ${type} carries term ${term}, but its term is not free to choose`);
      // A forwarded proposal or read counts in whatever term its receiver leads.
      if (type !== "prop" && type !== "readIndex") term = this.term;
    }
    const from = fields.from ?? NO_PEER;
    const message = makeMessage(fields, from === NO_PEER ? this.id : from, term);
    if (waitsForStorage(type)) {
      this.msgsAfterAppend.push(message);
    } else {
      if (message.to === this.id) throw new InvariantError(`peer ${this.id}: ${type} is addressed to itself`);
      this.msgs.push(message);
    }
  }

  /** Appends a leader's entries, giving them term and index; false when the limit on uncommitted bytes refuses them. */
  appendEntries(entries: readonly Entry[]): boolean {
    if (!this.#increaseUncommitted(payloadSize(entries))) {
      this.emit?.({ kind: "proposalOverLimit" });
      return false;
    }
    const next = this.log.lastIndex() + 1;
    const { term } = this;
    const index = this.log.append(
      entries.map((e, i): Entry => ({ term, index: next + i, type: e.type, data: e.data })),
    );
    // The leader acknowledges its own entries only once they are stored, like everybody else.
    this.send({ type: "appResp", to: this.id, index });
    return true;
  }

  becomeFollower(term: number, lead: PeerId): void {
    this.#reset(term);
    this.lead = lead;
    if (lead !== NO_PEER) this.timeoutsWithoutLeader = 0;
    this.state = "follower";
    this.emit?.({ kind: "becameFollower", term: this.term });
  }

  becomeCandidate(): void {
    if (this.state === "leader") throw new InvariantError(`peer ${this.id}: a leader cannot become candidate`);
    this.#reset(this.term + 1);
    this.vote = this.id;
    this.state = "candidate";
    this.emit?.({ kind: "becameCandidate", term: this.term });
  }

  /** Changes neither term nor vote: asking costs nothing. */
  becomePreCandidate(): void {
    if (this.state === "leader") throw new InvariantError(`peer ${this.id}: a leader cannot become pre-candidate`);
    this.tracker.votes.clear();
    this.lead = NO_PEER;
    this.state = "preCandidate";
    this.emit?.({ kind: "becamePreCandidate", term: this.term });
  }

  becomeLeader(): void {
    if (this.state === "follower") throw new InvariantError(`peer ${this.id}: a follower cannot become leader`);
    this.#reset(this.term);
    this.lead = this.id;
    this.timeoutsWithoutLeader = 0;
    this.state = "leader";
    const self = this.tracker.get(this.id);
    if (self === undefined) throw new InvariantError(`peer ${this.id}: won an election without being a member`);
    self.becomeReplicate();
    self.recentActive = true;
    // There may be a membership change in the tail: waiting for all of it is safe, and cheaper than looking.
    this.pendingConfIndex = this.log.lastIndex();
    if (!this.appendEntries([{ term: 0, index: 0, type: "normal", data: EMPTY_BYTES }])) {
      throw new InvariantError(`peer ${this.id}: the empty entry of a new leader was refused`);
    }
    this.emit?.({ kind: "becameLeader", term: this.term });
  }

  /** Starts an election, unless this peer leads already or must not. */
  hup(type: CampaignType): void {
    if (this.state === "leader") {
      this.emit?.({ kind: "campaignIgnoredAsLeader" });
    } else if (!this.isPromotable() || this.#lacksReset()) {
      this.emit?.({ kind: "campaignIgnoredUnpromotable" });
    } else if (this.#hasUnappliedConfChanges()) {
      this.emit?.({ kind: "campaignIgnoredPendingConfChange", term: this.term });
    } else {
      this.emit?.({ kind: "electionStarted", term: this.term });
      this.campaign(type);
    }
  }

  /** Asks all voters for their vote, or whether they would give it. */
  campaign(type: CampaignType): void {
    const isPreVote = type === "preElection";
    if (isPreVote) this.becomePreCandidate();
    else this.becomeCandidate();
    const term = isPreVote ? this.term + 1 : this.term;
    const request = isPreVote ? "preVote" : "vote";
    const last = this.log.last();
    for (const to of voterIds(this.tracker.conf)) {
      if (to === this.id) {
        this.send({ type: isPreVote ? "preVoteResp" : "voteResp", to, term });
        continue;
      }
      this.emit?.({ kind: "voteRequested", last, type: request, to, term: this.term });
      const context = type === "transfer" ? TRANSFER_CONTEXT : undefined;
      this.send({ type: request, to, term, index: last.index, logTerm: last.term, context });
    }
  }

  /** Says whether this peer may be elected: a voter, with no snapshot still to be installed. */
  isPromotable(): boolean {
    const self = this.tracker.get(this.id);
    return self !== undefined && !self.isLearner && this.log.unstable.snapshot === undefined;
  }

  /** Says that the group was reset by force and this peer has not applied it: it would campaign in a configuration that was given up. */
  #lacksReset(): boolean {
    const { log, term } = this;
    return term >= FIRST_RESET_TERM && generationOf(log.term(log.applied)) !== generationOf(term);
  }

  /** Moves the commit index as far as a quorum allows; only entries of the current term commit by counting (thesis 3.6.2). */
  maybeCommit(): boolean {
    return this.log.maybeCommit(this.tracker.committedIndex(), this.term);
  }

  hasCommittedInTerm(): boolean {
    return this.log.term(this.log.committed) === this.term;
  }

  applyConfChange(change: ConfChangeV2): ConfState {
    return this.switchMembership(applyConfChangeTo(this.tracker, this.#newMemberOptions(), change));
  }

  /** Takes a whole configuration into effect, whatever the present one: for a committed reset by force. */
  resetMembership(conf: ConfState): ConfState {
    return this.switchMembership(restoreMembership(conf, this.#newMemberOptions()));
  }

  /** Says why a membership change cannot be applied to the membership in effect, if so. */
  whyConfChangeDoesNotFit(change: ConfChangeV2): string | undefined {
    try {
      applyConfChangeTo(this.tracker, this.#newMemberOptions(), change);
      return undefined;
    } catch (error) {
      if (error instanceof RheaError && error.code === "OPERATION_REFUSED") return error.message;
      throw error;
    }
  }

  /** Takes a membership into effect, and does on the leader what follows from it. */
  switchMembership(membership: ChangedMembership): ConfState {
    const { conf } = membership;
    this.tracker.replace(conf, membership.progress);
    this.emit?.({ kind: "membershipSwitched", conf });
    const self = this.tracker.get(this.id);
    this.isLearner = self?.isLearner ?? false;
    if ((self === undefined || self.isLearner) && this.state === "leader") {
      if (this.config.stepDownOnRemoval) this.becomeFollower(this.term, NO_PEER);
      return conf;
    }
    if (this.state !== "leader" || conf.voters.length === 0) return conf;
    if (this.maybeCommit()) {
      broadcastAppend(this);
    } else {
      // New members should not have to wait for a heartbeat or a proposal to hear from their leader.
      for (const pr of this.tracker.members) if (pr.id !== this.id) maybeSendAppend(this, pr, false);
    }
    releaseConfirmedReads(this);
    if (this.leadTransferee !== NO_PEER && !voterIds(conf).includes(this.leadTransferee)) this.leadTransferee = NO_PEER;
    return conf;
  }

  /** Replaces log and membership by a snapshot's; false when the snapshot brings nothing, or does not concern this peer. */
  restore(snapshot: Snapshot): boolean {
    const { index, term, confState } = snapshot.metadata;
    if (index <= this.log.committed) return false;
    if (this.state !== "follower") {
      this.emit?.({ kind: "snapshotOnNonFollower" });
      this.becomeFollower(this.term + 1, NO_PEER);
      return false;
    }
    // Whoever is in learnersNext is also in votersOutgoing.
    const members = [confState.voters, confState.learners, confState.votersOutgoing];
    if (!members.some((ids) => ids.includes(this.id))) {
      this.emit?.({ kind: "snapshotWithoutSelf", conf: confState });
      return false;
    }
    if (this.log.matchesTerm(index, term)) {
      const last = this.log.last();
      this.emit?.({ kind: "snapshotFastForwarded", commit: this.log.committed, last, snapshot: { index, term } });
      this.log.commitTo(index);
      return false;
    }
    this.log.restore(snapshot);
    this.tracker.votes.clear();
    this.switchMembership(restoreMembership(confState, this.#newMemberOptions()));
    this.emit?.({ kind: "logRestored", commit: this.log.committed, last: this.log.last(), snapshot: { index, term } });
    return true;
  }

  #tickLeader(): void {
    this.heartbeatElapsed++;
    if (this.electionElapsed >= this.config.electionTick) {
      this.electionElapsed = 0;
      if (this.config.checkQuorum) this.step(CHECK_QUORUM);
      // A transfer that did not succeed within an election timeout is off, and the leader takes proposals again.
      this.leadTransferee = NO_PEER;
      if (!this.#isLeader()) return;
    }
    if (this.heartbeatElapsed >= this.config.heartbeatTick) {
      this.heartbeatElapsed = 0;
      this.step(BEAT);
    }
  }

  #isLeader(): boolean {
    return this.state === "leader";
  }

  /** Adopts a higher term; false when the message must not be looked at further. */
  #acceptHigherTerm(m: Message): boolean {
    if (m.type === "vote" || m.type === "preVote") {
      const forced = m.context !== undefined && Buffer.compare(m.context, TRANSFER_CONTEXT) === 0;
      const inLease =
        this.config.checkQuorum &&
        ((this.lead !== NO_PEER && this.electionElapsed < this.config.electionTick) || this.#mayOweLease());
      if (inLease && !forced) {
        const elapsed = this.#mayOweLease() ? this.ticks : this.electionElapsed;
        const remainingTicks = this.config.electionTick - elapsed;
        this.emit?.({ kind: "voteIgnoredInLease", remainingTicks, ...this.#judgement(m) });
        return false;
      }
    }
    // A pre-vote asks about a term nobody is in yet, and so does its grant.
    if (m.type === "preVote" || (m.type === "preVoteResp" && !m.reject)) return true;
    this.emit?.({ kind: "higherTermReceived", term: this.term, type: m.type, from: m.from, messageTerm: m.term });
    const fromLeader = m.type === "app" || m.type === "heartbeat" || m.type === "snap";
    this.becomeFollower(m.term, fromLeader ? m.from : NO_PEER);
    return true;
  }

  /** Says whether a leader may still count on what this peer answered before it was restarted. */
  #mayOweLease(): boolean {
    return this.#hasRunBefore && this.lease !== undefined && this.ticks < this.config.electionTick;
  }

  #refuseLowerTerm(m: Message): void {
    if (generationOf(m.term) !== generationOf(this.term) && m.type !== "storageAppendResp") {
      // An answer would tell the present term to a history that was given up, and let it go on in that.
      this.emit?.({ kind: "lowerTermIgnored", term: this.term, type: m.type, from: m.from, messageTerm: m.term });
    } else if ((this.config.checkQuorum || this.config.preVote) && (m.type === "heartbeat" || m.type === "app")) {
      // This peer may have raised its term while it was cut off, and now neither wins elections nor follows: let the leader know the
      // term. (Without checkQuorum and preVote its vote requests would do that.)
      this.send({ type: "appResp", to: m.from });
    } else if (m.type === "preVote") {
      this.emit?.({ kind: "voteRejected", ...this.#judgement(m) });
      this.send({ type: "preVoteResp", to: m.from, term: this.term, reject: true });
    } else if (m.type === "storageAppendResp") {
      // Entries written in an earlier term may have been replaced since, with their replacement still being written: they do not
      // count as stable. A snapshot holds committed state and does.
      if (m.index !== 0)
        this.emit?.({ kind: "staleAppendRespIgnored", term: this.term, type: m.type, messageTerm: m.term });
      if (m.snapshot !== undefined) this.#appliedSnapshot(m.snapshot);
    } else {
      this.emit?.({ kind: "lowerTermIgnored", term: this.term, type: m.type, from: m.from, messageTerm: m.term });
    }
  }

  /** Casts or refuses a vote. Learners vote too: the candidate may know of a promotion that this peer has not heard of yet. */
  #judgeCandidate(m: Message): void {
    const canVote =
      this.vote === m.from ||
      (this.vote === NO_PEER && this.lead === NO_PEER) ||
      (m.type === "preVote" && m.term > this.term);
    const type = m.type === "vote" ? "voteResp" : "preVoteResp";
    if (!canVote || !this.log.isUpToDate(m.index, m.logTerm)) {
      this.emit?.({ kind: "voteRejected", ...this.#judgement(m) });
      this.send({ type, to: m.from, term: this.term, reject: true });
      return;
    }
    this.emit?.({ kind: "voteCast", ...this.#judgement(m) });
    // The message's term, not ours: they differ for a pre-vote, and the candidate ignores terms that are not its own.
    this.send({ type, to: m.from, term: m.term });
    if (m.type === "vote") {
      this.electionElapsed = 0;
      this.vote = m.from;
    }
  }

  #judgement(m: Message) {
    const candidateLast = { index: m.index, term: m.logTerm };
    return { last: this.log.last(), vote: this.vote, type: m.type, from: m.from, candidateLast, term: this.term };
  }

  #reset(term: number): void {
    if (this.term !== term) {
      this.term = term;
      this.vote = NO_PEER;
    }
    this.lead = NO_PEER;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    const { electionTick, random } = this.config;
    this.randomizedElectionTimeout = electionTick + random(electionTick);
    this.leadTransferee = NO_PEER;
    this.leaseForfeited = false;
    this.lease?.void();
    this.tracker.votes.clear();
    const last = this.log.lastIndex();
    for (const pr of this.tracker.members) pr.reset(last + 1, pr.id === this.id ? last : 0);
    this.pendingConfIndex = 0;
    this.uncommittedBytes = 0;
    this.reads.clear();
    this.postponedReads = [];
  }

  #appliedTo(index: number, bytes: number): void {
    const applied = Math.max(index, this.log.applied);
    this.log.appliedTo(applied, bytes);
    const { conf } = this.tracker;
    if (!conf.autoLeave || applied < this.pendingConfIndex || this.state !== "leader") return;
    // No bytes decode to "leave the joint configuration" and are never refused for their size. A transfer in progress does refuse
    // them; then the next applied entry, or the next leader, tries again.
    const leave: Entry = { term: 0, index: 0, type: "confChangeV2", data: EMPTY_BYTES };
    const result = this.step(makeMessage({ type: "prop", entries: [leave] }));
    this.emit?.({ kind: result === "ok" ? "autoLeaveInitiated" : "autoLeaveNotInitiated", conf });
  }

  #appliedSnapshot(snapshot: Snapshot): void {
    this.log.unstable.stableSnapshotTo(snapshot.metadata.index);
    this.#appliedTo(snapshot.metadata.index, 0);
  }

  #hasUnappliedConfChanges(): boolean {
    const { log } = this;
    for (let next = log.applied + 1; next <= log.committed;) {
      const page = log.slice(next, log.committed + 1, log.maxApplyingBytes);
      if (page.some((entry) => entry.type !== "normal")) return true;
      next += page.length;
    }
    return false;
  }

  /** Counts payload in; an empty tail takes anything, and empty payload always fits. */
  #increaseUncommitted(bytes: number): boolean {
    const total = this.uncommittedBytes + bytes;
    if (this.uncommittedBytes > 0 && bytes > 0 && total > this.config.maxUncommittedEntriesSize) return false;
    this.uncommittedBytes = total;
    return true;
  }

  #loadHardState({ term, vote, commit }: HardState): void {
    const last = this.log.lastIndex();
    if (commit < this.log.committed || commit > last) {
      throw new InvariantError(
        `peer ${this.id}: stored commit ${commit} is not within [${this.log.committed}, ${last}]`,
      );
    }
    this.log.committed = commit;
    this.term = term;
    this.vote = vote;
  }

  #newMemberOptions(): NewMemberOptions {
    const { maxInflightMsgs, maxInflightBytes } = this.config;
    return { lastIndex: this.log.lastIndex(), maxInflightMsgs, maxInflightBytes };
  }
}
