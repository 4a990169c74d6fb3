/** One group's peer: the core, its log, its state machine, and what users wait for. The host visits it in its turn when it is dirty. */
import { InvariantError, RheaError, type Logger } from "@rhea/common";
import { isVoter, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, ProposalDroppedError, RawNode } from "../core/index.js";
import type { ConfChangeV2, Entry, HardState, Message, PeerId } from "../core/types.js";
import type { GroupLog } from "../log/api.js";
import type { GroupOptions, NodeStatus, PeerInfo, RaftNode, StateMachine, Task } from "./api.js";
import { Applier, type ApplyTarget, type InstalledSnapshot } from "./apply.js";
import { Contacts } from "./contacts.js";
import { coreConfig } from "./core-config.js";
import type { AwaitedAppend, GroupHost, PeerPlace, TurnOutput } from "./group-host.js";
import { MemberList } from "./membership.js";
import { closing, leadershipLost, noLeader, notLeader } from "./node-errors.js";
import { nodeStatus } from "./node-status.js";
import { ProposalQueue } from "./proposals.js";
import { ReadRounds } from "./read-index.js";
import { AdminRequests } from "./requests.js";
import { LogStorage } from "./storage-adapter.js";
import { liveFollowers, truncationTarget } from "./truncation.js";

/** Entries that make a cut of the log worth a record at once; fewer are cut when the group has come to rest. */
const WORTH_CUTTING = 1024;
/** Readies taken from one group in one turn: more wait for the next turn, so that no group starves others. */
const MAX_READIES_PER_TURN = 8;

/** One group's peer in this process. */
export class Group implements RaftNode, ApplyTarget {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly stateMachine: StateMachine;
  readonly members: MemberList;
  /** Whether the host has it on its list for the next turn. Owned by the host. */
  isDirty = false;
  readonly #host: GroupHost<Group>;
  readonly #log: GroupLog;
  readonly #logger: Logger;
  readonly #applier: Applier;
  readonly #proposals: ProposalQueue;
  readonly #reads: ReadRounds;
  readonly #requests: AdminRequests;
  readonly #contacts: Contacts;
  #raw: RawNode | undefined;
  #state: "resuming" | "running" | "error" | "shutdown" = "resuming";
  #error: RheaError | undefined;
  /** Set while the `created` record is not durable: nothing may leave before. */
  #held: Message[] | undefined;
  #inflightAppends = 0;
  #storedTerm: number;
  #storedVote: PeerId;
  /** Staged files of a snapshot that was stepped into the core, until it takes or ignores it. */
  #staged: InstalledSnapshot | undefined;
  #onStagedDone: ((error: RheaError | undefined) => void) | undefined;
  #notices: (() => void)[] = [];
  #knownTerm = 0;
  #knownLeader: PeerId = 0;
  #knownIsLeader = false;
  /** Tick at which proposals of lost leaderships are given up; 0: none. */
  #dropProposalsAt = 0;
  #leaderTruncatedIndex = 0;
  #wantsTruncation = 0;
  #lastCutApplied = 0;

