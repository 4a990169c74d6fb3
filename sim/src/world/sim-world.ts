/**
 * One seed, one run: stores, clients and a nemesis on virtual time. First chaos, then everything heals and the world must
 * elect, answer and converge; at the end the clients' history must be linearizable.
 */
import { InvariantError, RheaError } from "@rhea/common";
import { createClient, type RheaClient } from "@rhea/client";
import {
  checkLinearizable,
  createHistory,
  registerModel,
  runRegisterOp,
  type RegisterOp,
  type RegisterResult,
} from "@rhea/history";
import { RaftMethods } from "@rhea/proto";
import type { HostLimits } from "@rhea/raft";
import { createEventQueue, createProcessTime } from "./event-queue.js";
import { createNemesis } from "./nemesis.js";
import { createRandom, type SimRandom } from "./random.js";
import { createSafetyChecker } from "./safety.js";
import { retireRemovedPeers } from "./janitor.js";
import { checkWorld, compareReplicas, isConverged } from "./world-checks.js";
import { createSimNet } from "./sim-net.js";
import { createSimStore, type SimStore } from "./sim-store.js";

/** How long and how hard. */
export interface WorldOptions {
  /** Virtual ms of chaos; default 10,000. */
  readonly chaosMs?: number;
  /** Operations the clients begin at least; default 1,000. */
  readonly operations?: number;
}

/** What a run did. */
export interface WorldReport {
  readonly seed: number;
  /** Why it failed, or undefined. */
  readonly failure: string | undefined;
  readonly virtualMs: number;
  readonly events: number;
  readonly operations: number;
  readonly completed: number;
  /** How often each fault was done: crash, partition, membership, ... */
  readonly faults: Readonly<Record<string, number>>;
  /** Digest of all that happened: equal seeds give equal traces. */
  readonly trace: string;
}

const STORES = 4;
const CLIENTS = 12;
const KEYS = 24;
const FIRST_REGION = 2;
const HEAL_LIMIT_MS = 60_000;
/** Slow worlds and unlucky nemeses get this much longer. */
const CHAOS_LIMIT_MS = 60_000;

