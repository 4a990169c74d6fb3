/** The host: the turn that serves all groups of a process together, time, and the ways to other processes. */
import { InvariantError, RheaError, type Logger, type RpcServer, type TimerHandle } from "@rhea/common";
import type { HeartbeatItem, RaftBatch, RaftMessage } from "@rhea/proto";
import type { Message, PeerId } from "../core/types.js";
import type { GroupLog, LogRecord } from "../log/api.js";
import { IdentityBook } from "../transport/identity.js";
import { Inbound } from "../transport/inbound.js";
import { PeerLink } from "../transport/peer-link.js";
import type { GroupOptions, HostLimits, HostStats, RaftHost, RaftHostOptions, RaftNode } from "./api.js";
import type { InstalledSnapshot } from "./apply.js";
import { addCliService } from "./cli-service.js";
import { Group } from "./group.js";
import type { AwaitedAppend, GroupHost, TurnOutput } from "./group-host.js";
import { handOverLeaders } from "./leader-hand-over.js";
import { resolveLimits } from "./limits.js";
import {
  ackFromWire,
  descriptionFromWire,
  heartbeatFromWire,
  messageFromWire,
  messageToWire,
  payloadBytes,
  readSequenceOf,
  snapshotMetaFromWire,
} from "./message-codec.js";
import { SnapshotReceiver } from "./snapshots-receive.js";
import { SnapshotSender } from "./snapshots-send.js";
import { SnapshotStaging } from "./snapshot-staging.js";
import { TurnLog } from "./turn-log.js";
import { makeMessage } from "../core/index.js";

/** After a leader's process is gone, its groups campaign spread over this many steps, a fraction of a tick apart. */
const TAKE_OVER_STEPS = 8;
/** How often they look again, while others try. */
const TAKE_OVER_ATTEMPTS = 6;

/** Makes a host. Nothing happens before {@link RaftHost.start}. */
export function createRaftHost(options: RaftHostOptions): RaftHost {
  return new Host(options);
}

/**
 * A group's first peers begin after this position: whoever joins later begins before it, and so gets a snapshot, which tells the
 * members too. Without snapshots all must begin at the very start.
 */
const DEFAULT_START = { index: 1, term: 1 };

function defaultStart({ confState, stateMachine }: GroupOptions): { readonly index: number; readonly term: number } {
  const isFirst = confState.voters.length > 0 && stateMachine.onSnapshotSave !== undefined;
  return isFirst ? DEFAULT_START : { index: 0, term: 0 };
}

class Host implements RaftHost, GroupHost<Group> {
  readonly options: RaftHostOptions;
  readonly limits: HostLimits;
  tick = 0;
  nowMs: number;
  isDiskStalled = false;
  readonly #logger: Logger;
  readonly #identities: IdentityBook;
  readonly #staging: SnapshotStaging;
  readonly #inbound: Inbound;
  readonly #sender: SnapshotSender;
  readonly #receiver: SnapshotReceiver;
  readonly #turnLog: TurnLog<AwaitedAppend<Group>>;
  readonly #groups = new Map<number, Group>();
  readonly #links = new Map<number, PeerLink>();
  readonly #touched = new Set<PeerLink>();
  readonly #timers = new Set<TimerHandle>();
  #dirty: Group[] = [];
  #isScheduled = false;
  #state: "new" | "running" | "closed" = "new";
  #tickTimer: TimerHandle | undefined;
  #nextTickMs = 0;
  #turns = 0;
  #messagesSent = 0;
  #messagesReceived = 0;
  #readRounds = 0;