  constructor(host: GroupHost<Group>, options: GroupOptions, log: GroupLog, held: boolean) {
    const { groupId, peerId, stateMachine, applied, confState, peers } = options;
    this.#host = host;
    this.#log = log;
    this.groupId = groupId;
    this.peerId = peerId;
    this.stateMachine = stateMachine;
    this.#logger = host.options.logger;
    this.members = new MemberList(peers, confState);
    this.#contacts = new Contacts(this.members);
    this.#applier = new Applier(this, applied, confState);
    this.#proposals = new ProposalQueue(host.limits.maxPendingProposals, (context, error) => {
      stateMachine.onDropped?.(context, error);
    });
    this.#reads = new ReadRounds(host.options.rng.bytes(8));
    this.#requests = new AdminRequests(groupId, this.members);
    this.#storedTerm = log.hardState.term;
    this.#storedVote = log.hardState.vote;
    if (held) this.#held = [];
  }

  /** Starts the core, after finishing an interrupted snapshot install if there is one. */
  start(campaignAtOnce: boolean): void {
    const pending = this.#log.pendingInstall;
    if (pending === undefined) {
      this.#startCore(campaignAtOnce);
      return;
    }
    this.#host.readStaged(pending.file).then(
      (snapshot) => {
        if (this.#state !== "resuming") return;
        this.#applier.addSnapshot(snapshot);
        this.#host.markDirty(this);
      },
      (error: unknown) => {
        const cause = RheaError.from(error);
        const what = `group ${this.groupId}: the staged snapshot ${pending.file} is unusable: ${cause.message}`;
        this.fail(new RheaError("CORRUPTION", `${what}; remove the peer and add a new one`, { cause: error }));
      },
    );
  }

  // --- what users of the node see ---

  get isLeader(): boolean {
    return this.#state === "running" && this.#raw?.basicStatus().state === "leader";
  }

  get leaderId(): PeerId {
    return this.#state === "running" ? (this.#raw?.basicStatus().lead ?? 0) : 0;
  }

  get term(): number {
    return this.#raw?.basicStatus().term ?? this.#log.hardState.term;
  }

  get applied(): number {
    return this.#applier.applied;
  }

  apply(task: Task): void {
    const raw = this.#requireLeader();
    const { term, leadTransferee } = raw.basicStatus();
    if (task.expectedTerm !== undefined && task.expectedTerm !== term) {
      const terms = `${term}, not ${task.expectedTerm}`;
      throw new RheaError("PROPOSAL_DROPPED", `group ${this.groupId} is in term ${terms}: the proposal was not made`);
    }
    if (leadTransferee !== 0) throw new ProposalDroppedError("transferring");
    if (this.#proposals.isFull) {
      const { maxPendingProposals } = this.#host.limits;
      const message = `group ${this.groupId}: ${maxPendingProposals} proposals are waiting: repeat later`;
      throw new RheaError("SERVER_BUSY", message, { details: { regionId: this.groupId, retryAfterMs: 50 } });
    }
    this.#proposals.add(task);
    this.#host.markDirty(this);
  }

  readIndex(): Promise<void> {
    if (this.#state !== "running") return Promise.reject(this.#error ?? closing(this.groupId));
    this.#host.markDirty(this);
    return this.#reads.read();
  }

  async addPeer(peer: PeerInfo): Promise<void> {
    const change = this.#requests.addPeer(this.#requireLeader(), peer);
    this.#host.markDirty(this);
    await change;
  }

  async removePeer(peerId: PeerId): Promise<void> {
    const change = this.#requests.removePeer(this.#requireLeader(), peerId);
    this.#host.markDirty(this);
    await change;
  }

  async transferLeadershipTo(peerId: PeerId): Promise<void> {
    const raw = this.#requireLeader();
    if (peerId === this.peerId) return;
    const { tick, limits } = this.#host;
    const transfer = this.#requests.transfer(raw, peerId, tick + limits.electionTicks + limits.heartbeatTicks);
    this.#host.markDirty(this);
    await transfer;
  }

  listPeers(): readonly PeerInfo[] {
    return this.members.all;
  }

  campaign(): void {
    if (this.#state !== "running") return;
    this.#raw?.campaign();
    this.#host.markDirty(this);
  }

  status(): NodeStatus {
    const state = this.#state === "resuming" ? "follower" : this.#state;
    return nodeStatus({
      groupId: this.groupId,
      peerId: this.peerId,
      lifecycle: state,
      error: this.#error,
      raft: this.#raw?.status(),
      log: this.#log,
      applied: this.applied,
      confState: this.#applier.confState,
      members: this.members,
      contacts: this.#contacts,
      nowMs: this.#host.options.clock.monotonicMs(),
    });
  }

  // --- what the host calls ---

  /** Leader of this group as of the last turn; used for counting. */
  get knownIsLeader(): boolean {
    return this.#knownIsLeader && this.#state === "running";
  }

  get knownLeader(): PeerId {
    return this.#state === "running" ? this.#knownLeader : 0;
  }

  get truncatedIndex(): number {
    return this.#log.truncatedIndex;
  }

  get isTransferring(): boolean {
    return this.#raw !== undefined && this.#raw.basicStatus().leadTransferee !== 0;
  }

  get isInstalling(): boolean {
    return this.#staged !== undefined || this.#applier.isLoading || this.#state === "resuming";
  }

  /** The store of a member, as far as membership or its own messages tell; 0 if unknown. */
  storeOf(peerId: PeerId): number {
    return this.#contacts.storeOf(peerId);
  }

  /** Whether a message may find nobody there, so that it must say what the group is. */
  isInitial(message: Message): boolean {
    switch (message.type) {
      case "vote":
      case "preVote":
        return true;
      case "heartbeat":
        return message.commit === 0;
      case "app":
      case "snap":
        return !this.#contacts.hasHeard(message.to);
      default:
        return false;
    }
  }

  /** Takes a message of another peer in. */
  receive(fromStore: number, message: Message): void {
    if (this.#state !== "running" || message.to !== this.peerId) return;
    this.#contacts.hear(message.from, fromStore, this.#host.nowMs);
    this.#raw?.step(message);
    this.#host.markDirty(this);
  }

  /** Takes a heartbeat in, with the place where its leader's log begins. */
  receiveHeartbeat(fromStore: number, message: Message, leaderTruncatedIndex: number): void {
    this.receive(fromStore, message);
    if (this.#raw?.basicStatus().lead === message.from) this.#leaderTruncatedIndex = leaderTruncatedIndex;
  }

  /** Takes a snapshot in whose files are staged; `done` hears when it is durable, or that it brought nothing. */
  receiveSnapshot(
    fromStore: number,
    message: Message,
    staged: InstalledSnapshot,
    done: (error: RheaError | undefined) => void,
  ): void {
    if (this.#state !== "running" || message.to !== this.peerId || this.isInstalling) {
      this.#host.discardStaged(staged);
      done(closing(this.groupId));
      return;
    }
    this.#staged = staged;
    this.#onStagedDone = done;
    this.receive(fromStore, message);
  }

  /** One step of time. */
  passTick(): void {
    const raw = this.#raw;
    if (this.#state !== "running" || raw === undefined) return;
    raw.tick();
    if (raw.hasReady()) this.#host.markDirty(this);
    if (!this.#reads.isEmpty) this.#tickReads(raw);
    if (!this.#requests.isEmpty) this.#requests.tick(this.#host.tick);
    if (this.#dropProposalsAt !== 0 && this.#host.tick >= this.#dropProposalsAt) this.#giveUpProposals();
  }

  /** Collects what this group has to write, send and apply. Calls nothing of the embedder. */
  collect(turn: TurnOutput<Group>): void {
    const raw = this.#raw;
    if (this.#state !== "running" || raw === undefined) return;
    if (this.#proposals.hasWaiting) this.#propose(raw);
    if (this.#reads.hasNext) this.#askRead(raw);
    let count = 0;
    while (raw.hasReady() && count++ < MAX_READIES_PER_TURN) {
      this.#noteRole(raw);
      const { readStates, messages } = raw.ready();
      for (const { requestCtx, index } of readStates) this.#reads.confirm(requestCtx, index);
      for (const message of messages) this.#dispatch(message, turn);
    }
    if (raw.hasReady()) this.#host.markDirty(this);
    if (this.#staged !== undefined) this.#endStaged(undefined);
    if (this.#wantsTruncation > this.#log.truncatedIndex) this.#truncate(turn);
  }

  /** Tells the embedder what happened and applies what is committed. */
  applyCommitted(): void {
    if (this.#state === "shutdown") return;
    if (this.#notices.length > 0) {
      const notices = this.#notices;
      this.#notices = [];
      for (const notice of notices) notice();
    }
    if (this.#applier.hasWork) {
      this.#applier.run();
      this.#requests.onApplied(this.applied);
      if (this.applied - this.#lastCutApplied >= WORTH_CUTTING) this.considerTruncation();
    }
    this.#reads.resolve(this.applied);
  }

  /** The records that came with these responses are durable. */
  onDurable({ responses, hasRecords, installed, hardState }: AwaitedAppend<Group>): void {
    if (hasRecords) this.#inflightAppends--;
    if (hardState !== undefined) this.#host.options.observer?.onHardState?.(this.groupId, this.peerId, hardState);
    if (this.#state !== "running") return;
    if (installed !== undefined) {
      this.#applier.addSnapshot(installed);
      this.#proposals.dropUpTo(installed.saved.index, () => leadershipLost(this.groupId, this.#leaderHint()));
      this.#onStagedDone?.(undefined);
      this.#onStagedDone = undefined;
    }
    this.respond(responses);
  }

  /** The `created` record is durable: what was held back may leave. */
  onCreated(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    if (this.#state === "running") for (const message of held) this.#send(message);
  }

  /** A message to this peer was lost. */
  onUnreachable(peerId: PeerId): void {
    if (!this.isLeader) return;
    this.#raw?.reportUnreachable(peerId);
    this.#host.markDirty(this);
  }

  onSnapshotSent(peerId: PeerId, status: "finish" | "failure"): void {
    if (!this.isLeader) return;
    this.#raw?.reportSnapshot(peerId, status);
    this.#host.markDirty(this);
  }

  /** The process of this leader is gone for certain: do not wait for its timeout. True if a campaign makes sense. */
  forgetLeader(storeId: number): boolean {
    const leader = this.leaderId;
    if (leader === 0 || leader === this.peerId || this.storeOf(leader) !== storeId) return false;
    this.#raw?.forgetLeader();
    this.#host.markDirty(this);
    return isVoter(this.#applier.confState, this.peerId);
  }

  /** Cuts the log as far as it may be, with the next append. */
  considerTruncation(): void {
    const { stateMachine, applied } = this;
    if (this.#state !== "running" || stateMachine.onSnapshotSave === undefined) return;
    if (stateMachine.durableIndex === undefined) return;
    this.#lastCutApplied = applied;
    const durableIndex = Math.min(applied, stateMachine.durableIndex());
    const { truncatedIndex, liveBytes } = this.#log;
    if (durableIndex <= truncatedIndex) return;
    const { maxLogEntries: maxEntries, maxLogBytes: maxBytes } = this.#host.limits;
    const target = truncationTarget({
      truncatedIndex,
      durableIndex,
      liveBytes,
      maxEntries,
      maxBytes,
      followers: this.#followers(),
      leaderTruncatedIndex: this.#leaderTruncatedIndex,
    });
    if (target <= truncatedIndex) return;
    this.#wantsTruncation = target;
    this.#host.markDirty(this);
  }

  /** Ends everything here; users who wait are told. */
  shutdown(): void {
    if (this.#state === "shutdown") return;
    this.#state = "shutdown";
    this.#release(() => closing(this.groupId, true));
    this.stateMachine.onShutdown?.();
  }

  // --- what the applier calls ---

  takeContext(entry: Entry): unknown {
    return this.#proposals.take(entry);
  }

  applyConfChange(change: ConfChangeV2) {
    if (this.#raw === undefined) throw new InvariantError(`group ${this.groupId}: a change without a core`);
    const confState = this.#raw.applyConfChange(change);
    this.#host.markDirty(this);
    return confState;
  }

  onChangeApplied(entry: Entry, wasAccepted: boolean): void {
    this.#requests.onChangeApplied(entry, wasAccepted);
  }

  onSnapshotLoaded(snapshot: InstalledSnapshot): void {
    this.#host.finishInstall(this.groupId, snapshot);
    if (this.#state === "resuming") this.#startCore(false);
  }

  respond(responses: readonly Message[]): void {
    if (this.#state !== "running") return;
    for (const message of responses) {
      if (message.to === this.peerId) this.#raw?.step(message);
      else this.#send(message);
    }
    this.#host.markDirty(this);
  }

  wake(): void {
    this.#host.markDirty(this);
  }

  /** Puts the peer in `error` for good. */
  fail(error: RheaError): void {
    if (this.#state === "error" || this.#state === "shutdown") return;
    this.#state = "error";
    this.#error = error;
    this.#logger.log("error", "group failed", { groupId: this.groupId, code: error.code, why: error.message });
    this.#release(() => error);
    this.stateMachine.onError?.(error);
  }

  // --- inside ---

  #startCore(campaignAtOnce: boolean): void {
    const { options, limits } = this.#host;
    const { groupId, peerId, applied } = this;
    const storage = new LogStorage(this.#log, () => this.#appliedState());
    this.#raw = new RawNode(coreConfig({ groupId, peerId, applied, storage }, limits, options));
    this.#state = "running";
    const { voters } = this.#applier.confState;
    // Nobody else can be leading a group with one voter.
    if (campaignAtOnce || (voters.length === 1 && voters[0] === this.peerId)) this.#raw.campaign();
    this.#host.markDirty(this);
  }

  #appliedState() {
    const { stateMachine, applied } = this;
    const canSave = stateMachine.onSnapshotSave !== undefined;
    const snapshotIndex = canSave ? Math.min(applied, stateMachine.durableIndex?.() ?? applied) : 0;
    return { snapshotIndex, applied, confState: this.#applier.confState };
  }

  #requireLeader(): RawNode {
    if (this.#error !== undefined) throw this.#error;
    if (this.#state === "shutdown") throw closing(this.groupId);
    if (this.#raw === undefined || !this.isLeader) throw notLeader(this.groupId, this.#leaderHint());
    return this.#raw;
  }

  #leaderHint(): PeerPlace {
    const peerId = this.leaderId;
    return { peerId, storeId: peerId === 0 ? 0 : this.storeOf(peerId) };
  }

  #propose(raw: RawNode): void {
    const { term, state } = raw.basicStatus();
    let tasks = this.#proposals.takeWaiting();
    if (state !== "leader") {
      this.#proposals.refuse(tasks, () => notLeader(this.groupId, this.#leaderHint()));
      return;
    }
    const isStale = ({ expectedTerm }: Task): boolean => expectedTerm !== undefined && expectedTerm !== term;
    if (tasks.some(isStale)) {
      const why = `group ${this.groupId}: the term is ${term} by now: the proposal was not made`;
      this.#proposals.refuse(tasks.filter(isStale), () => new RheaError("PROPOSAL_DROPPED", why));
      tasks = tasks.filter((task) => !isStale(task));
      if (tasks.length === 0) return;
    }
    if (!this.#proposeAll(raw, tasks, term) && tasks.length > 1) {
      for (const task of tasks) this.#proposeAll(raw, [task], term);
    }
  }

  /** Proposes all tasks as consecutive entries; false when there is no room for that many and one by one may do better. */
  #proposeAll(raw: RawNode, tasks: readonly Task[], term: number): boolean {
    let index: number;
    try {
      index = raw.proposeMany(tasks.map(({ data }) => data));
    } catch (error) {
      if (!(error instanceof ProposalDroppedError)) throw error;
      if (error.reason === "uncommittedLimit" && tasks.length > 1) return false;
      this.#proposals.refuse(tasks, () => error);
      return true;
    }
    for (const { context } of tasks) this.#proposals.track(index++, term, context);
    return true;
  }

  #askRead(raw: RawNode): void {
    if (raw.basicStatus().lead === 0) {
      this.#reads.reject(noLeader(this.groupId, "read"), false);
      return;
    }
    raw.readIndex(this.#reads.ask());
    this.#host.countReadRound();
  }

  #tickReads(raw: RawNode): void {
    const { electionTicks } = this.#host.limits;
    this.#reads.tick(2 * electionTicks, () => noLeader(this.groupId, "read"));
    // The question or its answer may have been lost.
    if (this.#host.tick % Math.ceil(electionTicks / 2) === 0) this.#repeatReads(raw);
  }

  #repeatReads(raw: RawNode): void {
    const { lead } = raw.basicStatus();
    const context = lead === 0 || lead === this.peerId ? undefined : this.#reads.repeat();
    if (context === undefined) return;
    raw.readIndex(context);
    this.#host.markDirty(this);
  }

  /** Takes note of term, leader and role, and queues what the embedder is to hear about it. */
  #noteRole(raw: RawNode): void {
    const { term, lead, state } = raw.basicStatus();
    const isLeader = state === "leader";
    const { stateMachine } = this;
    if (this.#knownIsLeader && (!isLeader || term !== this.#knownTerm)) {
      const reason = term === this.#knownTerm ? "it lost its quorum, or was removed" : `a higher term, ${term}, began`;
      this.#notices.push(() => stateMachine.onLeaderStop?.(reason));
      this.#dropProposalsAt = this.#host.tick + 2 * this.#host.limits.electionTicks;
      this.#reads.reject(notLeader(this.groupId, this.#leaderHint()), false);
    }
    if (isLeader && (!this.#knownIsLeader || term !== this.#knownTerm)) {
      // All groups' heartbeats fall on the same ticks, so that one message per store carries them.
      const behind = this.#host.tick % this.#host.limits.heartbeatTicks;
      for (let i = 0; i < behind; i++) raw.tick();
      this.#host.options.observer?.onLeader?.(this.groupId, this.peerId, term, this.#log.lastIndex);
      this.#notices.push(() => stateMachine.onLeaderStart?.(term));
    }
    if (lead !== this.#knownLeader || (term !== this.#knownTerm && lead !== 0)) {
      this.#notices.push(() => stateMachine.onLeaderChange?.(lead, term));
      this.#requests.onLeader(lead);
      this.#leaderTruncatedIndex = 0;
      if (this.#reads.hasUnanswered) this.#repeatReads(raw);
    }
    this.#knownTerm = term;
    this.#knownLeader = lead;
    this.#knownIsLeader = isLeader;
  }

  #dispatch(message: Message, turn: TurnOutput<Group>): void {
    if (message.to === LOCAL_APPEND_THREAD) this.#store(message, turn);
    else if (message.to === LOCAL_APPLY_THREAD) {
      this.#host.options.observer?.onCommitted?.(this.groupId, this.peerId, message.entries);
      this.#applier.addEntries(message.entries, message.responses ?? []);
    } else this.#send(message);
  }

  /** Turns an order to store into records. What changes the commit index only is not worth a write: it is found again. */
  #store(message: Message, turn: TurnOutput<Group>): void {
    const { entries, snapshot, term, vote, commit, responses = [] } = message;
    const { groupId } = this;
    const hasNewVote = term !== 0 && (term !== this.#storedTerm || vote !== this.#storedVote);
    const hasRecords = entries.length > 0 || snapshot !== undefined || hasNewVote;
    if (!hasRecords) {
      if (this.#inflightAppends === 0) this.respond(responses);
      else turn.awaited.push({ group: this, responses, hasRecords, installed: undefined, hardState: undefined });
      return;
    }
    const installed = snapshot === undefined ? undefined : this.#takeStaged(snapshot.metadata.index);
    if (installed !== undefined) {
      const { index, term: snapshotTerm, confState } = installed.saved;
      turn.records.push({ kind: "install", groupId, file: installed.staging, index, term: snapshotTerm, confState });
    }
    if (entries.length > 0) turn.records.push({ kind: "entries", groupId, entries });
    const hardState: HardState | undefined = term === 0 ? undefined : { term, vote, commit };
    if (hardState !== undefined) {
      turn.records.push({ kind: "hardState", groupId, hardState });
      this.#storedTerm = term;
      this.#storedVote = vote;
    }
    this.#inflightAppends++;
    turn.awaited.push({ group: this, responses, hasRecords, installed, hardState });
  }

  #takeStaged(index: number): InstalledSnapshot {
    const staged = this.#staged;
    if (staged?.saved.index !== index) {
      throw new InvariantError(`group ${this.groupId}: the core installs a snapshot at ${index} that was not staged`);
    }
    this.#staged = undefined;
    return staged;
  }

  /** The core did not want the staged snapshot: it brought nothing, which is as good as installed for the sender. */
  #endStaged(error: RheaError | undefined): void {
    if (this.#staged !== undefined) this.#host.discardStaged(this.#staged);
    this.#staged = undefined;
    const done = this.#onStagedDone;
    this.#onStagedDone = undefined;
    done?.(error);
  }

  #send(message: Message): void {
    // A leader that cannot store anything must not keep its followers from electing another.
    if (message.type === "heartbeat" && this.#host.isDiskStalled) return;
    if (this.#held !== undefined) this.#held.push(message);
    else if (message.type === "snap") this.#host.sendSnapshot(this, message);
    else this.#host.send(this, message);
  }

  #truncate(turn: TurnOutput<Group>): void {
    const index = this.#wantsTruncation;
    this.#wantsTruncation = 0;
    turn.records.push({ kind: "truncate", groupId: this.groupId, index, term: this.#log.term(index) });
  }

  /** On a leader: its followers that are alive. */
  #followers() {
    if (this.#raw === undefined || !this.isLeader) return undefined;
    return liveFollowers(this.peerId, this.#raw.status(), this.#contacts, this.#host.nowMs);
  }

  #giveUpProposals(): void {
    this.#dropProposalsAt = 0;
    const except = this.isLeader ? this.term : 0;
    this.#proposals.drop(() => leadershipLost(this.groupId, this.#leaderHint()), except);
    if (!this.isLeader) this.#requests.dropChange(leadershipLost(this.groupId, this.#leaderHint()));
  }

  #release(why: () => RheaError): void {
    this.#applier.stop();
    this.#proposals.refuse(this.#proposals.takeWaiting(), why);
    this.#proposals.drop(why, 0);
    this.#reads.reject(why(), true);
    this.#requests.reject(why());
    this.#endStaged(why());
  }
}
