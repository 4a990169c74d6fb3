/** The host: puts together the turn that serves all groups of a process, time, and the ways to other processes. */
import { InvariantError, RheaError, type Logger, type RpcServer } from "@rhea/common";
import type { Message } from "../core/types.js";
import { IdentityBook } from "../transport/identity.js";
import { Inbound } from "../transport/inbound.js";
import { addressBook } from "./addresses.js";
import type { GroupOptions, HostLimits, HostStats, RaftHost, RaftHostOptions, RaftNode } from "./api.js";
import type { InstalledSnapshot } from "./apply.js";
import { CampaignPacer } from "./campaign-pacer.js";
import { addCliService } from "./cli-service.js";
import { Group } from "./group.js";
import type { AwaitedAppend, GroupHost } from "./group-host.js";
import { DiskWatch } from "./disk-watch.js";
import { describeHost } from "./host-report.js";
import { giveUpLeadership, handOverLeaders } from "./leader-hand-over.js";
import { appliedAtStart, createdRecords, defaultStart, whyAppliedDoesNotFit } from "./lifecycle.js";
import { resolveLimits } from "./limits.js";
import { Links } from "./links.js";
import { Receiving } from "./receiving.js";
import { QuietGroups } from "./quiet-groups.js";
import { ProposalBudget } from "./proposal-budget.js";
import { SaveSlots } from "./save-slots.js";
import { post } from "./sending.js";
import { resolveSnapshotOptions } from "./snapshot-options.js";
import { SnapshotSchedule } from "./snapshot-schedule.js";
import type { SnapshotSource } from "./snapshot-source.js";
import { SnapshotReceiver } from "./snapshots-receive.js";
import { SnapshotSender } from "./snapshots-send.js";
import { SnapshotStaging } from "./snapshot-staging.js";
import { TakeOver } from "./take-over.js";
import { Ticks } from "./ticks.js";
import { Turn } from "./turn.js";
import { TurnLog } from "./turn-log.js";

/** Makes a host. Nothing happens before {@link RaftHost.start}. */
export function createRaftHost(options: RaftHostOptions): RaftHost {
  return new Host(options);
}

class Host implements RaftHost, GroupHost<Group> {
  readonly options: RaftHostOptions;
  readonly limits: HostLimits;
  tick = 0;
  nowMs: number;
  isDiskStalled = false;
  readonly proposalBudget: ProposalBudget;
  readonly saveSlots: SaveSlots;
  readonly snapshotSchedule: SnapshotSchedule;
  readonly #logger: Logger;
  readonly #resolve: (storeId: number) => string | undefined;
  readonly #identities: IdentityBook;
  readonly #staging: SnapshotStaging;
  readonly #inbound: Inbound;
  readonly #links: Links;
  readonly #receiving: Receiving;
  readonly #sender: SnapshotSender;
  readonly #receiver: SnapshotReceiver;
  readonly #turn: Turn;
  readonly #turnLog: TurnLog<AwaitedAppend<Group>>;
  readonly #ticks: Ticks;
  readonly #takeOver: TakeOver;
  readonly #quiet: QuietGroups;
  readonly #pacer = new CampaignPacer();
  readonly #disk: DiskWatch;
  readonly #groups = new Map<number, Group>();
  #isScheduled = false;
  /** The next turn sends the digests of resting groups. */
  #owesDigests = false;
  #state: "new" | "running" | "closed" = "new";
  #readRounds = 0;

