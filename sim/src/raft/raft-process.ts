/** One store of a raft world: the real host, log and transport on a virtual disk, network and clock; can crash, come back, be lost. */
import {
  EMPTY_BYTES,
  InvariantError,
  readWholeFile,
  replaceFile,
  RheaError,
  silentLogger,
  type Disk,
  type Logger,
} from "@rhea/common";
import { createRaftHost, openLog, type HostLimits, type PeerInfo, type RaftHost, type RaftLog } from "@rhea/raft";
import type { ConfState } from "@rhea/raft";
import { createProcessTime, type EventQueue, type ProcessTime } from "../world/event-queue.js";
import type { SimRandom } from "../world/random.js";
import { createSimDisk, type SimDisk } from "../world/sim-disk.js";
import type { SimNet } from "../world/sim-net.js";
import type { ConsensusChecker } from "./consensus-checker.js";
import { emptyState, loadState, RegisterMachine, removeState, type RegisterState } from "./register-machine.js";
import { createLogAccount, type LogAccount } from "./watched-log.js";

/** How the hosts of a world are set. */
export interface ProcessShape {
  readonly limits: Partial<HostLimits>;
  readonly segmentBytes: number;
  readonly cacheBytes: number;
  /** Chance that a batch takes a while to apply. */
  readonly slowApplyRatio: number;
  readonly persistMs: readonly [from: number, to: number];
  /** Clocks run at 1 - drift to 1 + drift. */
  readonly driftRatio: number;
}

/** What all stores of a world share. */
export interface RaftSetting {
  readonly queue: EventQueue;
  readonly random: SimRandom;
  readonly net: SimNet;
  readonly checker: ConsensusChecker;
  readonly shape: ProcessShape;
  readonly logger: Logger | undefined;
  /** Groups of the first day, and their members. */
  readonly initialGroups: readonly { readonly groupId: number; readonly peers: readonly PeerInfo[] }[];
  addressOf(storeId: number): string | undefined;
  /** Plays PD at a boot: throws STALE_IDENTITY for a life below the newest seen. */
  register(storeId: number, incarnation: number): void;
  onLeader(store: RaftProcess, groupId: number, term: number): void;
  /** Entries of `firstTerm` and later were committed there. */
  onCommitted(store: RaftProcess, groupId: number, firstTerm: number): void;
  onMembers(store: RaftProcess, groupId: number, conf: ConfState, peers: readonly PeerInfo[], index: number): void;
  /** A snapshot's install became durable there, and is not carried out yet. */
  onInstall(store: RaftProcess): void;
  onAnswer(context: unknown): void;
  onDropped(context: unknown, error: RheaError): void;
  /** A refusal to start, or to go on, that damage on purpose explains. */
  onRefused(store: RaftProcess, error: RheaError): void;
  onViolation(error: Error): void;
  /** Something rare happened. */
  mark(name: string): void;
}

/** A store that can be killed and started again. */
export interface RaftProcess {
  readonly storeId: number;
  readonly node: string;
  readonly disk: SimDisk;
  readonly account: LogAccount;
  /** Undefined while down or starting. */
  readonly host: RaftHost | undefined;
  readonly log: RaftLog | undefined;
  readonly isUp: boolean;
  /** Counts starts. */
  readonly life: number;
  readonly machines: ReadonlyMap<number, RegisterMachine>;
  /** Its disk was damaged, replaced or set back on purpose: it may refuse, but must not lie. */
  isDamaged: boolean;
  /** Runs from an older image: nobody may listen to it, so that nothing it does counts. */
  isOutlaw: boolean;
  /** Refused for good: to be replaced. */
  isLost: boolean;
  /** Groups that may not start here. */
  readonly condemned: ReadonlySet<number>;
  /** Frames synced by the running process, and the size of its newest segment then; oldest first. */
  readonly syncedSizes: readonly { readonly syncs: number; readonly path: string; readonly bytes: number }[];
  start(): void;
  /** kill -9: what was written stays. */
  kill(): void;
  /** Power loss: what was not synced may be gone. */
  crash(): void;
  pause(durationMs: number): void;
  jumpWall(deltaMs: number): void;
  /** Ends the life of a group's peer here, which the configuration at `membershipIndex` does not have. */
  destroyPeer(groupId: number, membershipIndex: number): void;
}