  constructor(options: RaftHostOptions) {
    const { clusterId, storeId, incarnation, bootNonce, featureLevel, log, disk, net, scheduler } = options;
    this.options = options;
    this.limits = resolveLimits(options.limits);
    this.nowMs = options.clock.monotonicMs();
    this.#logger = options.logger;
    this.#identities = new IdentityBook({ clusterId, storeId, incarnation, bootNonce, featureLevel });
    this.#staging = new SnapshotStaging(disk, options.snapshotDirectory, incarnation);
    this.#turnLog = new TurnLog<AwaitedAppend<Group>>(
      log,
      (awaited) => {
        this.#guard(() => {
          for (const item of awaited) item.group.onDurable(item);
        });
      },
      (error) => {
        this.#fatal(RheaError.from(error));
      },
    );
    this.#inbound = new Inbound({
      identities: this.#identities,
      logger: this.#logger,
      onConnected: (from) => this.#links.get(from)?.wake(),
      onBatch: (from, batch) => {
        this.#onBatch(from, batch);
      },
    });
    const shared = { staging: this.#staging, identities: this.#identities, logger: this.#logger };
    const { maxSnapshots } = this.limits;
    this.#sender = new SnapshotSender({
      ...shared,
      maxSnapshots,
      net,
      scheduler,
      resolve: (to) => options.resolveStore(to),
      onDone: ({ groupId, message }, status) => {
        this.#groups.get(groupId)?.onSnapshotSent(message.to, status);
      },
    });
    this.#receiver = new SnapshotReceiver({
      ...shared,
      maxSnapshots,
      judge: (from, header) => this.#judgeSnapshot(from, header),
      deliver: (from, header, staged, done) => {
        this.#deliverSnapshot(from, header, staged, done);
      },
    });
  }

  // --- RaftHost ---

  addServices(server: RpcServer): void {
    this.#inbound.addTo(server);
    this.#receiver.addTo(server);
    addCliService(server, {
      group: (groupId) => this.#groups.get(groupId),
      describeGroup: (groupId) => this.options.describeGroup?.(groupId),
    });
  }

  start(): void {
    if (this.#state !== "new") return;
    this.#state = "running";
    const pending = new Set<string>();
    for (const { pendingInstall } of this.options.log.groups()) if (pendingInstall) pending.add(pendingInstall.file);
    this.#staging.clean(pending).catch((error: unknown) => {
      this.#fatal(RheaError.from(error));
    });
    this.#nextTickMs = this.options.clock.monotonicMs();
    this.#scheduleTick();
    if (this.#dirty.length > 0) this.#schedule();
  }

  createGroup(options: GroupOptions, start?: { readonly index: number; readonly term: number }): RaftNode {
    const { groupId, peerId, campaignAtOnce = false } = options;
    if (this.#groups.has(groupId)) throw new RheaError("ALREADY_EXISTS", `group ${groupId} is running here already`);
    const created = this.#createdRecords(groupId, peerId, start ?? defaultStart(options));
    const durable = created === undefined ? undefined : this.options.log.append(created);
    const log = this.options.log.group(groupId);
    if (log === undefined) throw new InvariantError(`group ${groupId}: the log does not know it after its creation`);
    // What was created at the default start has nothing to apply there.
    const isUntouched = options.applied === 0 && log.truncatedIndex === DEFAULT_START.index;
    const applied = isUntouched ? DEFAULT_START.index : options.applied;
    this.#checkApplied(log, groupId, applied);
    const group = new Group(this, { ...options, applied }, log, durable !== undefined);
    this.#groups.set(groupId, group);
    group.start(campaignAtOnce);
    durable?.then(
      () => {
        group.onCreated();
      },
      (error: unknown) => {
        this.#fatal(RheaError.from(error));
      },
    );
    return group;
  }

  group(groupId: number): RaftNode | undefined {
    return this.#groups.get(groupId);
  }

  groups(): Iterable<RaftNode> {
    return this.#groups.values();
  }

  async destroyGroup(groupId: number, proof: { readonly confVer: number; readonly version: number }): Promise<void> {
    this.#groups.get(groupId)?.shutdown();
    this.#groups.delete(groupId);
    const lifecycle = this.options.log.group(groupId)?.lifecycle;
    if (lifecycle === undefined) throw new RheaError("NOT_FOUND", `group ${groupId} is not in this store's log`);
    if (lifecycle.state === "destroyed") return;
    const { confVer, version } = proof;
    await this.options.log.append([{ kind: "destroyed", groupId, peerId: lifecycle.peerId, confVer, version }]);
  }

  transferAllLeaders(timeoutMs: number): Promise<void> {
    const { clock, scheduler } = this.options;
    return handOverLeaders({
      clock,
      scheduler,
      timeoutMs,
      stepMs: this.limits.tickMs,
      nodes: () => this.#groups.values(),
    });
  }

  stats(): HostStats {
    let leaders = 0;
    let applyingSnapshots = 0;
    for (const group of this.#groups.values()) {
      if (group.knownIsLeader) leaders++;
      if (group.isInstalling) applyingSnapshots++;
    }
    return {
      groups: this.#groups.size,
      leaders,
      turns: this.#turns,
      messagesSent: this.#messagesSent,
      messagesReceived: this.#messagesReceived,
      readIndexRounds: this.#readRounds,
      sendingSnapshots: this.#sender.count,
      receivingSnapshots: this.#receiver.count,
      applyingSnapshots,
    };
  }

  async close(): Promise<void> {
    this.#halt();
    for (const group of this.#groups.values()) group.shutdown();
    this.#groups.clear();
    await this.#turnLog.settle();
  }

  // --- GroupHost ---

  markDirty(group: Group): void {
    if (group.isDirty) return;
    group.isDirty = true;
    this.#dirty.push(group);
    this.#schedule();
  }

  send(group: Group, message: Message): void {
    const { groupId } = group;
    const storeId = group.storeOf(message.to);
    // A member whose store nobody has told yet; it will be known with the configuration that adds it.
    if (storeId === 0) return;
    const link = this.#linkTo(storeId);
    this.#touched.add(link);
    this.#schedule();
    const { from: fromPeer, to: toPeer, term } = message;
    const description = group.isInitial(message) ? this.#describe(groupId) : undefined;
    if (message.type === "heartbeat") {
      const item = {
        groupId,
        fromPeer,
        toPeer,
        term,
        commit: message.commit,
        readSeq: readSequenceOf(message),
        truncatedIndex: group.truncatedIndex,
      };
      link.outbox.addHeartbeat(description === undefined ? item : { ...item, ...description, initial: true });
    } else if (message.type === "heartbeatResp") {
      link.outbox.addAck({ groupId, fromPeer, toPeer, term, readSeq: readSequenceOf(message) });
    } else {
      const wire = messageToWire(groupId, message, description);
      if (wire === undefined)
        throw new InvariantError(`group ${groupId}: ${message.type} is addressed to peer ${toPeer}`);
      if (!link.outbox.addMessage(wire, payloadBytes(message))) group.onUnreachable(toPeer);
    }
  }

  sendSnapshot(group: Group, message: Message): void {
    const { groupId, stateMachine } = group;
    const description = group.isInitial(message) ? this.#describe(groupId) : undefined;
    this.#sender.send({ groupId, toStore: group.storeOf(message.to), message, stateMachine, description });
  }

  finishInstall(groupId: number, snapshot: InstalledSnapshot): void {
    this.options.log.append([{ kind: "installed", groupId }]).then(
      () => {
        this.discardStaged(snapshot);
      },
      (error: unknown) => {
        this.#fatal(RheaError.from(error));
      },
    );
  }

  readStaged(file: string): Promise<InstalledSnapshot> {
    return this.#staging.open(file);
  }

  discardStaged({ staging }: InstalledSnapshot): void {
    this.#staging.remove(staging).catch((error: unknown) => {
      this.#logger.log("warn", "cannot remove a staged snapshot", { staging, why: RheaError.from(error).message });
    });
  }

  countReadRound(): void {
    this.#readRounds++;
  }

  // --- the turn ---

  #schedule(): void {
    if (this.#isScheduled || this.#state !== "running") return;
    this.#isScheduled = true;
    this.options.scheduler.nextTurn(() => {
      this.#isScheduled = false;
      if (this.#state === "running") {
        this.#guard(() => {
          this.#runTurn();
        });
      }
    });
  }

  #runTurn(): void {
    this.#turns++;
    this.nowMs = this.options.clock.monotonicMs();
    const groups = this.#dirty;
    this.#dirty = [];
    for (const group of groups) group.isDirty = false;
    const turn: TurnOutput<Group> = { records: [], awaited: [] };
    for (const group of groups) group.collect(turn);
    // The write starts first: it takes longest. Nothing of the embedder has run since the records were collected.
    this.#turnLog.append(turn.records, turn.awaited);
    for (const link of this.#touched) link.flush();
    this.#touched.clear();
    for (const group of groups) group.applyCommitted();
    this.options.onTurnApplied?.();
  }

  #scheduleTick(): void {
    const { clock, scheduler } = this.options;
    const nowMs = clock.monotonicMs();
    // After a stall of the process ticks are skipped, not made up for: time that nobody could use must not end terms.
    this.#nextTickMs = Math.max(this.#nextTickMs + this.limits.tickMs, nowMs + this.limits.tickMs / 2);
    this.#tickTimer = scheduler.setTimer(this.#nextTickMs - nowMs, () => {
      if (this.#state !== "running") return;
      this.#scheduleTick();
      this.#guard(() => {
        this.#onTick();
      });
    });
  }

  #onTick(): void {
    this.tick++;
    this.nowMs = this.options.clock.monotonicMs();
    const { tickMs, electionTicks } = this.limits;
    const wasStalled = this.isDiskStalled;
    this.isDiskStalled = this.options.log.stats().oldestPendingMs > electionTicks * tickMs;
    if (this.isDiskStalled && !wasStalled)
      this.#logger.log("warn", "the log does not answer: heartbeats are held back");
    for (const group of this.#groups.values()) group.passTick();
    if (this.tick % Math.max(1, Math.round(1_000 / tickMs)) === 0) {
      for (const group of this.#groups.values()) group.considerTruncation();
    }
  }

  // --- receiving ---

  #onBatch(fromStore: number, batch: RaftBatch): void {
    this.#guard(() => {
      this.nowMs = this.options.clock.monotonicMs();
      try {
        this.#takeBatch(fromStore, batch);
      } catch (error) {
        // The core refuses numbers that are none before it changes anything: a malformed message is its sender's bug.
        if (!(error instanceof RangeError)) throw error;
        this.#logger.log("error", "dropped a malformed message", { fromStore, why: error.message });
      }
    });
  }

  #takeBatch(fromStore: number, { heartbeat, acks, messages }: RaftBatch): void {
    for (const item of heartbeat?.items ?? []) {
      const group = this.#groupFor(fromStore, item);
      group?.receiveHeartbeat(fromStore, heartbeatFromWire(item), item.truncatedIndex);
    }
    for (const item of acks) this.#groups.get(item.groupId)?.receive(fromStore, ackFromWire(item));
    for (const wire of messages) {
      this.#messagesReceived++;
      const group = this.#groupFor(fromStore, wire);
      const message = group === undefined ? undefined : messageFromWire(wire);
      if (message !== undefined && message.type !== "snap") group?.receive(fromStore, message);
    }
  }

  /** The group a message is for; one that is not here may be created by the embedder. */
  #groupFor(fromStore: number, wire: RaftMessage | HeartbeatItem): Group | undefined {
    const { groupId, toPeer, fromPeer, term } = wire;
    const group = this.#groups.get(groupId);
    if (group !== undefined || !wire.initial) return group;
    const lifecycle = this.options.log.group(groupId)?.lifecycle;
    if (lifecycle?.state === "condemned" || (lifecycle?.state === "destroyed" && lifecycle.peerId >= toPeer))
      return undefined;
    this.options.onUnknownPeer?.({ ...descriptionFromWire(wire), groupId, toPeer, fromPeer, fromStore, term });
    return this.#groups.get(groupId);
  }

  #judgeSnapshot(fromStore: number, header: RaftMessage): RheaError | undefined {
    const { groupId, toPeer } = header;
    const group = this.#state === "running" ? this.#groupFor(fromStore, header) : undefined;
    if (group?.peerId !== toPeer) return new RheaError("NOT_FOUND", `group ${groupId} has no peer ${toPeer} here`);
    if (group.stateMachine.onSnapshotLoad === undefined) {
      return new RheaError("OPERATION_REFUSED", `group ${groupId}: its state machine takes no snapshots`);
    }
    return group.isInstalling ? new RheaError("SERVER_BUSY", `group ${groupId} is installing a snapshot`) : undefined;
  }

  #deliverSnapshot(
    fromStore: number,
    header: RaftMessage,
    staged: InstalledSnapshot,
    done: (error: RheaError | undefined) => void,
  ): void {
    const group = this.#state === "running" ? this.#groups.get(header.groupId) : undefined;
    const wire = messageFromWire(header);
    if (group === undefined || wire === undefined || header.snapshot === null) {
      this.discardStaged(staged);
      done(new RheaError("NOT_FOUND", `group ${header.groupId} has no peer here any more`));
      return;
    }
    const { index, term, confState } = snapshotMetaFromWire(header.snapshot);
    const snapshot = { metadata: { index, term, confState }, data: Buffer.from(staged.staging) };
    this.#guard(() => {
      group.receiveSnapshot(fromStore, makeMessage({ ...wire, snapshot }), staged, done);
    });
  }

  // --- the ways to other stores ---

  #linkTo(storeId: number): PeerLink {
    const existing = this.#links.get(storeId);
    if (existing !== undefined) return existing;
    const { net, clock, scheduler, rng } = this.options;
    const link = new PeerLink({
      storeId,
      identities: this.#identities,
      net,
      clock,
      scheduler,
      rng,
      logger: this.#logger,
      resolve: (id) => this.options.resolveStore(id),
      onDropped: ({ groupId = 0, toPeer = 0 }) => this.#groups.get(groupId)?.onUnreachable(toPeer),
      onBroken: (id) => {
        this.#onBroken(id);
      },
      onGone: (id) => {
        this.#onBroken(id);
        this.#onGone(id);
      },
      onSent: (messages) => {
        this.#messagesSent += messages;
      },
    });
    this.#links.set(storeId, link);
    return link;
  }

  #onBroken(storeId: number): void {
    if (this.#state !== "running") return;
    for (const group of this.#groups.values()) {
      if (!group.knownIsLeader) continue;
      for (const peer of group.members.all) if (peer.storeId === storeId) group.onUnreachable(peer.peerId);
    }
  }

  /** That process is gone: whoever follows a leader there need not wait for a timeout. PreVote keeps the impatient harmless. */
  #onGone(storeId: number): void {
    if (this.#state !== "running") return;
    const orphans: Group[] = [];
    for (const group of this.#groups.values()) if (group.forgetLeader(storeId)) orphans.push(group);
    this.#takeOver(orphans, TAKE_OVER_ATTEMPTS);
  }

  /** Campaigns for groups without a leader, spread over about a tick; again later where another candidate was heard of meanwhile. */
  #takeOver(groups: readonly Group[], attempts: number): void {
    if (attempts === 0) return;
    const { rng } = this.options;
    const steps = new Map<number, Group[]>();
    for (const group of groups) {
      const step = rng.int(TAKE_OVER_STEPS);
      const sharing = steps.get(step);
      if (sharing === undefined) steps.set(step, [group]);
      else sharing.push(group);
    }
    for (const [step, sharing] of steps) {
      this.#later(((step + 1) * this.limits.tickMs) / TAKE_OVER_STEPS, () => {
        this.nowMs = this.options.clock.monotonicMs();
        const waiting: Group[] = [];
        for (const group of sharing) {
          const verdict = group.judgeTakeOver();
          if (verdict === "yes") group.campaign();
          else if (verdict === "later") waiting.push(group);
        }
        this.#takeOver(waiting, attempts - 1);
      });
    }
  }

  #later(delayMs: number, run: () => void): void {
    const timer = this.options.scheduler.setTimer(delayMs, () => {
      this.#timers.delete(timer);
      if (this.#state === "running") this.#guard(run);
    });
    this.#timers.add(timer);
  }

  // --- the rest ---

  #describe(groupId: number) {
    return (
      this.options.describeGroup?.(groupId) ?? {
        epoch: { confVer: 0, version: 0 },
        startKey: Buffer.alloc(0),
        endKey: Buffer.alloc(0),
      }
    );
  }

  /** The records that begin a peer's life here, or undefined if it has begun. */
  #createdRecords(
    groupId: number,
    peerId: PeerId,
    { index, term }: { readonly index: number; readonly term: number },
  ): LogRecord[] | undefined {
    const lifecycle = this.options.log.group(groupId)?.lifecycle;
    if (lifecycle?.state === "condemned") {
      const advice = "remove the peer and add a new one";
      throw new RheaError("CORRUPTION", `group ${groupId} may not start here: ${lifecycle.reason}; ${advice}`);
    }
    if (lifecycle?.state === "live") {
      if (lifecycle.peerId === peerId) return undefined;
      throw new RheaError("ALREADY_EXISTS", `group ${groupId} has peer ${lifecycle.peerId} here, not ${peerId}`);
    }
    if (lifecycle !== undefined && lifecycle.peerId >= peerId) {
      const why = `peer ${lifecycle.peerId} was destroyed here: a new peer needs a higher id than that`;
      throw new RheaError("OPERATION_REFUSED", `group ${groupId}, peer ${peerId}: ${why}`);
    }
    const created: LogRecord = { kind: "created", groupId, peerId, index, term };
    return term === 0
      ? [created]
      : [created, { kind: "hardState", groupId, hardState: { term, vote: 0, commit: index } }];
  }

  /** A state machine beyond its log, or a log that misses entries, must not take part: it could forget what it acknowledged. */
  #checkApplied(log: GroupLog, groupId: number, applied: number): void {
    if (log.pendingInstall !== undefined) return;
    const { truncatedIndex, lastIndex } = log;
    if (applied >= truncatedIndex && applied <= lastIndex) return;
    const reason = `applied index ${applied} is not within its log (${truncatedIndex} to ${lastIndex})`;
    this.options.log.append([{ kind: "condemned", groupId, reason }]).catch((error: unknown) => {
      this.#fatal(RheaError.from(error));
    });
    throw new RheaError("CORRUPTION", `group ${groupId}: ${reason}: remove the peer and add a new one`);
  }

  #halt(): void {
    this.#state = "closed";
    this.#tickTimer?.cancel();
    for (const timer of this.#timers) timer.cancel();
    this.#inbound.close();
    this.#sender.close();
    this.#receiver.close();
    for (const link of this.#links.values()) link.close();
  }

  /** Runs what must not fail: whatever it throws is a bug, and the process has to stop before it does harm. */
  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#fatal(RheaError.from(error));
    }
  }

  #fatal(error: RheaError): void {
    if (this.#state === "closed") return;
    this.#halt();
    this.options.onFatal(error);
  }
}
