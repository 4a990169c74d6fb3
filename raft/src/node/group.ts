/** One group's peer: the core, its log, its state machine, and what users wait for. The host visits it in its turn when it is dirty. */
import { RheaError, type Logger } from "@rhea/common";
import { isVoter, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, RawNode } from "../core/index.js";
import type { ConfState, Message, PeerId } from "../core/types.js";
import type { GroupLog } from "../log/api.js";
import type { GroupOptions, NodeStatus, RaftNode, StateMachine, Task } from "./api.js";
import { Applier, type InstalledSnapshot } from "./apply.js";
import { ApplyPort } from "./apply-port.js";
import { Candidacy } from "./candidacy.js";
import { ClientRequests } from "./client-requests.js";
import { Contacts } from "./contacts.js";
import { coreConfig } from "./core-config.js";
import { deferred } from "./deferred.js";
import { GroupAdmin } from "./group-admin.js";
import type { AwaitedAppend, GroupHost, PeerPlace, TurnOutput } from "./group-host.js";
import { LogCutter } from "./log-cutter.js";
import { MemberList } from "./membership.js";
import { closing, leadershipLost, notLeader, perhapsApplied } from "./node-errors.js";
import type { NodeFigures } from "./node-report.js";
import { NodeCalls } from "./node-calls.js";
import { nodeStatus } from "./node-status.js";
import { Notices } from "./notices.js";
import { QuietSlot } from "./quiet-slot.js";
import { RoleReports } from "./role-reports.js";
import type { ResolvedSnapshotOptions } from "./snapshot-options.js";
import type { SnapshotSource } from "./snapshot-source.js";
import type { SnapshotStaging } from "./snapshot-staging.js";
import { mayFindNobody } from "./sending.js";
import { StagedSlot, type StagedDone } from "./staged-slot.js";
import { StateKeeper } from "./state-keeper.js";
import { LogStorage } from "./storage-adapter.js";
import { StoreOrders } from "./store-orders.js";
import { liveFollowers } from "./truncation.js";

/** Readies taken from one group in one turn: more wait for the next turn, so that no group starves others. */
const MAX_READIES_PER_TURN = 8;

/** One group's peer in this process. */
export class Group extends NodeCalls implements RaftNode {
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
  readonly #requests: ClientRequests;
  readonly #contacts: Contacts;
  #raw: RawNode | undefined;
  #state: "resuming" | "running" | "error" | "shutting" | "shutdown" = "resuming";
  #error: RheaError | undefined;
  /** Set while the `created` record is not durable: nothing may leave before. */
  #held: Message[] | undefined;
  readonly #staged: StagedSlot;
  #orders: StoreOrders;
  readonly #notices: Notices;
  readonly #cutter: LogCutter;
  readonly #keeper: StateKeeper;
  readonly #started = deferred();
  readonly #ended = deferred();
  #snapshotsSent = 0;
  #snapshotsNotSent = 0;
  readonly #role: RoleReports;
  readonly #priority: number;
  readonly #candidacy: Candidacy;

