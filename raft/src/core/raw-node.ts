import { assertSafeUint, InvariantError, RheaError } from "@rhea/common";
import { encodeConfChange, encodeConfChangeV2 } from "./conf-change-codec.js";
import { entriesSize } from "./entry-size.js";
import { ProposalDroppedError } from "./errors.js";
import { isLocalMessage, isResponseMessage, makeMessage } from "./message.js";
import { checkPriorities } from "./priority.js";
import { Raft } from "./raft.js";
import { isElectionDue, isFollowerSettled, isMajority, isSettled, resume } from "./rest.js";
import { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, NO_PEER } from "./types.js";
import type {
  BasicStatus,
  ConfChange,
  ConfChangeV2,
  ConfState,
  Entry,
  EntryType,
  HardState,
  Message,
  PeerId,
  ProgressStatus,
  RaftConfig,
  RaftStateType,
  RaftStatus,
  ReadState,
  Ready,
  Snapshot,
} from "./types.js";

/**
 * Says how a message was taken: "localMessage" and "unknownPeer" were ignored (only the host may send it; it answers something but
 * its sender is no member), "proposalDropped" is a forwarded proposal that did not enter the log.
 */
export type StepResult = "ok" | "localMessage" | "unknownPeer" | "proposalDropped";

const NO_MESSAGES: readonly Message[] = Object.freeze([]);
const NO_READS: readonly ReadState[] = Object.freeze([]);

/**
 * Is one peer of one group, driven by its host: inputs go in through the methods, what to do comes out of `ready()`. Nothing
 * happens by itself, nothing is awaited, and no method may be called from within another's callback.
 */
export class RawNode {
  readonly #raft: Raft;
  readonly #async: boolean;
  #previousLead: PeerId;
  #previousState: RaftStateType;
  #previousHardState: HardState;
  #stepsOnAdvance: Message[] = [];
  readonly #status: { -readonly [K in keyof BasicStatus]: BasicStatus[K] };