/** Runs one world to its end. Never throws for a finding: the report has it. */
export async function runWorld(seed: number, options: WorldOptions = {}): Promise<WorldReport> {
  const random = createRandom(seed);
  const queue = createEventQueue();
  const net = createSimNet(queue, random);
  net.faults.unreliable = [RaftMethods.Messages.path];
  const safety = createSafetyChecker();
  const violations: Error[] = [];
  const addressOf = (storeId: number): string => `s${storeId}:7410`;
  const stores: SimStore[] = [];
  // A third of the worlds are stormy: leaders last for milliseconds.
  const isStormy = random.chance(0.33);
  const limits = isStormy ? QUICK : pickLimits(random);
  const pauseMs = isStormy ? 15 : 50;
  const setting = {
    queue,
    random,
    net,
    safety,
    addressOf,
    storeBook: () => stores.map(({ storeId }) => ({ storeId, name: `s${storeId}`, address: addressOf(storeId) })),
    raft: limits,
    onLeader: (storeId: number, groupId: number, term: number): void => {
      nemesis.onLeader(storeId, groupId, term);
    },
    onCommitted: (storeId: number, groupId: number, term: number): void => {
      nemesis.onCommitted(storeId, groupId, term);
    },
    initialRegions: [
      {
        regionId: FIRST_REGION,
        startKey: Buffer.alloc(0),
        endKey: Buffer.alloc(0),
        voters: [1, 2, 3].map((storeId) => ({ storeId, peerId: 10 + storeId })),
      },
    ],
    onViolation: (error: RheaError) => void violations.push(error),
  };
  for (let storeId = 1; storeId <= STORES; storeId++) stores.push(createSimStore(setting, storeId));
  const nemesis = createNemesis({ queue, random, net, stores, isStormy });
  for (const store of stores) store.start();

  const wall = createProcessTime(queue, { rate: 1, wallOffsetMs: 0 });
  const history = createHistory<RegisterOp, RegisterResult>(wall.clock);
  const chaosMs = options.chaosMs ?? 10_000;
  const wanted = options.operations ?? 1_000;
  let completed = 0;
  let isStopping = false;
  let running = 0;

  const runOne = async (client: RheaClient, name: string, serial: number): Promise<void> => {
    const key = `k${random.int(KEYS)}`;
    const value = `${name}-${serial}`;
    const dice = random.int(10);
    const op: RegisterOp =
      dice < 3
        ? { kind: "get", key }
        : dice < 7
          ? { kind: "put", key, value }
          : dice < 8
            ? { kind: "delete", key }
            : dice < 9
              ? { kind: "putIfAbsent", key, value }
              : { kind: "cas", key, expected: null, value };
    const id = history.invoke(name, op);
    try {
      const result = await runRegisterOp(client, op);
      completed++;
      history.complete(id, result);
    } catch (thrown) {
      // Outcome unknown unless the client is certain; reads have no effect either way.
      if (!(thrown instanceof RheaError)) throw thrown;
      if (op.kind === "get" || thrown.details.maybeApplied === false) history.fail(id);
    }
  };
  const clients: RheaClient[] = [];
  for (let i = 0; i < CLIENTS; i++) {
    const name = `c${i}`;
    const time = createProcessTime(queue, { rate: 1, wallOffsetMs: random.between(-1000, 1000) });
    const client = createClient(
      { stores: stores.map((store) => addressOf(store.storeId)), timeoutMs: 4_000, attemptTimeoutMs: 800 },
      { net: net.processNet(name).net, clock: time.clock, scheduler: time.scheduler, rng: random },
    );
    clients.push(client);
    let serial = 0;
    const next = (): void => {
      if (isStopping) {
        running--;
        return;
      }
      runOne(client, name, serial++).then(
        () => {
          // Once there are enough operations, time is for the faults.
          const calm = history.operations().length < wanted ? 2 : 6;
          time.scheduler.setTimer(random.fraction() * calm * pauseMs, next);
        },
        (error: unknown) => {
          violations.push(error instanceof Error ? error : new Error(String(error)));
        },
      );
    };
    running++;
    time.scheduler.setTimer(random.int(pauseMs), next);
  }

  const fail = (): string | undefined => violations[0]?.message;
  let checkedSecond = 0;
  const afterEach = (): void => {
    const second = Math.floor(queue.nowMs / 1000);
    if (second === checkedSecond) return;
    checkedSecond = second;
    try {
      checkWorld(stores);
      retireRemovedPeers(stores);
    } catch (error) {
      violations.push(RheaError.from(error));
    }
  };
  const step = async (ms: number): Promise<boolean> => {
    await queue.runUntil(queue.nowMs + ms, afterEach);
    return violations.length === 0;
  };

  const startedMs = queue.nowMs;
  let isSound = await step(1_500);
  nemesis.start();
  const isEnough = (): boolean =>
    queue.nowMs >= startedMs + chaosMs && history.operations().length >= wanted && nemesis.hasDoneItsDuty;
  while (isSound && !isEnough()) {
    isSound = await step(250);
    if (queue.nowMs > startedMs + chaosMs + CHAOS_LIMIT_MS)
      violations.push(
        new InvariantError(
          `after ${CHAOS_LIMIT_MS} ms more of chaos: ${history.operations().length} operations, faults ${JSON.stringify(nemesis.counts)}`,
        ),
      );
  }
  nemesis.stop();
  isStopping = true;
  const healedMs = queue.nowMs;
  while (isSound) {
    isSound = await step(250);
    const lastWords = running > 0 ? `${running} clients have not finished` : isConverged(stores);
    if (lastWords === "") break;
    if (queue.nowMs > healedMs + HEAL_LIMIT_MS) {
      violations.push(new InvariantError(`did not converge within ${HEAL_LIMIT_MS} ms of healing: ${lastWords}`));
      break;
    }
  }
  if (violations.length === 0) {
    const compared = compareReplicas(stores).catch((error: unknown) => void violations.push(RheaError.from(error)));
    await queue.runUntil(queue.nowMs + 2_000);
    await compared;
    const verdict = checkLinearizable(history, registerModel);
    if (!verdict.ok) violations.push(new InvariantError(`not linearizable: key ${verdict.key}\n${verdict.witness}`));
  }
  for (const client of clients) await client.close();
  for (const store of stores) store.kill();
  return {
    seed,
    failure: fail(),
    virtualMs: Math.round(queue.nowMs),
    events: queue.count,
    operations: history.operations().length,
    completed,
    faults: nemesis.counts,
    trace: `${queue.count}/${net.delivered}/${safety.checked}/${completed}/${net.digest}`,
  };
}

/** Short timeouts and one entry per message: many terms, and logs that differ in small steps. */
const QUICK: Partial<HostLimits> = { tickMs: 25, electionTicks: 6, heartbeatTicks: 2, maxMessageBytes: 1 };

function pickLimits(random: SimRandom): Partial<HostLimits> {
  return random.chance(0.3) ? QUICK : { maxMessageBytes: random.chance(0.5) ? 4096 : 1 << 20 };
}