/** A planned fault of the disk stops the process, as it should. */
function isPlannedFault(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause)
    if ("code" in at && (at.code === "EIO" || at.code === "ENOSPC")) return true;
  return false;
}

/** What damage on purpose explains. */
function isRefusal(error: unknown): boolean {
  const { code } = RheaError.from(error);
  return code === "CORRUPTION" || code === "DISK_LOST" || code === "STALE_IDENTITY";
}

/** Makes a store with an empty disk that is not started. */
export function createRaftProcess(setting: RaftSetting, storeId: number): RaftProcess {
  const { queue, random, net, checker, shape } = setting;
  const node = `s${storeId}`;
  const disk = createSimDisk(queue, random);
  const account = createLogAccount(storeId, checker);
  let time: ProcessTime | undefined;
  let processNet: ReturnType<SimNet["processNet"]> | undefined;
  let host: RaftHost | undefined;
  let log: RaftLog | undefined;
  let machines = new Map<number, RegisterMachine>();
  let condemned = new Set<number>();
  let syncedSizes: { syncs: number; path: string; bytes: number }[] = [];
  let wasBorn = false;
  let life = 0;

  const noteSize = (opened: RaftLog): void => {
    const path = disk.files().findLast((name) => name.startsWith("/log/") && name.endsWith(".wal"));
    if (path !== undefined) syncedSizes.push({ syncs: opened.stats().syncs, path, bytes: disk.sizeOf(path) });
    if (syncedSizes.length > 64) syncedSizes = syncedSizes.slice(-48);
  };

  /** Reads the identity, and begins a new life. */
  const beginLife = async (view: Disk): Promise<number> => {
    await view.mkdir("/id");
    const isThere = (await view.stat("/id/identity")) !== undefined;
    if (!isThere && wasBorn) throw new RheaError("DISK_LOST", `store ${storeId}: its identity is gone`);
    const before = isThere ? Number((await readWholeFile(view, "/id/identity")).toString()) : 0;
    const incarnation = before + 1;
    await replaceFile(view, "/id", "identity", Buffer.from(String(incarnation)));
    wasBorn = true;
    if (!process.isOutlaw) setting.register(storeId, incarnation);
    return incarnation;
  };

  const open = async (own: ProcessTime, network: NonNullable<typeof processNet>): Promise<void> => {
    const isOwn = (): boolean => time === own;
    const view = disk.view();
    const incarnation = await beginLife(view);
    for (const directory of ["/data", "/snapshots"]) await view.mkdir(directory);
    const logger = setting.logger ?? silentLogger;
    const opened = await openLog({
      disk: view,
      directory: "/log",
      clock: own.clock,
      logger,
      segmentBytes: shape.segmentBytes,
      cacheBytes: shape.cacheBytes,
      incarnation,
      onFailed: (error) => {
        fail(error, own);
      },
    });
    if (!isOwn()) return;
    const { isOutlaw } = process;
    if (disk.files().some((name) => name.endsWith(".cut"))) setting.mark("tornTailRecovered");
    if (!isOutlaw) account.open(opened, process.isDamaged);
    condemned = new Set();
    for (const { groupId, lifecycle } of opened.groups()) {
      if (lifecycle.state !== "condemned") continue;
      if (!process.isDamaged)
        throw new InvariantError(
          `store ${storeId}: group ${groupId} is condemned on a disk that nobody harmed: ${lifecycle.reason}`,
        );
      condemned.add(groupId);
      setting.mark("groupCondemned");
    }
    machines = new Map();
    const watched = isOutlaw
      ? opened
      : account.watch(
          opened,
          (groupId) => host?.group(groupId),
          () => {
            if (isOwn()) setting.onInstall(process);
          },
        );
    const created = createRaftHost({
      clusterId: 1,
      storeId,
      incarnation,
      bootNonce: random.bytes(16),
      featureLevel: 1,
      log: watched,
      disk: view,
      snapshotDirectory: "/snapshots",
      net: network.net,
      clock: own.clock,
      scheduler: own.scheduler,
      rng: random,
      logger,
      limits: shape.limits,
      resolveStore: (id) => setting.addressOf(id),
      // What a sender has applied stands for the membership that it knows.
      describeGroup: (groupId) => ({
        epoch: { confVer: machines.get(groupId)?.state.applied ?? 0, version: 1 },
        startKey: EMPTY_BYTES,
        endKey: EMPTY_BYTES,
      }),
      onUnknownPeer: ({ groupId, toPeer }) => {
        const peers: readonly PeerInfo[] = [];
        startGroup(own, view, created, groupId, emptyState(toPeer, confStateOf(peers), peers));
      },
      onFatal: (error) => {
        fail(error, own);
      },
      ...(isOutlaw ? {} : { observer: observer(opened, () => created) }),
    });
    log = watched;
    host = created;
    noteSize(opened);
    for (const { groupId, lifecycle } of opened.groups()) {
      if (lifecycle.state !== "live") continue;
      const stored = await loadState(view, groupId);
      if (!isOwn()) return;
      // The janitor may have destroyed it meanwhile.
      if (opened.group(groupId)?.lifecycle.state !== "live") continue;
      const state = stored?.peerId === lifecycle.peerId ? stored : initialState(groupId, lifecycle.peerId);
      try {
        startGroup(own, view, created, groupId, state);
      } catch (error) {
        if (!process.isDamaged || RheaError.from(error).code !== "CORRUPTION") throw error;
        condemned.add(groupId);
        setting.mark("groupCondemned");
      }
    }
    for (const { groupId, peers } of setting.initialGroups) {
      const mine = peers.find((peer) => peer.storeId === storeId);
      if (mine === undefined || opened.group(groupId) !== undefined) continue;
      startGroup(own, view, created, groupId, initialState(groupId, mine.peerId));
    }
    const server = network.net.createServer();
    created.addServices(server);
    await server.listen(setting.addressOf(storeId) ?? "");
    created.start();
  };

  const observer = (opened: RaftLog, running: () => RaftHost) => ({
    onLeader: (groupId: number, peerId: number, term: number): void => {
      checker.onLeader(groupId, peerId, term, (index) => {
        const group = opened.group(groupId);
        if (group === undefined || index <= group.truncatedIndex) return -1;
        return index > group.lastIndex ? 0 : group.term(index);
      });
      setting.onLeader(process, groupId, term);
    },
    onCommitted: (groupId: number, peerId: number, entries: Parameters<ConsensusChecker["onCommitted"]>[3]): void => {
      checker.onCommitted(groupId, peerId, running().group(groupId)?.term ?? Infinity, entries);
      setting.onCommitted(process, groupId, entries[0]?.term ?? 0);
      noteSize(opened);
    },
  });

  const startGroup = (own: ProcessTime, view: Disk, running: RaftHost, groupId: number, state: RegisterState): void => {
    const { isOutlaw } = process;
    const machine = new RegisterMachine(state, {
      groupId,
      disk: view,
      persistDelayMs: () => random.between(shape.persistMs[0], shape.persistMs[1]),
      applyDelayMs: () => (shape.slowApplyRatio > 0 && random.chance(shape.slowApplyRatio) ? random.between(1, 20) : 0),
      later: (delayMs, run) => void own.scheduler.setTimer(delayMs, run),
      onState: (index, hash) => {
        if (!isOutlaw) checker.onState(groupId, machine.state.peerId, index, hash);
      },
      onMembers: (conf, peers, index) => {
        if (!isOutlaw) setting.onMembers(process, groupId, conf, peers, index);
      },
      onAnswer: (context) => {
        setting.onAnswer(context);
      },
      onDropped: (context, error) => {
        setting.onDropped(context, error);
      },
      onSnapshotLoaded: () => {
        setting.mark("snapshotLoaded");
        if (machine.state.confState.votersOutgoing.length > 0) setting.mark("snapshotLoadedInJoint");
      },
      onError: (error) => {
        fail(error, own);
      },
      onDiskFailed: (error) => {
        fail(RheaError.from(error), own);
      },
    });
    const { applied, appliedTerm, confState, peers, peerId } = state;
    running.createGroup({ groupId, peerId, stateMachine: machine, applied, appliedTerm, confState, peers });
    machines.set(groupId, machine);
    // What a group's first peers begin after is applied by definition.
    machine.state.applied = Math.max(machine.state.applied, running.group(groupId)?.applied ?? 0);
    if (machine.state.applied === 1) machine.state.appliedTerm = 1;
  };

  const initialState = (groupId: number, peerId: number): RegisterState => {
    const peers = setting.initialGroups.find((group) => group.groupId === groupId)?.peers ?? [];
    const isFirst = peers.some((peer) => peer.peerId === peerId);
    return isFirst ? emptyState(peerId, confStateOf(peers), peers) : emptyState(peerId, confStateOf([]), []);
  };

  /** The process stops; whether that is a finding depends on why. */
  const fail = (error: RheaError, own: ProcessTime): void => {
    if (time !== own) return;
    if (isPlannedFault(error)) setting.mark("failStop");
    else if (process.isOutlaw) setting.mark("outlawStopped");
    else if (process.isDamaged && isRefusal(error)) setting.onRefused(process, error);
    else setting.onViolation(error);
    process.kill();
  };

  const end = (): void => {
    time?.kill();
    processNet?.kill();
    time = undefined;
    processNet = undefined;
    host = undefined;
    log = undefined;
    machines = new Map();
  };

  const process: RaftProcess = {
    storeId,
    node,
    disk,
    account,
    isDamaged: false,
    isOutlaw: false,
    isLost: false,
    get host() {
      return host;
    },
    get log() {
      return log;
    },
    get isUp() {
      return time !== undefined;
    },
    get life() {
      return life;
    },
    get machines() {
      return machines;
    },
    get condemned() {
      return condemned;
    },
    get syncedSizes() {
      return syncedSizes;
    },
    start() {
      if (time !== undefined || process.isLost) return;
      const own = createProcessTime(queue, {
        rate: 1 - shape.driftRatio + random.fraction() * 2 * shape.driftRatio,
        wallOffsetMs: random.between(-5_000, 5_000),
      });
      const network = net.processNet(node);
      time = own;
      life++;
      processNet = network;
      open(own, network).catch((error: unknown) => {
        fail(RheaError.from(error), own);
      });
    },
    kill() {
      if (time === undefined) return;
      end();
      disk.detach();
    },
    crash() {
      if (time === undefined) return;
      end();
      disk.crash();
    },
    pause: (durationMs) => time?.pause(durationMs),
    jumpWall: (deltaMs) => time?.jumpWall(deltaMs),
    destroyPeer(groupId, membershipIndex) {
      const own = time;
      const view = disk.view();
      if (own === undefined || host === undefined) return;
      machines.delete(groupId);
      condemned.delete(groupId);
      host
        .destroyGroup(groupId, { confVer: membershipIndex, version: 1 })
        .then(() => removeState(view, groupId))
        .catch((error: unknown) => {
          fail(RheaError.from(error), own);
        });
    },
  };
  return process;
}

/** Returns the configuration of a list of members. */
export function confStateOf(peers: readonly PeerInfo[]): ConfState {
  const ids = (role: PeerInfo["role"]): number[] =>
    peers.filter((peer) => peer.role === role).map(({ peerId }) => peerId);
  return { voters: ids("voter"), learners: ids("learner"), votersOutgoing: [], learnersNext: [], autoLeave: false };
}