  /**
   * Starts a peer from what its storage holds.
   * @throws RheaError INVALID_CONFIG when an option is out of range; InvariantError when the stored state contradicts itself.
   */
  constructor(config: RaftConfig) {
    this.#raft = new Raft(config);
    this.#async = this.#raft.config.asyncStorageWrites;
    const { id, lead, state, term, vote, log } = this.#raft;
    this.#previousLead = lead;
    this.#previousState = state;
    this.#previousHardState = { term, vote, commit: log.committed };
    this.#status = {
      id,
      term,
      vote,
      commit: log.committed,
      lead,
      state,
      applied: log.applied,
      leadTransferee: NO_PEER,
    };
  }

  /** Lets one tick pass; allocates nothing unless something is due. */
  tick(): void {
    this.#raft.tick();
  }

  /** Says whether the next tick is an election timeout: for hosts that limit how many groups campaign at once. */
  isElectionDue(): boolean {
    return isElectionDue(this.#raft);
  }

  /** Makes the next tick an election timeout. */
  expireElectionTimeout(): void {
    this.#raft.electionElapsed = this.#raft.randomizedElectionTimeout;
  }

  /** Says whether nothing is pending here, so that the host may let this peer rest: without ticks, until something happens. */
  isSettled(): boolean {
    return isSettled(this.#raft) && !this.hasReady();
  }

  /** Says, on a leader, whether a follower is known to have the whole log, with nothing in flight to it. */
  isFollowerSettled(id: PeerId): boolean {
    return isFollowerSettled(this.#raft, id);
  }

  /** Says whether these peers are a majority of the voters; never in a joint configuration. */
  isMajority(ids: ReadonlySet<PeerId>): boolean {
    return isMajority(this.#raft, ids);
  }

  /**
   * Goes on after a rest, in place of the ticks that were not given: a follower last heard from its leader `ticks` ago; a leader sent its
   * last heartbeat `ticks` ago and begins a new quorum check.
   */
  resume(ticks: number): void {
    resume(this.#raft, ticks);
  }

  /**
   * Starts an election now, unless this peer leads or must not be elected. With lease reads only if no leader can hold a lease any more:
   * this peer votes for itself, whatever it answered to a leader.
   */
  campaign(): void {
    this.#raft.step(makeMessage({ type: "hup" }));
  }

  /**
   * Proposes one entry. Returns its index when this peer leads, or 0 when the proposal went to the leader.
   * @throws ProposalDroppedError when it certainly did not enter the log here.
   */
  propose(data: Uint8Array): number {
    return this.#propose([{ term: 0, index: 0, type: "normal", data }]);
  }

  /**
   * Proposes entries that get consecutive indexes, all or none. Returns the first one's index, or 0 when they went to the leader.
   * @throws ProposalDroppedError when they certainly did not enter the log here.
   */
  proposeMany(datas: readonly Uint8Array[]): number {
    if (datas.length === 0) throw new RheaError("INVALID_ARGUMENT", "a proposal needs at least one entry");
    return this.#propose(datas.map((data): Entry => ({ term: 0, index: 0, type: "normal", data })));
  }

  /**
   * Proposes a membership change. Returns its index, or 0 when it went to the leader.
   * @throws ProposalDroppedError like `propose`; RheaError CONF_CHANGE_BUSY when another change may be in the log unapplied, or
   * OPERATION_REFUSED when the change does not fit the membership: then an empty entry took its place in the log.
   */
  proposeConfChange(change: ConfChange | ConfChangeV2): number {
    const type: EntryType = "changes" in change ? "confChangeV2" : "confChange";
    const data = "changes" in change ? encodeConfChangeV2(change) : encodeConfChange(change);
    const wasBusy = this.#raft.pendingConfIndex > this.#raft.log.applied;
    const index = this.#propose([{ term: 0, index: 0, type, data }]);
    if (index !== 0 && this.#raft.pendingConfIndex !== index) {
      const why = wasBusy
        ? "another one may still be unapplied: repeat later"
        : "it does not fit the membership in effect";
      throw new RheaError(
        wasBusy ? "CONF_CHANGE_BUSY" : "OPERATION_REFUSED",
        `peer ${this.#raft.id}: membership change refused: ${why}`,
      );
    }
    return index;
  }

  /** Says whether a leader may have a membership change in its log that is not applied: a further one would be refused. */
  isConfChangePending(): boolean {
    return this.#raft.pendingConfIndex > this.#raft.log.applied;
  }

  /**
   * Takes a committed membership change into effect. The host calls it when it applies such an entry, or not at all if it rejects it.
   * @throws RheaError OPERATION_REFUSED when the change does not fit the membership, which validation at proposal time prevents.
   */
  applyConfChange(change: ConfChangeV2): ConfState {
    return this.#raft.applyConfChange(change);
  }

  /** Takes a whole configuration into effect: when the host applies a committed reset by force. */
  resetMembership(conf: ConfState): ConfState {
    return this.#raft.resetMembership(conf);
  }

  /** Takes a message of another peer, or of the local storage threads, in. */
  step(m: Message): StepResult {
    assertSafeUint(m.term, "message term");
    assertSafeUint(m.logTerm, "message logTerm");
    assertSafeUint(m.index, "message index");
    assertSafeUint(m.commit, "message commit");
    assertSafeUint(m.rejectHint, "message rejectHint");
    const fromThread = m.from === LOCAL_APPEND_THREAD || m.from === LOCAL_APPLY_THREAD;
    if (!fromThread) {
      if (isLocalMessage(m.type)) return "localMessage";
      if (m.type === "prop" && m.entries.length === 0) return "proposalDropped";
      if (isResponseMessage(m.type) && this.#raft.tracker.get(m.from) === undefined) return "unknownPeer";
    }
    return this.#raft.step(m) === "ok" ? "ok" : "proposalDropped";
  }

  /** Says whether `ready()` has anything to do; cheap enough to ask every turn. */
  hasReady(): boolean {
    const r = this.#raft;
    return (
      r.msgs.length > 0 ||
      r.msgsAfterAppend.length > 0 ||
      this.#hasNewSoftState() ||
      this.#hasNewHardState() ||
      r.log.unstable.hasNextEntries ||
      r.log.unstable.nextSnapshot() !== undefined ||
      r.log.hasNextCommitted(!this.#async) ||
      r.readStates.length > 0
    );
  }

  /** Hands out all that is to be done; the host must do it, then call `advance()` (never in the asynchronous mode). */
  ready(): Ready {
    const r = this.#raft;
    const { unstable } = r.log;
    const hardState: HardState = { term: r.term, vote: r.vote, commit: r.log.committed };
    const previous = this.#previousHardState;
    const entries = unstable.nextEntries();
    const base: Omit<Ready, "messages"> = {
      softState: this.#hasNewSoftState() ? { lead: r.lead, state: r.state } : undefined,
      hardState: this.#hasNewHardState() ? hardState : undefined,
      readStates: r.readStates.length === 0 ? NO_READS : r.readStates,
      entries,
      snapshot: unstable.nextSnapshot(),
      committedEntries: r.log.nextCommitted(!this.#async),
      mustSync: entries.length > 0 || hardState.vote !== previous.vote || hardState.term !== previous.term,
    };
    const messages = this.#outgoing(base);
    this.#accept(base);
    return { ...base, messages };
  }

  /** Says that everything the last `ready()` handed out is done. */
  advance(): void {
    if (this.#async)
      throw new InvariantError("advance() is not for asynchronous storage writes: step the responses instead");
    const steps = this.#stepsOnAdvance;
    this.#stepsOnAdvance = [];
    for (const m of steps) this.#raft.step(m);
  }

  /**
   * Asks for an index that is safe to read at; the answer comes as a read state with `requestCtx` once leadership is proven. It is lost
   * without notice when the leader changes or is unknown, so the caller repeats after a while. Contexts need not be unique.
   */
  readIndex(requestCtx: Uint8Array): void {
    this.#raft.step(
      makeMessage({ type: "readIndex", entries: [{ term: 0, index: 0, type: "normal", data: requestCtx }] }),
    );
  }

  /**
   * Ends the lease of a leader with lease reads: for hosts that notice that time passed without ticks (a stalled loop, a machine that
   * slept, a disk that did not answer). Reads go the safe way until a quorum answers a heartbeat sent after this call. Never harmful.
   */
  voidLease(): void {
    this.#raft.lease?.void();
  }

  /**
   * Tells the election priorities of the members (-1 none, 0 never elected; default: none but this peer's own `RaftConfig.priority`,
   * which this map overrides if it holds it). Only a peer with a priority of its own asks for them: it campaigns only if no voter's is
   * higher; with every second election timeout without a leader it takes a fifth off, but 10 at least, of what it asks for.
   * A leadership transfer and `campaign()` do not ask. The map is kept: give a new one when priorities change.
   * @throws RheaError INVALID_ARGUMENT naming the peer whose priority is no whole number of -1 or more.
   */
  setPriorities(priorities: ReadonlyMap<PeerId, number>): void {
    checkPriorities(priorities);
    this.#raft.priorities = priorities;
  }

  /** Asks the leader (this peer or another) to hand leadership to `transferee`, a voter; it has one election timeout to succeed. */
  transferLeader(transferee: PeerId): void {
    this.#raft.step(makeMessage({ type: "transferLeader", from: transferee }));
  }

  /** Makes a follower forget its leader, so that it votes at once: for hosts that know that the leader is dead. Not with lease reads. */
  forgetLeader(): void {
    this.#raft.step(makeMessage({ type: "forgetLeader" }));
  }

  /** Says that the last message to `id` was probably lost. */
  reportUnreachable(id: PeerId): void {
    this.#raft.step(makeMessage({ type: "unreachable", from: id }));
  }

  /** Says how sending a snapshot to `id` ended; must be called after every `snap` message, else replication to it stays paused. */
  reportSnapshot(id: PeerId, status: "finish" | "failure"): void {
    this.#raft.step(makeMessage({ type: "snapStatus", from: id, reject: status === "failure" }));
  }

  /** Returns the cheap part of the status in an object that the next call overwrites. */
  basicStatus(): BasicStatus {
    const status = this.#status;
    const r = this.#raft;
    status.term = r.term;
    status.vote = r.vote;
    status.commit = r.log.committed;
    status.lead = r.lead;
    status.state = r.state;
    status.applied = r.log.applied;
    status.leadTransferee = r.leadTransferee;
    return status;
  }

  /** Returns a full copy of the status, with the progress of all members on a leader. */
  status(): RaftStatus {
    const r = this.#raft;
    const progress = new Map<PeerId, ProgressStatus>();
    if (r.state === "leader") for (const pr of r.tracker.members) progress.set(pr.id, pr.status());
    return {
      ...this.basicStatus(),
      confState: r.tracker.conf,
      firstIndex: r.log.firstIndex(),
      lastIndex: r.log.lastIndex(),
      progress,
    };
  }

  /** Overrides the election timeout, in ticks, until the role next changes: for tests that must not depend on chance. */
  setRandomizedElectionTimeout(ticks: number): void {
    this.#raft.randomizedElectionTimeout = ticks;
  }

  #propose(entries: readonly Entry[]): number {
    const r = this.#raft;
    const isLeader = r.state === "leader";
    const first = isLeader ? r.log.lastIndex() + 1 : 0;
    const result = r.step(makeMessage({ type: "prop", from: r.id, entries }));
    if (result !== "ok") throw new ProposalDroppedError(result);
    return first;
  }

  #hasNewSoftState(): boolean {
    return this.#raft.lead !== this.#previousLead || this.#raft.state !== this.#previousState;
  }

  #hasNewHardState(): boolean {
    const { term, vote, log } = this.#raft;
    const previous = this.#previousHardState;
    return term !== previous.term || vote !== previous.vote || log.committed !== previous.commit;
  }

  #outgoing(ready: Omit<Ready, "messages">): readonly Message[] {
    const r = this.#raft;
    if (this.#async) {
      const messages = [...r.msgs];
      const append = this.#storageAppend(ready);
      if (append !== undefined) messages.push(append);
      if (ready.committedEntries.length > 0) messages.push(this.#storageApply(ready.committedEntries));
      return messages;
    }
    if (r.msgsAfterAppend.length === 0) return r.msgs.length === 0 ? NO_MESSAGES : r.msgs;
    // In this mode the host stores everything before it sends anything.
    return [...r.msgs, ...r.msgsAfterAppend.filter((m) => m.to !== r.id)];
  }

  #accept(ready: Omit<Ready, "messages">): void {
    const r = this.#raft;
    if (ready.softState !== undefined) {
      this.#previousLead = ready.softState.lead;
      this.#previousState = ready.softState.state;
    }
    if (ready.hardState !== undefined) this.#previousHardState = ready.hardState;
    if (ready.readStates.length > 0) r.readStates = [];
    if (!this.#async) {
      if (this.#stepsOnAdvance.length > 0)
        throw new InvariantError(`peer ${r.id}: ready() called twice without advance()`);
      for (const m of r.msgsAfterAppend) if (m.to === r.id) this.#stepsOnAdvance.push(m);
      if (this.#needsAppendResp(ready.snapshot)) this.#stepsOnAdvance.push(this.#storageAppendResp(ready.snapshot));
      if (ready.committedEntries.length > 0) this.#stepsOnAdvance.push(this.#storageApplyResp(ready.committedEntries));
    }
    if (r.msgs.length > 0) r.msgs = [];
    if (r.msgsAfterAppend.length > 0) r.msgsAfterAppend = [];
    r.log.unstable.acceptInProgress();
    const last = ready.committedEntries.at(-1);
    if (last !== undefined) r.log.acceptApplying(last.index, entriesSize(ready.committedEntries), !this.#async);
  }

  /** Builds the order to store what is new; also when there is only something to send once earlier writes are durable. */
  #storageAppend({ entries, hardState, snapshot }: Omit<Ready, "messages">): Message | undefined {
    const r = this.#raft;
    if (entries.length === 0 && hardState === undefined && snapshot === undefined && r.msgsAfterAppend.length === 0)
      return undefined;
    // The peer's own acknowledgements come first: while the entries are still unstable their terms are at hand.
    const responses = [...r.msgsAfterAppend];
    if (this.#needsAppendResp(snapshot)) responses.push(this.#storageAppendResp(snapshot));
    return makeMessage({
      type: "storageAppend",
      to: LOCAL_APPEND_THREAD,
      from: r.id,
      entries,
      term: hardState?.term ?? 0,
      vote: hardState?.vote ?? NO_PEER,
      commit: hardState?.commit ?? 0,
      snapshot,
      responses,
    });
  }

  #needsAppendResp(snapshot: Snapshot | undefined): boolean {
    return this.#raft.log.unstable.entries.length > 0 || snapshot !== undefined;
  }

  /**
   * Builds the acknowledgement that everything up to the log's end is stored. It carries the term: a later term means that a newer
   * write may replace these entries, so they must stay in the unstable log although (index, term) may match again by then. Such
   * acknowledgements are dropped; so every later one, even of a write without entries, vouches for the whole tail anew.
   */
  #storageAppendResp(snapshot: Snapshot | undefined): Message {
    const r = this.#raft;
    const hasTail = r.log.unstable.entries.length > 0;
    return makeMessage({
      type: "storageAppendResp",
      to: r.id,
      from: LOCAL_APPEND_THREAD,
      term: r.term,
      index: hasTail ? r.log.lastIndex() : 0,
      logTerm: hasTail ? r.log.lastTerm() : 0,
      snapshot,
    });
  }

  #storageApply(entries: readonly Entry[]): Message {
    const responses = [this.#storageApplyResp(entries)];
    return makeMessage({ type: "storageApply", to: LOCAL_APPLY_THREAD, from: this.#raft.id, entries, responses });
  }

  #storageApplyResp(entries: readonly Entry[]): Message {
    return makeMessage({ type: "storageApplyResp", to: this.#raft.id, from: LOCAL_APPLY_THREAD, entries });
  }
}
