/** One group's peer: the core, its log, its state machine, and what users wait for. The host visits it in its turn when it is dirty. */
import { InvariantError, RheaError, type Logger } from "@rhea/common";
import { isVoter, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, ProposalDroppedError, RawNode } from "../core/index.js";
import type { ConfChangeV2, Entry, Message, PeerId } from "../core/types.js";
import type { GroupLog } from "../log/api.js";
import type { ChangeOptions, GroupOptions, NodeStatus, PeerInfo, RaftNode, StateMachine, Task } from "./api.js";
import { Applier, type ApplyTarget, type InstalledSnapshot } from "./apply.js";
import type { ChangeTarget } from "./conf-changes.js";
import { Contacts } from "./contacts.js";
import { coreConfig } from "./core-config.js";
import type { AwaitedAppend, GroupHost, PeerPlace, TurnOutput } from "./group-host.js";
import { pickSuccessor } from "./leader-hand-over.js";
import { LogCutter } from "./log-cutter.js";
import { MemberList } from "./membership.js";
import { closing, leadershipLost, noLeader, noSuccessor, notLeader, perhapsApplied } from "./node-errors.js";
import { Notices } from "./notices.js";
import { nodeStatus } from "./node-status.js";
import { ProposalQueue } from "./proposals.js";
import { ReadRounds } from "./read-index.js";
import { AdminRequests, type ChangeRequest } from "./requests.js";
import { RoleWatch } from "./role-watch.js";
import { StagedSlot, type StagedDone } from "./staged-slot.js";
import { LogStorage } from "./storage-adapter.js";
import { StoreOrders } from "./store-orders.js";
import { liveFollowers } from "./truncation.js";

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
  readonly #staged: StagedSlot;
  readonly #orders: StoreOrders;
  readonly #notices: Notices;
  readonly #cutter: LogCutter;
  readonly #role = new RoleWatch();
  /** Tick at which proposals of lost leaderships are given up; 0: none. */
  #dropProposalsAt = 0;
  #candidateHeardMs = -Infinity;

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
    this.#staged = new StagedSlot((snapshot) => {
      host.discardStaged(snapshot);
    });
    this.#orders = new StoreOrders(log, this.#staged);
    this.#notices = new Notices(stateMachine);
    this.#cutter = new LogCutter(log, host.limits);
    this.#applier = new Applier(this, applied, confState);
    this.#proposals = new ProposalQueue(host.limits.maxPendingProposals, (context, error) => {
      this.#notices.addDropped(context, error);
      host.markDirty(this);
    });
    this.#reads = new ReadRounds(host.options.rng.bytes(8));
    this.#requests = new AdminRequests(this.#changeTarget());
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

  addPeer(peer: PeerInfo, options?: ChangeOptions): Promise<void> {
    return this.#change({ kind: "addPeer", peer }, options);
  }

  removePeer(peerId: PeerId): Promise<void> {
    return this.#change({ kind: "removePeer", peerId });
  }

  changePeers(peers: readonly PeerInfo[], options?: ChangeOptions): Promise<void> {
    return this.#change({ kind: "changePeers", peers }, options);
  }

  addLearners(peers: readonly PeerInfo[]): Promise<void> {
    return this.#change({ kind: "addLearners", peers });
  }

  removeLearners(peerIds: readonly PeerId[]): Promise<void> {
    return this.#change({ kind: "removeLearners", peerIds });
  }

  resetLearners(peers: readonly PeerInfo[]): Promise<void> {
    return this.#change({ kind: "resetLearners", peers });
  }

  learnerToFollower(peerId: PeerId, options?: ChangeOptions): Promise<void> {
    return this.#change({ kind: "learnerToFollower", peerId }, options);
  }

  async transferLeadershipTo(to: PeerId | "any"): Promise<void> {
    const raw = this.#requireLeader();
    const target = to === "any" ? this.#successor() : to;
    if (target === this.peerId) return;
    if (target === undefined) throw noSuccessor(this.groupId);
    const transfer = this.#requests.transfer(raw, target);
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
    return this.#role.isLeader && this.#state === "running";
  }

  get truncatedIndex(): number {
    return this.#log.truncatedIndex;
  }

  get isInstalling(): boolean {
    return this.#staged.isBusy || this.#applier.isLoading || this.#state === "resuming";
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
    // Reads are passed on by followers under the name of who asked: they do not tell where that peer is.
    if (message.type !== "readIndex") this.#contacts.hear(message.from, fromStore, this.#host.nowMs);
    if (message.type === "preVote" || message.type === "vote") this.#candidateHeardMs = this.#host.nowMs;
    this.#raw?.step(message);
    this.#host.markDirty(this);
  }

  /** Takes a heartbeat in, with the place where its leader's log begins. */
  receiveHeartbeat(fromStore: number, message: Message, leaderTruncatedIndex: number): void {
    this.receive(fromStore, message);
    if (this.#raw?.basicStatus().lead === message.from) this.#cutter.setLeaderTruncatedIndex(leaderTruncatedIndex);
  }

  /** Takes a snapshot in whose files are staged; `done` hears when it is durable, or that it brought nothing. */
  receiveSnapshot(fromStore: number, message: Message, staged: InstalledSnapshot, done: StagedDone): void {
    if (this.#state !== "running" || message.to !== this.peerId || this.isInstalling) {
      this.#host.discardStaged(staged);
      done(closing(this.groupId));
      return;
    }
    this.#staged.put(staged, done);
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
    if (this.#proposals.hasWaiting) this.#proposals.submit(raw, () => notLeader(this.groupId, this.#leaderHint()));
    if (this.#reads.hasNext && this.#reads.ask(raw, () => noLeader(this.groupId, "read"))) this.#host.countReadRound();
    let count = 0;
    while (raw.hasReady() && count++ < MAX_READIES_PER_TURN) {
      this.#noteRole(raw);
      const { readStates, messages } = raw.ready();
      for (const { requestCtx, index } of readStates) this.#reads.confirm(requestCtx, index);
      for (const message of messages) this.#dispatch(message, turn);
    }
    if (raw.hasReady()) this.#host.markDirty(this);
    if (this.#staged.isFull) this.#staged.end(undefined);
    const cut = this.#cutter.takeRecord();
    if (cut !== undefined) turn.records.push(cut);
  }

  /** Tells the embedder what happened and applies what is committed. */
  applyCommitted(): void {
    if (this.#state === "shutdown") return;
    const failure = this.#notices.tell(this.groupId);
    if (failure !== undefined) this.fail(failure);
    if (this.#applier.hasWork) {
      this.#applier.run();
      this.#requests.onApplied(this.applied);
      if (this.#cutter.isWorthALook(this.applied)) this.considerTruncation();
    }
    this.#notices.tellDropped();
    this.#reads.resolve(this.applied);
  }

  /** The records that came with these responses are durable. */
  onDurable({ responses, hasRecords, installed, hardState }: AwaitedAppend<Group>): void {
    if (hasRecords) this.#orders.onDurable();
    if (hardState !== undefined) this.#host.options.observer?.onHardState?.(this.groupId, this.peerId, hardState);
    if (this.#state !== "running") return;
    if (installed !== undefined) {
      this.#applier.addSnapshot(installed);
      this.#proposals.dropUpTo(installed.saved.index, () => leadershipLost(this.groupId, this.#leaderHint()));
      this.#staged.end(undefined);
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

  /** Whether to campaign for a group that lost its leader: not while another candidate may still win. */
  judgeTakeOver(): "yes" | "no" | "later" {
    const raw = this.#raw;
    if (this.#state !== "running" || raw === undefined) return "no";
    const { state, lead } = raw.basicStatus();
    if (state !== "follower" || lead !== 0) return "no";
    const isQuiet = this.#host.nowMs - this.#candidateHeardMs > 2 * this.#host.limits.tickMs;
    return isQuiet ? "yes" : "later";
  }

  /** Cuts the log as far as it may be, with the next append. */
  considerTruncation(): void {
    const { stateMachine, applied } = this;
    if (this.#state !== "running" || stateMachine.onSnapshotSave === undefined) return;
    if (stateMachine.durableIndex === undefined) return;
    if (this.#cutter.look(applied, stateMachine.durableIndex(), () => this.#followers())) this.#host.markDirty(this);
  }

  /** Ends everything here; users who wait are told. */
  shutdown(): void {
    if (this.#state === "shutdown") return;
    this.#state = "shutdown";
    this.#release((maybeApplied) => closing(this.groupId, maybeApplied));
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
    this.#notices.clear();
    this.#release((maybeApplied) => (maybeApplied ? perhapsApplied(error) : error));
    if (this.#role.isLeader) this.stateMachine.onLeaderStop?.("this peer failed");
    this.stateMachine.onError?.(error);
  }

  // --- inside ---

  async #change(request: ChangeRequest, options?: ChangeOptions): Promise<void> {
    const change = this.#requests.change(this.#requireLeader(), request, options);
    this.#host.markDirty(this);
    await change;
  }

  #changeTarget(): ChangeTarget {
    const { groupId, peerId, members } = this;
    const host = this.#host;
    const applier = (): Applier => this.#applier;
    return {
      groupId,
      peerId,
      members,
      limits: host.limits,
      get tick() {
        return host.tick;
      },
      get confState() {
        return applier().confState;
      },
      leadingCore: () => (this.isLeader ? this.#raw : undefined),
      silentMs: (id) => (id === peerId ? 0 : host.nowMs - this.#contacts.heardMs(id)),
      handOver: (to) => {
        const successor = this.#successor((id) => to.includes(id));
        if (successor !== undefined) this.#raw?.transferLeader(successor);
        host.markDirty(this);
      },
      wake: () => {
        host.markDirty(this);
      },
    };
  }

  /** The voter that would take over best. */
  #successor(among?: (peerId: PeerId) => boolean): PeerId | undefined {
    const { tickMs, electionTicks } = this.#host.limits;
    return pickSuccessor(this.status(), tickMs * electionTicks, among);
  }

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

  #tickReads(raw: RawNode): void {
    const { electionTicks } = this.#host.limits;
    this.#reads.tick(2 * electionTicks, () => noLeader(this.groupId, "read"));
    if (this.#host.tick % Math.ceil(electionTicks / 2) === 0) this.#repeatReads(raw, false);
  }

  #repeatReads(raw: RawNode, isNewLeader: boolean): void {
    if (this.#reads.repeat(raw, isNewLeader)) this.#host.markDirty(this);
  }

  /** Takes note of term, leader and role, and queues what the embedder is to hear about it. */
  #noteRole(raw: RawNode): void {
    const status = raw.basicStatus();
    const change = this.#role.look(status);
    if (change === undefined) return;
    const { term, lead } = status;
    const { stopped, started, hasNewLeader } = change;
    if (stopped !== undefined) {
      this.#notices.add((stateMachine) => stateMachine.onLeaderStop?.(stopped));
      this.#dropProposalsAt = this.#host.tick + 2 * this.#host.limits.electionTicks;
      this.#reads.reject(notLeader(this.groupId, this.#leaderHint()), false);
      this.#requests.onDeposed(notLeader(this.groupId, this.#leaderHint()));
    }
    if (started) {
      // All groups' heartbeats fall on the same ticks, so that one message per store carries them.
      const behind = this.#host.tick % this.#host.limits.heartbeatTicks;
      for (let i = 0; i < behind; i++) raw.tick();
      this.#host.options.observer?.onLeader?.(this.groupId, this.peerId, term, this.#log.lastIndex);
      this.#notices.add((stateMachine) => stateMachine.onLeaderStart?.(term));
      this.#requests.onElected();
    }
    if (hasNewLeader) {
      this.#notices.add((stateMachine) => stateMachine.onLeaderChange?.(lead, term));
      this.#requests.onLeader(lead);
      this.#cutter.setLeaderTruncatedIndex(0);
      this.#repeatReads(raw, true);
    }
  }

  #dispatch(message: Message, turn: TurnOutput<Group>): void {
    if (message.to === LOCAL_APPEND_THREAD) this.#store(message, turn);
    else if (message.to === LOCAL_APPLY_THREAD) {
      this.#host.options.observer?.onCommitted?.(this.groupId, this.peerId, message.entries);
      this.#applier.addEntries(message.entries, message.responses ?? []);
    } else this.#send(message);
  }

  #store(message: Message, turn: TurnOutput<Group>): void {
    const awaited = this.#orders.take<Group>(this, message, turn);
    if (!awaited.hasRecords && this.#orders.isIdle) this.respond(awaited.responses);
    else turn.awaited.push(awaited);
  }

  #send(message: Message): void {
    // A leader that cannot store anything must not keep its followers from electing another; what is lost is sent again on their refusal.
    if (this.#host.isDiskStalled && (message.type === "heartbeat" || message.type === "app")) return;
    if (this.#held !== undefined) this.#held.push(message);
    else if (message.type === "snap") this.#host.sendSnapshot(this, message);
    else this.#host.send(this, message);
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

  #release(why: (maybeApplied: boolean) => RheaError): void {
    this.#applier.stop();
    this.#proposals.clear(why);
    this.#notices.tellDropped();
    this.#reads.reject(why(false), true);
    this.#requests.reject(why(true));
    this.#staged.end(why(false));
  }
}
