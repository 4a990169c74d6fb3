/** One group's peer: the core, its log, its state machine, and what users wait for. The host visits it in its turn when it is dirty. */
import { InvariantError, RheaError, type Logger } from "@rhea/common";
import { isVoter, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, ProposalDroppedError, RawNode } from "../core/index.js";
import type { ConfChangeV2, ConfState, Entry, Message, PeerId } from "../core/types.js";
import type { GroupLog } from "../log/api.js";
import type { ChangeOptions, GroupOptions, NodeStatus, PeerInfo, RaftNode, StateMachine, Task } from "./api.js";
import { Applier, type ApplyTarget, type InstalledSnapshot, type SnapshotToLoad } from "./apply.js";
import { Contacts } from "./contacts.js";
import { coreConfig } from "./core-config.js";
import { deferred } from "./deferred.js";
import { GroupAdmin } from "./group-admin.js";
import type { AwaitedAppend, GroupHost, PeerPlace, TurnOutput } from "./group-host.js";
import { LogCutter } from "./log-cutter.js";
import { MemberList } from "./membership.js";
import { closing, leadershipLost, noLeader, notLeader, perhapsApplied } from "./node-errors.js";
import { NodeSnapshots } from "./node-snapshots.js";
import { nodeStatus } from "./node-status.js";
import { Notices } from "./notices.js";
import { ProposalQueue } from "./proposals.js";
import { QuietSlot } from "./quiet-slot.js";
import { ReadRounds } from "./read-index.js";
import { RoleWatch } from "./role-watch.js";
import type { ResolvedSnapshotOptions } from "./snapshot-options.js";
import type { SnapshotStaging } from "./snapshot-staging.js";
import { lendForSending, saveForSending, type SnapshotSource } from "./snapshot-source.js";
import { StagedSlot, type StagedDone } from "./staged-slot.js";
import { planStart, type StartPlan } from "./startup.js";
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
  readonly admin: GroupAdmin;
  readonly log: GroupLog;
  readonly host: GroupHost<Group>;
  /** Whether the host has it on its list for the next turn. Owned by the host. */
  isDirty = false;
  /** Its part in resting. Owned by the host. */
  readonly quiet = new QuietSlot();
  readonly #logger: Logger;
  readonly #applier: Applier;
  readonly #proposals: ProposalQueue;
  readonly #reads: ReadRounds;
  readonly #contacts: Contacts;
  #raw: RawNode | undefined;
  #state: "resuming" | "running" | "error" | "shutdown" = "resuming";
  #error: RheaError | undefined;
  /** Set while the `created` record is not durable: nothing may leave before. */
  #held: Message[] | undefined;
  readonly #staged: StagedSlot;
  #orders: StoreOrders;
  readonly #notices: Notices;
  readonly #cutter: LogCutter;
  readonly #snapshots: NodeSnapshots | undefined;
  readonly #started = deferred();
  readonly #role = new RoleWatch();
  /** Tick at which proposals of lost leaderships are given up; 0: none. */
  #dropProposalsAt = 0;
  #candidateHeardMs = -Infinity;

  constructor(
    host: GroupHost<Group>,
    options: GroupOptions,
    log: GroupLog,
    held: boolean,
    snapshots: ResolvedSnapshotOptions | undefined,
  ) {
    const { groupId, peerId, stateMachine, applied = 0, confState, peers } = options;
    this.host = host;
    this.log = log;
    this.groupId = groupId;
    this.peerId = peerId;
    this.stateMachine = stateMachine;
    this.#logger = host.options.logger;
    this.members = new MemberList(peers, confState);
    this.#contacts = new Contacts(this.members, this.quiet, host);
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
    this.admin = new GroupAdmin(this);
    this.#snapshots = snapshots === undefined ? undefined : this.#makeSnapshots(snapshots);
    if (held) this.#held = [];
  }

  /** Starts the core, after loading what the state machine has to have before. */
  start(campaignAtOnce: boolean): void {
    if (this.log.pendingInstall === undefined && this.#snapshots === undefined) {
      this.#startCore(campaignAtOnce);
      return;
    }
    planStart({
      groupId: this.groupId,
      log: this.log,
      snapshots: this.#snapshots,
      isNew: this.#held !== undefined,
      hasMembers: this.#applier.confState.voters.length > 0,
      readStaged: (file) => this.host.readStaged(file),
      installation: (snapshot) => this.#installation(snapshot),
      condemn: (reason) => this.host.condemn(this.groupId, reason),
    })
      .then((plan) => this.#followPlan(plan, campaignAtOnce))
      .catch((error: unknown) => {
        this.fail(RheaError.from(error));
      });
  }

  // --- what users of the node see ---

  get isLeader(): boolean {
    return this.#state === "running" && this.#raw?.basicStatus().state === "leader";
  }

  get leaderId(): PeerId {
    return this.#state === "running" ? (this.#raw?.basicStatus().lead ?? 0) : 0;
  }

  get term(): number {
    return this.#raw?.basicStatus().term ?? this.log.hardState.term;
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
      const { maxPendingProposals } = this.host.limits;
      const message = `group ${this.groupId}: ${maxPendingProposals} proposals are waiting: repeat later`;
      throw new RheaError("SERVER_BUSY", message, { details: { regionId: this.groupId, retryAfterMs: 50 } });
    }
    this.#proposals.add(task);
    this.host.markDirty(this);
  }

  readIndex(): Promise<void> {
    if (this.#state !== "running") return Promise.reject(this.#error ?? closing(this.groupId));
    this.host.markDirty(this);
    return this.#reads.read();
  }

  addPeer(peer: PeerInfo, options?: ChangeOptions): Promise<void> {
    return this.admin.change({ kind: "addPeer", peer }, options);
  }

  removePeer(peerId: PeerId): Promise<void> {
    return this.admin.change({ kind: "removePeer", peerId });
  }

  changePeers(peers: readonly PeerInfo[], options?: ChangeOptions): Promise<void> {
    return this.admin.change({ kind: "changePeers", peers }, options);
  }

  resetPeers(peers: readonly PeerInfo[]): Promise<void> {
    return this.admin.resetPeers(peers);
  }

  addLearners(peers: readonly PeerInfo[]): Promise<void> {
    return this.admin.change({ kind: "addLearners", peers });
  }

  removeLearners(peerIds: readonly PeerId[]): Promise<void> {
    return this.admin.change({ kind: "removeLearners", peerIds });
  }

  resetLearners(peers: readonly PeerInfo[]): Promise<void> {
    return this.admin.change({ kind: "resetLearners", peers });
  }

  learnerToFollower(peerId: PeerId, options?: ChangeOptions): Promise<void> {
    return this.admin.change({ kind: "learnerToFollower", peerId }, options);
  }

  transferLeadershipTo(to: PeerId | "any"): Promise<void> {
    return this.admin.transferLeadershipTo(to);
  }
  started(): Promise<void> {
    return this.#started.promise;
  }

  async snapshot(): Promise<{ readonly index: number }> {
    if (this.#error !== undefined) throw this.#error;
    if (this.#snapshots !== undefined) return { index: await this.#snapshots.save() };
    const index = this.#durableIndex();
    if (index === undefined) {
      const why = "it has neither the snapshots option nor a state machine with a durableIndex";
      throw new RheaError("OPERATION_REFUSED", `group ${this.groupId}: no snapshot can be saved: ${why}`);
    }
    this.considerTruncation();
    return { index };
  }

  listAlivePeers(): readonly PeerInfo[] {
    return this.admin.listAlive("voter");
  }

  listAliveLearners(): readonly PeerInfo[] {
    return this.admin.listAlive("learner");
  }

  listPeers(): readonly PeerInfo[] {
    return this.members.all;
  }

  campaign(): void {
    if (this.#state !== "running") return;
    this.host.markDirty(this);
    this.#raw?.campaign();
  }

  status(): NodeStatus {
    const state = this.#state === "resuming" ? "follower" : this.#state;
    return nodeStatus({
      groupId: this.groupId,
      peerId: this.peerId,
      lifecycle: state,
      error: this.#error,
      raft: this.#raw?.status(),
      log: this.log,
      applied: this.applied,
      confState: this.#applier.confState,
      members: this.members,
      contacts: this.#contacts,
      nowMs: this.host.options.clock.monotonicMs(),
    });
  }

  // --- what the host calls ---

  /** Leader of this group as of the last turn; used for counting. */
  get knownIsLeader(): boolean {
    return this.#role.isLeader && this.#state === "running";
  }

  /** The core, while it may be used. */
  get core(): RawNode | undefined {
    return this.#state === "running" ? this.#raw : undefined;
  }

  /** The membership in effect. */
  get confState(): ConfState {
    return this.#applier.confState;
  }

  /** Whether nothing here waits for time to pass, or for the disk. */
  get mayRest(): boolean {
    return (
      this.#held === undefined &&
      this.#dropProposalsAt === 0 &&
      this.#orders.isIdle &&
      this.#reads.isEmpty &&
      this.admin.isIdle &&
      !this.#proposals.hasWaiting &&
      !this.#applier.hasWork &&
      !this.#staged.isBusy
    );
  }

  get truncatedIndex(): number {
    return this.log.truncatedIndex;
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
    const judgement = this.admin.judge(message, this.#raw?.basicStatus().commit ?? 0);
    if (judgement.kind === "cutOff") this.fail(judgement.error);
    if (judgement.kind !== "fits") return;
    this.host.wake(this, fromStore);
    // Reads are passed on by followers under the name of who asked: they do not tell where that peer is.
    if (message.type !== "readIndex") this.#contacts.hear(message.from, fromStore, this.host.nowMs);
    if (message.type === "preVote" || message.type === "vote") this.#candidateHeardMs = this.host.nowMs;
    this.#raw?.step(message);
    this.host.markDirty(this);
  }

  /** Takes a heartbeat in, with the place where its leader's log begins. */
  receiveHeartbeat(fromStore: number, message: Message, leaderTruncatedIndex: number): void {
    this.receive(fromStore, message);
    if (this.#raw?.basicStatus().lead === message.from) this.#cutter.setLeaderTruncatedIndex(leaderTruncatedIndex);
  }

  /** Takes a snapshot in whose files are staged; `done` hears when it is durable, or that it brought nothing. */
  receiveSnapshot(fromStore: number, message: Message, staged: InstalledSnapshot, done: StagedDone): void {
    if (this.#state !== "running" || message.to !== this.peerId || this.isInstalling) {
      this.host.discardStaged(staged);
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
    if (raw.hasReady()) this.host.markDirty(this);
    if (!this.#reads.isEmpty) this.#tickReads(raw);
    this.admin.onTick();
    if (this.#dropProposalsAt !== 0 && this.host.tick >= this.#dropProposalsAt) this.#giveUpProposals();
  }

  /** Collects what this group has to write, send and apply. Calls nothing of the embedder. */
  collect(turn: TurnOutput<Group>): void {
    const raw = this.#raw;
    if (this.#state !== "running" || raw === undefined) return;
    if (this.#proposals.hasWaiting) this.#proposals.submit(raw, () => notLeader(this.groupId, this.leaderHint()));
    if (this.#reads.hasNext && this.#reads.ask(raw, () => noLeader(this.groupId, "read"))) this.host.countReadRound();
    let count = 0;
    while (raw.hasReady() && count++ < MAX_READIES_PER_TURN) {
      this.#noteRole(raw);
      const { readStates, messages } = raw.ready();
      for (const { requestCtx, index } of readStates) this.#reads.confirm(requestCtx, index);
      for (const message of messages) this.#dispatch(message, turn);
    }
    if (raw.hasReady()) this.host.markDirty(this);
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
      this.admin.onApplied(this.applied);
      if (this.#cutter.isWorthALook(this.applied)) this.considerTruncation();
    }
    this.#notices.tellDropped();
    this.#reads.resolve(this.applied);
  }

  /** The records that came with these responses are durable. */
  onDurable({ responses, hasRecords, installed, hardState }: AwaitedAppend<Group>): void {
    if (hasRecords) this.#orders.onDurable();
    if (hardState !== undefined) this.host.options.observer?.onHardState?.(this.groupId, this.peerId, hardState);
    if (this.#state !== "running") return;
    if (installed !== undefined) {
      this.#applier.addSnapshot(this.#installation(installed));
      this.#proposals.dropUpTo(installed.saved.index, () => leadershipLost(this.groupId, this.leaderHint()));
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
    this.host.markDirty(this);
    this.#raw?.reportUnreachable(peerId);
  }

  onSnapshotSent(peerId: PeerId, status: "finish" | "failure"): void {
    if (!this.isLeader) return;
    this.#raw?.reportSnapshot(peerId, status);
    this.host.markDirty(this);
  }

  /** The process of this leader is gone for certain: do not wait for its timeout. True if a campaign makes sense. */
  forgetLeader(storeId: number): boolean {
    const leader = this.leaderId;
    if (leader === 0 || leader === this.peerId || this.storeOf(leader) !== storeId) return false;
    this.host.markDirty(this);
    this.#raw?.forgetLeader();
    return isVoter(this.#applier.confState, this.peerId);
  }

  /** Whether to campaign for a group that lost its leader: not while another candidate may still win. */
  judgeTakeOver(): "yes" | "no" | "later" {
    const raw = this.#raw;
    if (this.#state !== "running" || raw === undefined) return "no";
    const { state, lead } = raw.basicStatus();
    if (state !== "follower" || lead !== 0) return "no";
    const isQuiet = this.host.nowMs - this.#candidateHeardMs > 2 * this.host.limits.tickMs;
    return isQuiet ? "yes" : "later";
  }

  /** Cuts the log as far as it may be, with the next append. */
  considerTruncation(): void {
    if (this.#state !== "running") return;
    const durableIndex = this.#durableIndex();
    if (durableIndex === undefined) return;
    const wants = this.#cutter.look(this.applied, durableIndex, () => this.#followers());
    if (!wants) return;
    // A leader's followers are to hear of it; on a follower it changes nothing that others know.
    if (this.isLeader) this.host.markDirty(this);
    else this.host.markForUpkeep(this);
  }

  /** Gives the snapshot to send to a peer that the log does not serve any more. */
  openSnapshot(staging: SnapshotStaging, to: PeerId): Promise<SnapshotSource> {
    if (this.#snapshots !== undefined) return lendForSending(this.#snapshots, to);
    return saveForSending(staging, this.stateMachine, this.#applier.positionNow());
  }

  /** Ends everything here; users who wait are told. */
  shutdown(): void {
    if (this.#state === "shutdown") return;
    this.#state = "shutdown";
    this.#release((maybeApplied) => closing(this.groupId, maybeApplied));
    this.stateMachine.onShutdown?.();
  }

  // --- what administration calls ---

  requireCore(): RawNode {
    if (this.#error !== undefined) throw this.#error;
    if (this.#raw === undefined || this.#state !== "running") throw closing(this.groupId);
    return this.#raw;
  }

  leaderHint(): PeerPlace {
    const peerId = this.leaderId;
    return { peerId, storeId: peerId === 0 ? 0 : this.storeOf(peerId) };
  }

  silentMs(peerId: PeerId): number {
    return peerId === this.peerId ? 0 : this.host.nowMs - this.#contacts.heardMs(peerId);
  }

  isStill(): boolean {
    return this.#orders.isIdle && this.#applier.isIdle && this.#raw?.hasReady() === false;
  }

  halt(): void {
    this.#state = "resuming";
  }

  restart(): void {
    if (this.#state !== "resuming") return;
    this.#orders = new StoreOrders(this.log, this.#staged);
    this.#startCore(false);
  }

  // --- what the applier calls ---

  takeContext(entry: Entry): unknown {
    return this.#proposals.take(entry);
  }

  applyConfChange(change: ConfChangeV2) {
    if (this.#raw === undefined) throw new InvariantError(`group ${this.groupId}: a change without a core`);
    const confState = this.#raw.applyConfChange(change);
    this.host.markDirty(this);
    return confState;
  }

  resetMembership(conf: ConfState): ConfState {
    if (this.#raw === undefined) throw new InvariantError(`group ${this.groupId}: a configuration without a core`);
    return this.#raw.resetMembership(conf);
  }

  onChangeApplied(entry: Entry, wasAccepted: boolean): void {
    this.admin.onChangeApplied(entry, wasAccepted);
  }

  onLeft(members: readonly PeerInfo[]): void {
    this.host.forgetStores(members.map(({ storeId }) => storeId));
    if (members.some(({ peerId }) => peerId === this.peerId)) this.host.options.onRemoved?.(this.groupId);
  }

  termOf(index: number): number {
    return this.log.term(index);
  }

  respond(responses: readonly Message[]): void {
    if (this.#state !== "running") return;
    for (const message of responses) {
      if (message.to === this.peerId) this.#raw?.step(message);
      else this.#send(message);
    }
    this.host.markDirty(this);
  }

  wake(): void {
    this.host.markDirty(this);
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

  #makeSnapshots({ storage, keep, ...policy }: ResolvedSnapshotOptions): NodeSnapshots {
    const { options, saveSlots } = this.host;
    return new NodeSnapshots({
      groupId: this.groupId,
      peerId: this.peerId,
      storage,
      keep,
      policy,
      stateMachine: this.stateMachine,
      slots: saveSlots,
      logger: this.#logger,
      nowMs: () => options.clock.monotonicMs(),
      progress: this.#applier,
      atRest: (pause) => {
        this.#applier.addPause(pause);
        this.host.markForUpkeep(this);
      },
      onStored: () => {
        this.considerTruncation();
      },
    });
  }

  /** What there is to do when the leader's snapshot is durable here. */
  #installation(snapshot: InstalledSnapshot): SnapshotToLoad {
    const { saved, files } = snapshot;
    return {
      saved,
      prepare: () => this.#snapshots?.adopt(snapshot, this.host.options.disk) ?? Promise.resolve(files),
      onLoaded: () => {
        this.host.finishInstall(this.groupId, snapshot);
      },
    };
  }

  async #followPlan(plan: StartPlan, campaignAtOnce: boolean): Promise<void> {
    if (this.#state !== "resuming") return;
    if (plan.kind === "load") {
      const { saved, prepare, onLoaded } = plan.snapshot;
      const begin = (): void => {
        onLoaded();
        this.#startCore(campaignAtOnce);
      };
      this.#applier.addSnapshot({ saved, prepare, onLoaded: begin });
      this.host.markForUpkeep(this);
      return;
    }
    if (plan.kind === "saveFirst") await this.#snapshots?.save();
    if (this.#state === "resuming") this.#startCore(campaignAtOnce);
  }

  #startCore(campaignAtOnce: boolean): void {
    const { options, limits } = this.host;
    const { groupId, peerId, applied } = this;
    const storage = new LogStorage(this.log, () => this.#appliedState());
    this.#raw = new RawNode(coreConfig({ groupId, peerId, applied, storage }, limits, options));
    this.#state = "running";
    this.#started.resolve();
    if (this.#snapshots !== undefined) this.host.snapshotSchedule.add(this.#snapshots);
    const { voters } = this.#applier.confState;
    // Nobody else can be leading a group with one voter.
    if (campaignAtOnce || (voters.length === 1 && voters[0] === this.peerId)) this.#raw.campaign();
    this.host.markDirty(this);
  }

  #appliedState() {
    const { stateMachine, applied } = this;
    const canSave = stateMachine.onSnapshotSave !== undefined;
    const snapshotIndex = canSave
      ? Math.min(applied, this.#snapshots?.newestIndex ?? this.#durableIndex() ?? applied)
      : 0;
    return { snapshotIndex, applied, confState: this.#applier.confState };
  }

  /** Up to where the state is safe without the log, and can be sent; undefined if the log is never cut. */
  #durableIndex(): number | undefined {
    const { stateMachine, applied } = this;
    if (stateMachine.onSnapshotSave === undefined) return undefined;
    const index = this.#snapshots?.oldestIndex ?? stateMachine.durableIndex?.();
    return index === undefined ? undefined : Math.min(index, applied);
  }

  #requireLeader(): RawNode {
    if (this.#error !== undefined) throw this.#error;
    if (this.#state === "shutdown") throw closing(this.groupId);
    if (this.#raw === undefined || !this.isLeader) throw notLeader(this.groupId, this.leaderHint());
    return this.#raw;
  }

  #tickReads(raw: RawNode): void {
    const { electionTicks } = this.host.limits;
    this.#reads.tick(2 * electionTicks, () => noLeader(this.groupId, "read"));
    if (this.host.tick % Math.ceil(electionTicks / 2) === 0) this.#repeatReads(raw, false);
  }

  #repeatReads(raw: RawNode, isNewLeader: boolean): void {
    if (this.#reads.repeat(raw, isNewLeader)) this.host.markDirty(this);
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
      this.#dropProposalsAt = this.host.tick + 2 * this.host.limits.electionTicks;
      this.#reads.reject(notLeader(this.groupId, this.leaderHint()), false);
    }
    if (started) {
      // All groups' heartbeats fall on the same ticks, so that one message per store carries them.
      const behind = this.host.tick % this.host.limits.heartbeatTicks;
      for (let i = 0; i < behind; i++) raw.tick();
      this.host.options.observer?.onLeader?.(this.groupId, this.peerId, term, this.log.lastIndex);
      this.#notices.add((stateMachine) => stateMachine.onLeaderStart?.(term));
      this.admin.onElected();
    }
    if (hasNewLeader) {
      this.#notices.add((stateMachine) => stateMachine.onLeaderChange?.(lead, term));
      this.admin.onLeader(lead);
      this.#cutter.setLeaderTruncatedIndex(0);
      this.#repeatReads(raw, true);
    }
  }

  #dispatch(message: Message, turn: TurnOutput<Group>): void {
    if (message.to === LOCAL_APPEND_THREAD) this.#store(message, turn);
    else if (message.to === LOCAL_APPLY_THREAD) {
      this.host.options.observer?.onCommitted?.(this.groupId, this.peerId, message.entries);
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
    if (this.host.isDiskStalled && (message.type === "heartbeat" || message.type === "app")) return;
    if (this.#held !== undefined) this.#held.push(message);
    else if (message.type === "snap") this.host.sendSnapshot(this, message);
    else this.host.send(this, message);
  }

  /** On a leader: its followers that are alive. */
  #followers() {
    if (this.#raw === undefined || !this.isLeader) return undefined;
    return liveFollowers(this.peerId, this.#raw.status(), this.#contacts, this.host.nowMs);
  }

  #giveUpProposals(): void {
    this.#dropProposalsAt = 0;
    const except = this.isLeader ? this.term : 0;
    this.#proposals.drop(() => leadershipLost(this.groupId, this.leaderHint()), except);
    if (!this.isLeader) this.admin.dropChange(leadershipLost(this.groupId, this.leaderHint()));
  }

  #release(why: (maybeApplied: boolean) => RheaError): void {
    this.#started.reject(why(false));
    if (this.#snapshots !== undefined) {
      this.host.snapshotSchedule.remove(this.#snapshots);
      this.#snapshots.close();
    }
    this.#applier.stop();
    this.#proposals.clear(why);
    this.#notices.tellDropped();
    this.#reads.reject(why(false), true);
    this.admin.reject(why(true));
    this.#staged.end(why(false));
  }
}
