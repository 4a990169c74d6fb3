/**
 * One seed, one run of consensus alone: hosts with their log, snapshots and transport, a small replicated state, clients and a nemesis, all
 * on virtual time. First chaos; then everything heals, and the world must elect, commit, and be equal byte for byte.
 */
import { InvariantError, RheaError, type Logger } from "@rhea/common";
import {
  appendListModel,
  checkLinearizable,
  createHistory,
  type AppendListOp,
  type AppendListResult,
} from "@rhea/history";
import { RaftMethods, type RaftBatchInit, type RaftBatchReplyInit } from "@rhea/proto";
import type { PeerInfo } from "@rhea/raft";
import { createEventQueue, createProcessTime } from "../world/event-queue.js";
import { createRandom } from "../world/random.js";
import { createSimNet } from "../world/sim-net.js";
import { createWalls } from "../world/walls.js";
import { createConsensusChecker } from "./consensus-checker.js";
import { banish } from "./disk-harm.js";
import { createFigureEightScene } from "./figure-eight-scene.js";
import { shapeWorld, type Flavour } from "./flavours.js";
import { createJanitor } from "./raft-janitor.js";
import { createRaftClients } from "./raft-clients.js";
import { createRaftNemesis } from "./raft-nemesis.js";
import { judgeListOrder } from "./list-order.js";
import { confStateOf, createRaftProcess, type RaftProcess, type RaftSetting } from "./raft-process.js";
import { whatIsMissing } from "./raft-convergence.js";

/** How one world is run. */
export interface RaftWorldOptions {
  /** Default: by the seed. */
  readonly flavour?: Flavour;
  /** Gets what the stores log; default: nobody. */
  readonly logger?: Logger;
}

/** What a run did. */
export interface RaftWorldReport {
  readonly seed: number;
  readonly flavour: Flavour;
  /** Why it failed, or undefined. */
  readonly failure: string | undefined;
  readonly virtualMs: number;
  readonly events: number;
  readonly operations: number;
  readonly completed: number;
  /** How often each fault was done and each rare case seen. */
  readonly marks: Readonly<Record<string, number>>;
  /** Digest of all that happened: equal seeds give equal traces. */
  readonly trace: string;
}

const HEAL_LIMIT_MS = 20_000;
const STEP_MS = 50;
/** A history whose general check needs more is left to the check against the final lists: many appends are open. */
const MAX_CHECK_STEPS = 10_000;
/** On the wire: see the host's message codec. */
const APPEND_RESPONSE = 4;
const VOTE_RESPONSE = 6;