  constructor(
    host: GroupHost<Group>,
    options: GroupOptions,
    log: GroupLog,
    held: boolean,
    snapshots: ResolvedSnapshotOptions | undefined,
  ) {
    super();
    const { groupId, peerId, stateMachine, applied = 0, confState, peers } = options;
    this.host = host;
    this.log = log;
    this.groupId = groupId;
    this.peerId = peerId;
    this.stateMachine = stateMachine;
    this.#priority = options.priority ?? -1;
    this.#logger = host.options.logger;
    this.members = new MemberList(peers, confState);
    this.#candidacy = new Candidacy(this.members, host, this.#priority);
    this.#contacts = new Contacts(this.members, this.quiet, host);
    this.#staged = new StagedSlot((snapshot) => {
      host.discardStaged(snapshot);
    });
    this.#orders = new StoreOrders(log, this.#staged);
    this.#notices = new Notices(stateMachine);
    this.#cutter = new LogCutter(log, host.limits);
    this.#role = new RoleReports(this, this.#notices, this.#contacts);
    this.#requests = new ClientRequests(this, this.#notices);
    this.#applier = new Applier(new ApplyPort(this, this.#requests, this.#role), applied, confState);
    this.admin = new GroupAdmin(this);
    this.#keeper = new StateKeeper(this, this.#applier, snapshots);
    if (held) this.#held = [];
  }

  /** Starts the core, after loading what the state machine has to have before. */
  start(campaignAtOnce: boolean): void {
    if (this.#keeper.isReady) {
      this.#startCore(campaignAtOnce);
      return;
    }
    const begin = (): void => {
      if (this.#state === "resuming") this.#startCore(campaignAtOnce);
    };
    this.#keeper.start(this.#held !== undefined, begin).catch((error: unknown) => {
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
    this.#requests.apply(this.#requireLeader(), task);
  }

  readIndex(): Promise<void> {
    if (this.#state !== "running") return Promise.reject(this.#error ?? closing(this.groupId));
    // A group that is read from time to time stays awake in between.
    this.quiet.calmSince = this.host.tick;
    return this.#requests.read();
  }

  started(): Promise<void> {
    return this.#started.promise;
  }

  async snapshot(): Promise<{ readonly index: number }> {
    if (this.#error !== undefined) throw this.#error;
    return { index: await this.#keeper.save() };
  }

  shutdown(): void {
    if (this.#state === "shutting" || this.#state === "shutdown") return;
    this.#state = "shutting";
    this.host.retire(this);
    this.#notices.clear();
    this.#release((maybeApplied) => closing(this.groupId, maybeApplied));
    this.#endRole("this peer is shutting down");
    const { pending } = this.#applier;
    if (pending === undefined) this.#end();
    else void pending.then(() => this.#end());
  }

  /** Removes what is stored of its state, once nothing of it runs any more. */
  async discard(): Promise<void> {
    await this.join();
    await this.#keeper.discard();
  }

  async join(): Promise<void> {
    await this.#ended.promise;
    await this.#keeper.settle();
  }

  campaign(): void {
    if (this.#state !== "running") return;
    this.host.markDirty(this);
    this.#raw?.campaign();
  }

  protected figures(): Omit<NodeFigures, "status" | "log"> {
    return {
      raft: this.#raw?.status(),
      proposals: this.#requests.proposals,
      apply: this.#applier.figures,
      snapshots: this.#keeper.figures,
      snapshotsSent: this.#snapshotsSent,
      snapshotsNotSent: this.#snapshotsNotSent,
    };
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
      this.#orders.isIdle &&
      this.#requests.isIdle &&
      this.admin.isIdle &&
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
    return mayFindNobody(message, this.#contacts);
  }

  /** Its rest is about to end. */
  onWake(): void {
    this.#contacts.endRest();
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
    if (message.type === "preVote" || message.type === "vote") this.#candidacy.onCandidate();
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
    if (raw.isElectionDue()) this.#candidacy.tellPriorities(raw);
    if (!raw.isElectionDue() || this.host.mayCampaign(this)) raw.tick();
    if (raw.hasReady()) this.host.markDirty(this);
    this.#requests.onTick(raw);
    this.admin.onTick();
  }

  /** Collects what this group has to write, send and apply. Calls nothing of the embedder. */
  collect(turn: TurnOutput<Group>): void {
    const raw = this.#raw;
    if (this.#state !== "running" || raw === undefined) return;
    if (this.#requests.submit(raw)) this.host.countReadRound();
    let count = 0;
    while (raw.hasReady() && count++ < MAX_READIES_PER_TURN) {
      this.#noteRole(raw);
      const { readStates, messages } = raw.ready();
      for (const { requestCtx, index } of readStates) this.#requests.confirmRead(requestCtx, index);
      for (const message of messages) this.#dispatch(message, turn);
    }
    if (raw.hasReady()) this.host.markDirty(this);
    if (this.#staged.isFull) this.#staged.end(undefined);
    const cut = this.#cutter.takeRecord();
    if (cut !== undefined) turn.records.push(cut);
  }

  /** Tells the embedder what happened and applies what is committed. */
  applyCommitted(): void {
    if (this.#state === "shutting" || this.#state === "shutdown") return;
    const failure = this.#notices.tell(this.groupId);
    if (failure !== undefined) this.fail(failure);
    if (this.#applier.hasWork) {
      this.#applier.run();
      this.admin.onApplied(this.applied);
      if (this.#cutter.isWorthALook(this.applied)) this.considerTruncation();
    }
    this.#notices.tellDropped();
    this.#requests.onApplied(this.applied);
  }

  /** The records that came with these responses are durable. */
  onDurable({ responses, hasRecords, installed, hardState }: AwaitedAppend<Group>): void {
    if (hasRecords) this.#orders.onDurable();
    if (hardState !== undefined) this.host.options.observer?.onHardState?.(this.groupId, this.peerId, hardState);
    if (this.#state !== "running") return;
    if (installed !== undefined) {
      this.#applier.addSnapshot(this.#keeper.installation(installed));
      this.#requests.onInstalled(installed.saved.index);
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
    this.#role.onLost(peerId);
  }

  onSnapshotSent(peerId: PeerId, status: "finish" | "failure"): void {
    if (status === "finish") this.#snapshotsSent++;
    else {
      this.#snapshotsNotSent++;
      this.#role.onLost(peerId);
    }
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
    return this.#state === "running" && raw !== undefined ? this.#candidacy.judgeTakeOver(raw) : "no";
  }

  /** Cuts the log as far as it may be, with the next append. */
  considerTruncation(): void {
    if (this.#state !== "running") return;
    const { durableIndex } = this.#keeper;
    if (durableIndex === undefined) return;
    const wants = this.#cutter.look(this.applied, durableIndex, () => this.#followers());
    if (!wants) return;
    // A leader's followers are to hear of it; on a follower it changes nothing that others know.
    if (this.isLeader) this.host.markDirty(this);
    else this.host.markForUpkeep(this);
  }

  /** Gives the snapshot to send to a peer that the log does not serve any more. */
  openSnapshot(staging: SnapshotStaging, to: PeerId): Promise<SnapshotSource> {
    return this.#keeper.open(staging, to);
  }

  /** What has to be looked at from time to time only; the host calls it about once a second. */
  upkeep(): void {
    this.considerTruncation();
    this.#role.lookAtReplicators();
  }

  // --- what requests and administration call ---

  /** The outcome of what was asked under a lost leadership will not be known here. */
  onGivenUp(): void {
    if (!this.isLeader) this.admin.dropChange(leadershipLost(this.groupId, this.leaderHint()));
  }

  requireCore(): RawNode {
    if (this.#error !== undefined) throw this.#error;
    if (this.#raw === undefined || this.#state !== "running") throw closing(this.groupId);
    return this.#raw;
  }

  leaderHint(): PeerPlace {
    const peerId = this.leaderId;
    const address = this.members.get(peerId)?.address;
    return { peerId, storeId: peerId === 0 ? 0 : this.storeOf(peerId), ...(address === undefined ? {} : { address }) };
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

  // --- what applying brings about ---

  get startedCore(): RawNode | undefined {
    return this.#raw;
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

  wakeForUpkeep(): void {
    this.host.markForUpkeep(this);
  }

  /** Puts the peer in `error` for good. */
  fail(error: RheaError): void {
    if (this.#state === "error" || this.#state === "shutting" || this.#state === "shutdown") return;
    this.host.markDirty(this);
    this.#state = "error";
    this.#error = error;
    this.#logger.log("error", "group failed", { groupId: this.groupId, code: error.code, why: error.message });
    this.#notices.clear();
    this.#release((maybeApplied) => (maybeApplied ? perhapsApplied(error) : error));
    this.#endRole("this peer failed");
    this.stateMachine.onError?.(error);
  }

  // --- inside ---

  #startCore(campaignAtOnce: boolean): void {
    const { options, limits } = this.host;
    const { groupId, peerId, applied } = this;
    const storage = new LogStorage(this.log, () => this.#keeper.appliedState());
    this.#raw = new RawNode(
      coreConfig({ groupId, peerId, applied, storage, priority: this.#priority }, limits, options),
    );
    this.#state = "running";
    this.#started.resolve();
    this.#keeper.onStarted();
    const { voters } = this.#applier.confState;
    // Nobody else can be leading a group with one voter.
    if (voters.length === 1 && voters[0] === this.peerId) this.#raw.campaign();
    else if (campaignAtOnce && this.host.mayCampaign(this)) this.#raw.campaign();
    else if (campaignAtOnce) this.#raw.expireElectionTimeout();
    this.host.markDirty(this);
  }

  #requireLeader(): RawNode {
    if (this.#error !== undefined) throw this.#error;
    if (this.#state === "shutting" || this.#state === "shutdown") throw closing(this.groupId);
    if (this.#raw === undefined || !this.isLeader) throw notLeader(this.groupId, this.leaderHint());
    return this.#raw;
  }

  /** Takes note of term, leader and role, and queues what the embedder is to hear about it. */
  #noteRole(raw: RawNode): void {
    const status = raw.basicStatus();
    const change = this.#role.look(status);
    if (change === undefined) return;
    const { term, lead } = status;
    if (change.stopped !== undefined) this.#requests.onDeposed();
    if (change.started) {
      // All groups' heartbeats fall on the same ticks, so that one message per store carries them.
      const behind = this.host.tick % this.host.limits.heartbeatTicks;
      for (let i = 0; i < behind; i++) raw.tick();
      this.host.options.observer?.onLeader?.(this.groupId, this.peerId, term, this.log.lastIndex);
      this.admin.onElected();
    }
    if (change.hasNewLeader) {
      this.admin.onLeader(lead);
      this.#cutter.setLeaderTruncatedIndex(0);
      this.#requests.onNewLeader(raw);
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

  #endRole(why: string): void {
    this.#role.end(why);
    const failure = this.#notices.tell(this.groupId);
    if (failure !== undefined)
      this.#logger.log("error", "the state machine failed at the end", { why: failure.message });
  }

  #end(): void {
    this.#state = "shutdown";
    this.stateMachine.onShutdown?.();
    this.#ended.resolve();
  }

  #release(why: (maybeApplied: boolean) => RheaError): void {
    this.#started.reject(why(false));
    this.#keeper.close();
    this.#applier.stop();
    this.#requests.end(why);
    this.#notices.tellDropped();
    this.admin.reject(why(true));
    this.#staged.end(why(false));
  }
}