  constructor(options: RaftHostOptions) {
    const { clusterId, storeId, incarnation, bootNonce, featureLevel, log, disk, net, clock, scheduler, rng } = options;
    this.options = options;
    this.limits = resolveLimits(options.limits);
    this.nowMs = clock.monotonicMs();
    const { maxPendingProposalsPerProcess, maxProposalBytesPerProcess } = this.limits;
    this.proposalBudget = new ProposalBudget(maxPendingProposalsPerProcess, maxProposalBytesPerProcess);
    this.saveSlots = new SaveSlots(this.limits.maxSnapshotSaves);
    this.snapshotSchedule = new SnapshotSchedule({ clock, scheduler, rng });
    this.#logger = options.logger;
    const identities = (this.#identities = new IdentityBook({
      clusterId,
      storeId,
      incarnation,
      bootNonce,
      featureLevel,
      address: options.address ?? "",
    }));
    const resolve = addressBook(options, identities, () => this.#groups.values());
    this.#resolve = resolve;
    this.#staging = new SnapshotStaging(disk, options.snapshotDirectory, incarnation);
    this.#turnLog = new TurnLog<AwaitedAppend<Group>>(
      log,
      (awaited) => {
        this.#guard(() => {
          this.#readTime();
          for (const item of awaited) item.group.onDurable(item);
        });
      },
      (error) => {
        this.#fatal(RheaError.from(error));
      },
    );
    this.#links = new Links({
      host: options,
      identities,
      resolve,
      onDropped: (groupId, toPeer) => this.#groups.get(groupId)?.onUnreachable(toPeer),
      onBroken: (id) => {
        this.#onBroken(id);
      },
      onGone: (id) => {
        this.#onBroken(id);
        this.#onGone(id);
      },
      onUp: (id) => {
        this.#quiet.onReachable(id);
      },
    });
    this.#quiet = new QuietGroups({ limits: this.limits, links: this.#links, tick: () => this.tick });
    this.#turn = new Turn({
      schedule: () => {
        this.#schedule();
      },
      write: ({ records, awaited }) => {
        this.#turnLog.append(records, awaited);
      },
      flush: () => {
        if (this.#owesDigests) this.#quiet.sendDigests();
        this.#owesDigests = false;
        this.#links.flush();
      },
      onApplied: () => options.onTurnApplied?.(),
    });
    const { tickMs, electionTicks, maxSnapshots } = this.limits;
    this.#disk = new DiskWatch(electionTicks, tickMs);
    this.#ticks = new Ticks({
      clock,
      scheduler,
      tickMs,
      onTick: (isLate) => {
        this.#runNow(() => {
          this.#onTick(isLate);
        });
      },
    });
    this.#takeOver = new TakeOver({
      rng,
      scheduler,
      tickMs,
      mayCampaign: (group) => this.mayCampaign(group),
      run: (step) => {
        this.#runNow(step);
      },
    });
    this.#receiving = new Receiving({
      host: options,
      groups: this.#groups,
      quiet: this.#quiet,
      isRunning: () => this.#state === "running",
      discardStaged: (snapshot) => {
        this.discardStaged(snapshot);
      },
    });
    this.#inbound = new Inbound({
      identities,
      logger: this.#logger,
      onConnected: (from, life) => {
        this.#links.wake(from);
        this.#quiet.onStore(from, life);
        this.#quiet.onReachable(from);
      },
      onBatch: (from, life, batch) => {
        this.#guard(() => {
          this.#readTime();
          this.#receiving.takeBatch(from, life, batch);
          this.#schedule();
        });
      },
    });
    const shared = { staging: this.#staging, identities, logger: this.#logger };
    this.#sender = new SnapshotSender({
      ...shared,
      maxSnapshots,
      maxBytesPerSecond: this.limits.maxSnapshotBytesPerSecond,
      clock,
      net,
      scheduler,
      resolve,
      onDone: ({ groupId, message }, status) => {
        this.#groups.get(groupId)?.onSnapshotSent(message.to, status);
      },
    });
    this.#receiver = new SnapshotReceiver({
      ...shared,
      maxSnapshots,
      judge: (from, header) => this.#receiving.judgeSnapshot(from, header),
      deliver: (from, header, staged, done) => {
        this.#guard(() => {
          this.#receiving.deliverSnapshot(from, header, staged, done);
        });
      },
    });
  }

  // --- RaftHost ---

  addServices(server: RpcServer, { cli = true }: { readonly cli?: boolean } = {}): void {
    this.#inbound.addTo(server);
    this.#receiver.addTo(server);
    if (!cli) return;
    addCliService(server, {
      group: (groupId) => this.#groups.get(groupId),
      describeGroup: (groupId) => this.options.describeGroup?.(groupId),
      resolve: this.#resolve,
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
    this.#ticks.start();
    if (this.#turn.hasWork) this.#schedule();
  }

  createGroup(options: GroupOptions, start?: { readonly index: number; readonly term: number }): RaftNode {
    const { groupId, peerId, campaignAtOnce = false } = options;
    if (this.#groups.has(groupId)) throw new RheaError("ALREADY_EXISTS", `group ${groupId} is running here already`);
    const snapshots = resolveSnapshotOptions(options);
    const { lifecycle } = this.options.log.group(groupId) ?? {};
    const created = createdRecords(lifecycle, groupId, peerId, start ?? defaultStart(options));
    const durable = created === undefined ? undefined : this.options.log.append(created);
    const log = this.options.log.group(groupId);
    if (log === undefined) throw new InvariantError(`group ${groupId}: the log does not know it after its creation`);
    const applied = appliedAtStart(log, options);
    const misfit = whyAppliedDoesNotFit(log, applied);
    if (misfit !== undefined) throw this.condemn(groupId, misfit);
    const group = new Group(this, { ...options, applied }, log, durable !== undefined, snapshots);
    this.#groups.set(groupId, group);
    this.#quiet.add(group);
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
    const group = this.#groups.get(groupId);
    group?.shutdown();
    const { lifecycle, pendingInstall } = this.options.log.group(groupId) ?? {};
    if (lifecycle === undefined) throw new RheaError("NOT_FOUND", `group ${groupId} is not in this store's log`);
    if (lifecycle.state === "destroyed") return;
    const { confVer, version } = proof;
    await this.options.log.append([{ kind: "destroyed", groupId, peerId: lifecycle.peerId, confVer, version }]);
    // What is left of its state nobody waits for.
    this.#clearState(group, pendingInstall?.file).catch((error: unknown) => {
      this.#logger.log("warn", "cannot remove a peer's snapshots", { groupId, why: RheaError.from(error).message });
    });
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
      turns: this.#turn.count,
      messagesSent: this.#links.messagesSent,
      messagesReceived: this.#receiving.messages,
      readIndexRounds: this.#readRounds,
      sendingSnapshots: this.#sender.count,
      receivingSnapshots: this.#receiver.count,
      applyingSnapshots,
      quietGroups: this.#groups.size - this.#quiet.awake.size,
      isDiskStalled: this.isDiskStalled,
      links: this.#links.stats(),
    };
  }

  describe(): string {
    const { clusterId, storeId, incarnation, log } = this.options;
    return describeHost({
      ...{ clusterId, storeId, incarnation },
      stats: this.stats(),
      log: log.stats(),
      groups: this.#groups.values(),
    });
  }

  async close(): Promise<void> {
    this.#halt();
    const groups = [...this.#groups.values()];
    for (const group of groups) group.shutdown();
    await this.#turnLog.settle();
    await Promise.all(groups.map((group) => group.join()));
  }

  // --- GroupHost ---

  markDirty(group: Group): void {
    this.#quiet.wake(group);
    this.#turn.mark(group);
  }

  markForUpkeep(group: Group): void {
    this.#turn.mark(group);
  }

  wake(group: Group, byStore: number): void {
    this.#quiet.wake(group, byStore);
  }

  mayCampaign(group: Group): boolean {
    return this.#pacer.tryStart(group, this.tick);
  }

  send(group: Group, message: Message): void {
    const { groupId } = group;
    const storeId = group.storeOf(message.to);
    // A member whose store nobody has told yet; it will be known with the configuration that adds it.
    if (storeId === 0) return;
    const outbox = this.#links.outboxOf(storeId);
    this.#schedule();
    const description = group.isInitial(message) ? this.#describe(groupId) : undefined;
    const sender = {
      groupId,
      truncatedIndex: group.truncatedIndex,
      offersRest: message.type === "heartbeat" && this.#quiet.offers(group, message),
      restsAt: message.type === "heartbeatResp" ? this.#quiet.agree(group, message) : 0,
    };
    if (!post(outbox, sender, message, description)) group.onUnreachable(message.to);
  }

  sendSnapshot(group: Group, message: Message): void {
    const { groupId } = group;
    const description = group.isInitial(message) ? this.#describe(groupId) : undefined;
    const open = (): Promise<SnapshotSource> => group.openSnapshot(this.#staging, message.to);
    this.#sender.send({ groupId, toStore: group.storeOf(message.to), message, open, description });
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

  condemn(groupId: number, reason: string): RheaError {
    this.options.log.append([{ kind: "condemned", groupId, reason }]).catch((error: unknown) => {
      this.#fatal(RheaError.from(error));
    });
    return new RheaError("CORRUPTION", `group ${groupId}: ${reason}: remove the peer and add a new one`);
  }

  readStaged(file: string): Promise<InstalledSnapshot> {
    return this.#staging.open(file);
  }

  discardStaged({ staging }: InstalledSnapshot): void {
    this.#staging.remove(staging).catch((error: unknown) => {
      this.#logger.log("warn", "cannot remove a staged snapshot", { staging, why: RheaError.from(error).message });
    });
  }

  forgetStores(storeIds: readonly number[]): void {
    for (const storeId of storeIds) {
      const isMember = [...this.#groups.values()].some(({ members }) => members.onStore(storeId) !== undefined);
      if (!isMember) this.#identities.forget(storeId);
    }
  }

  retire(group: Group): void {
    this.#quiet.remove(group);
    if (this.#groups.get(group.groupId) === group) this.#groups.delete(group.groupId);
  }

  countReadRound(): void {
    this.#readRounds++;
  }

  // --- inside ---

  async #clearState(group: Group | undefined, staged: string | undefined): Promise<void> {
    await group?.discard();
    if (staged !== undefined) await this.#staging.remove(staged);
  }

  #schedule(): void {
    if (this.#isScheduled || this.#state !== "running") return;
    this.#isScheduled = true;
    this.options.scheduler.nextTurn(() => {
      this.#isScheduled = false;
      this.#runNow(() => {
        this.#turn.run();
      });
    });
  }

  #onTick(isLate: boolean): void {
    this.tick++;
    this.#pacer.onTick(this.tick, isLate);
    const { tickMs, electionTicks, heartbeatTicks } = this.limits;
    const wasStalled = this.isDiskStalled;
    this.isDiskStalled = this.#disk.isStalled(this.options.log.stats());
    if (this.isDiskStalled && !wasStalled)
      this.#logger.log("warn", "the log does not answer: leaderships are given up");
    if (isLate || this.isDiskStalled) this.#voidLeases();
    // Whoever cannot take over is found by its own timeout, as heartbeats are held back.
    if (this.isDiskStalled && (!wasStalled || this.tick % electionTicks === 0)) this.#giveUpLeaderships();
    const isBeat = this.tick % heartbeatTicks === 0;
    for (const group of this.#quiet.awake) {
      if (isBeat) this.#quiet.prepare(group);
      if (group.quiet.rest === undefined) group.passTick();
    }
    this.#quiet.onTick();
    if (isBeat && !this.isDiskStalled) {
      this.#owesDigests = true;
      this.#schedule();
    }
    if (this.tick % Math.max(1, Math.round(1_000 / tickMs)) === 0) {
      for (const group of this.#groups.values()) group.upkeep();
    }
  }

  #giveUpLeaderships(): void {
    const { tickMs, electionTicks } = this.limits;
    for (const group of this.#groups.values()) {
      if (group.knownIsLeader && giveUpLeadership(group, tickMs * electionTicks)) this.markDirty(group);
    }
  }

  /** Leases count ticks: they are worth nothing where time passed without. Resting groups hold none. */
  #voidLeases(): void {
    if (this.options.readOnly !== "leaseBased") return;
    for (const group of this.#quiet.awake) group.core?.voidLease();
  }

  #onBroken(storeId: number): void {
    if (this.#state !== "running") return;
    for (const group of this.#groups.values()) {
      // To a follower that rests nothing was on its way.
      if (!group.knownIsLeader || group.quiet.rest !== undefined) continue;
      for (const peer of group.members.all) if (peer.storeId === storeId) group.onUnreachable(peer.peerId);
    }
  }

  /** That process is gone: whoever follows a leader there need not wait for a timeout. PreVote keeps the impatient harmless. */
  #onGone(storeId: number): void {
    if (this.#state !== "running") return;
    const orphans: Group[] = [];
    for (const group of this.#groups.values()) if (group.forgetLeader(storeId)) orphans.push(group);
    this.#takeOver.begin(orphans);
  }

  #describe(groupId: number) {
    return (
      this.options.describeGroup?.(groupId) ?? {
        epoch: { confVer: 0, version: 0 },
        startKey: Buffer.alloc(0),
        endKey: Buffer.alloc(0),
      }
    );
  }

  #halt(): void {
    this.#state = "closed";
    this.#ticks.close();
    this.#takeOver.close();
    this.snapshotSchedule.close();
    this.#inbound.close();
    this.#sender.close();
    this.#receiver.close();
    this.#links.close();
  }

  #readTime(): void {
    this.nowMs = this.options.clock.monotonicMs();
    if (this.#ticks.isOverdue(this.nowMs)) this.#voidLeases();
  }

  /** Reads the time and runs a step, unless the host has stopped. */
  #runNow(step: () => void): void {
    if (this.#state !== "running") return;
    this.#guard(() => {
      this.#readTime();
      step();
    });
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