/** Runs one world to its end. Never throws for a finding: the report has it. */
export async function runRaftWorld(seed: number, options: RaftWorldOptions = {}): Promise<RaftWorldReport> {
  const random = createRandom(seed);
  const queue = createEventQueue();
  const net = createSimNet(queue, random);
  const walls = createWalls(net);
  const checker = createConsensusChecker();
  const shape = shapeWorld(random, options.flavour);
  const violations: Error[] = [];
  const marks: Record<string, number> = {};
  const mark = (name: string): void => {
    marks[name] = (marks[name] ?? 0) + 1;
  };
  Object.assign(net.faults, { unreliable: [RaftMethods.Messages.path], ghostRatio: shape.ghostRatio });

  const ports = new Map<number, number>();
  let lastStoreId = 0;
  let lastPeerId = 100;
  const newPeerId = (): number => ++lastPeerId;
  const groups = Array.from({ length: shape.groups }, (_, i) => i + 1);
  const initialGroups = groups.map((groupId) => {
    const storeIds = Array.from({ length: shape.hosts }, (_, i) => i + 1);
    const peers = Array.from({ length: shape.replicas }, (): PeerInfo => {
      const [storeId = 0] = storeIds.splice(random.int(storeIds.length), 1);
      return { peerId: newPeerId(), storeId, role: "voter" };
    });
    return { groupId, peers };
  });

  let stores: RaftProcess[] = [];
  const allStores = (): readonly RaftProcess[] => stores;
  const met = new Set<string>();
  const meeting = (store: RaftProcess, other: RaftProcess): string =>
    `${store.storeId}.${store.life}/${other.storeId}.${other.life}`;
  const hasMet = (store: RaftProcess, other: RaftProcess): boolean => met.has(meeting(store, other));
  const history = createHistory<AppendListOp, AppendListResult>(
    createProcessTime(queue, { rate: 1, wallOffsetMs: 0 }).clock,
  );
  const clients = createRaftClients({
    ...{ queue, random, history, groups, mark, stores: allStores },
    ...shape.clients,
  });
  const setting: RaftSetting = {
    ...{ queue, random, net, checker, mark, initialGroups },
    shape: shape.process,
    logger: options.logger,
    addressOf: (storeId) => `s${storeId}:${ports.get(storeId) ?? 7410}`,
    register: (storeId, incarnation) => {
      janitor.register(storeId, incarnation);
    },
    onLeader: (store, groupId, term) => {
      mark("elected");
      scene.onLeader(store, groupId, term);
      if (nemesis.isActive && random.chance(shape.cutNewLeaderRatio)) {
        mark("newLeaderCut");
        nemesis.cutOff(store, 50, 500);
      }
    },
    onCommitted: (store, groupId, firstTerm) => {
      scene.onCommitted(store, groupId, firstTerm);
    },
    onMembers: (store, groupId, conf, peers, index) => {
      janitor.onMembers(groupId, conf, peers, index);
      if (conf.votersOutgoing.length === 0) return;
      mark("jointEntered");
      const isLeader = store.host?.group(groupId)?.isLeader === true;
      if (!isLeader || !nemesis.isActive || !random.chance(0.5)) return;
      mark("leaderStruckInJoint");
      if (random.chance(0.5)) {
        // The new half is on its own with the leader: before the others hear that the change is committed.
        const isNew = ({ peerId }: PeerInfo): boolean => !conf.votersOutgoing.includes(peerId);
        nemesis.divide([store.node, ...peers.filter(isNew).map(({ storeId }) => `s${storeId}`)], 150, 500);
        return;
      }
      queue.plan(random.fraction() ** 2 * 20, () => {
        if (random.chance(0.3)) nemesis.cutOff(store, 100, 500);
        else if (store.isUp && !store.isOutlaw) nemesis.strike(store, random.chance(0.5) ? "kill" : "crash");
      });
    },
    onInstall: (store) => {
      if (!nemesis.isActive || !random.chance(shape.crashAtInstallRatio)) return;
      const { life } = store;
      queue.plan(random.fraction() ** 2 * 3, () => {
        if (store.life !== life || !store.isUp || store.isOutlaw) return;
        mark("crashAtInstall");
        nemesis.strike(store, "crashNow");
      });
    },
    onAnswer: (context) => {
      clients.onAnswer(context);
    },
    onDropped: (context, error) => {
      clients.onDropped(context, error);
    },
    onRefused: (store, error) => {
      mark(`refused ${error.code}`);
      store.isLost = true;
    },
    onViolation: (error) => void violations.push(error),
  };
  const addStore = (): RaftProcess => createRaftProcess(setting, ++lastStoreId);
  const janitor = createJanitor({
    ...{ groups, newPeerId, mark, stores: allStores },
    replicas: shape.replicas,
    nowMs: () => queue.nowMs,
    replace: (lost) => {
      const fresh = addStore();
      stores = stores.map((store) => (store === lost ? fresh : store));
      fresh.start();
    },
  });
  const nemesis = createRaftNemesis({
    ...{ queue, random, net, walls, janitor, groups, hasMet, newPeerId, mark },
    stores: allStores,
    weights: shape.weights,
    restMs: shape.restMs,
    move: (storeId) => {
      ports.set(storeId, (ports.get(storeId) ?? 7410) + 1);
    },
  });
  const scene = createFigureEightScene({ queue, random, walls, stores: allStores, mark });

  const judge = (run: () => void): void => {
    try {
      run();
    } catch (error) {
      violations.push(RheaError.from(error));
    }
  };
  net.tap = (from, to, path, message, isAnswer) => {
    if (path !== RaftMethods.Messages.path) return;
    const sender = stores.find(({ node }) => node === from);
    if (sender === undefined || sender.isOutlaw) return;
    if (isAnswer) {
      const asker = stores.find(({ node }) => node === to);
      const { handshake } = message as RaftBatchReplyInit;
      if (handshake === undefined || handshake === null || asker === undefined) return;
      if (asker.isOutlaw && hasMetNewer(sender, asker))
        violations.push(new InvariantError(`stale identity: ${from} accepts ${to}, which runs from an older image`));
      met.add(meeting(sender, asker));
      return;
    }
    judge(() => {
      for (const { type, groupId = 0, fromPeer = 0, toPeer = 0, reject, index = 0, term = 0 } of (
        message as RaftBatchInit
      ).messages ?? []) {
        if (reject === true) continue;
        if (type === APPEND_RESPONSE) sender.account.checkAck(groupId, fromPeer, term, index);
        else if (type === VOTE_RESPONSE) sender.account.checkVote(groupId, fromPeer, term, toPeer);
      }
    });
  };
  /** The life before the outlaw's was met by the present life of the other. */
  const hasMetNewer = (store: RaftProcess, outlaw: RaftProcess): boolean =>
    met.has(`${store.storeId}.${store.life}/${outlaw.storeId}.${outlaw.life - 1}`);

  let swept = 0;
  let isHealing = false;
  const afterEach = (): void => {
    const outlaw = stores.find((store) => store.isOutlaw);
    if (outlaw !== undefined && stores.some((store) => !store.isUp && store !== outlaw)) banish(outlaw);
    const due = Math.floor(queue.nowMs / 60);
    if (due === swept) return;
    swept = due;
    janitor.sweep(isHealing);
  };
  const finalList = (key: string): readonly string[] => {
    const [groupId = "", name = ""] = key.split("/");
    const leader = stores.find((store) => store.host?.group(Number(groupId))?.isLeader === true);
    return leader?.machines.get(Number(groupId))?.read(name) ?? [];
  };
  const step = async (ms: number): Promise<boolean> => {
    await queue.runUntil(queue.nowMs + ms, afterEach);
    return violations.length === 0;
  };

  for (const { groupId, peers } of initialGroups) janitor.onMembers(groupId, confStateOf(peers), peers, 0);
  for (let i = 0; i < shape.hosts; i++) stores.push(addStore());
  for (const store of stores) store.start();
  let isSound = await step(400);
  clients.start();
  nemesis.start();
  const chaosEndMs = queue.nowMs + shape.chaosMs;
  let nextSceneMs = queue.nowMs + random.between(100, 600);
  while (isSound && queue.nowMs < chaosEndMs) {
    isSound = await step(STEP_MS);
    if (shape.scenes && queue.nowMs >= nextSceneMs && !scene.isRunning) {
      nextSceneMs = queue.nowMs + random.between(50, 400);
      scene.begin(random.pick(groups));
    }
  }
  scene.end();
  nemesis.stop();
  clients.stop();
  isHealing = true;
  const healedMs = queue.nowMs;
  while (isSound) {
    isSound = await step(STEP_MS);
    if (!isSound) break;
    const missing =
      clients.waiting > 0
        ? `${clients.waiting} clients wait`
        : janitor.isTidy
          ? whatIsMissing(stores, groups, janitor)
          : `something lost is not replaced: ${janitor.describe()}`;
    if (missing === undefined) break;
    if (queue.nowMs > healedMs + HEAL_LIMIT_MS) {
      violations.push(new InvariantError(`did not converge within ${HEAL_LIMIT_MS} ms of healing: ${missing}`));
      break;
    }
  }
  if (net.ghosts > 0) marks["ghost"] = net.ghosts;
  if (violations.length === 0) {
    const disorder = judgeListOrder(history.operations(), finalList);
    if (disorder !== undefined) violations.push(new InvariantError(`not linearizable: ${disorder}`));
    const verdict = checkLinearizable(history, appendListModel(), { maxStepsPerKey: MAX_CHECK_STEPS });
    if (!verdict.ok && verdict.kind === "undecided") mark("historyTooOpen");
    else if (!verdict.ok)
      violations.push(new InvariantError(`not linearizable (${verdict.kind}): key ${verdict.key}\n${verdict.witness}`));
  }
  for (const store of stores) store.kill();
  const { completed } = clients;
  return {
    seed,
    flavour: shape.flavour,
    failure: violations[0]?.message,
    virtualMs: Math.round(queue.nowMs),
    events: queue.count,
    operations: history.operations().length,
    completed,
    marks,
    trace: `${queue.count}/${net.delivered}/${checker.checked}/${completed}/${net.digest}`,
  };
}
