/** Clients of a raft world: append to lists and read them, wherever they find somebody who takes the call. */
import { RheaError } from "@rhea/common";
import type { AppendListOp, AppendListResult, History } from "@rhea/history";
import type { EventQueue } from "../world/event-queue.js";
import type { SimRandom } from "../world/random.js";
import type { RaftProcess } from "./raft-process.js";

/** What clients need. */
export interface ClientSetting {
  readonly queue: EventQueue;
  readonly random: SimRandom;
  readonly history: History<AppendListOp, AppendListResult>;
  readonly groups: readonly number[];
  readonly clients: number;
  readonly keysPerGroup: number;
  /** Virtual ms between two operations of one client, at most. */
  readonly pauseMs: number;
  readonly readRatio: number;
  stores(): readonly RaftProcess[];
  mark(name: string): void;
}

/** The clients of a world. */
export interface RaftClients {
  start(): void;
  /** No new operations; those under way end by themselves. */
  stop(): void;
  readonly completed: number;
  /** Clients that wait for an answer. */
  readonly waiting: number;
  /** An entry proposed with this context was applied where it was proposed. */
  onAnswer(context: unknown): void;
  onDropped(context: unknown, error: RheaError): void;
}

/** After this a client gives an operation up; its outcome stays open. */
const TIMEOUT_MS = 700;

interface Call {
  readonly id: number;
  isOver: boolean;
  readonly end: () => void;
}

/** Makes clients that are not started. */
export function createRaftClients(setting: ClientSetting): RaftClients {
  const { queue, random, history, groups } = setting;
  let isStopped = true;
  let completed = 0;
  let waiting = 0;
  let serial = 0;

  const finish = (call: Call, outcome: { readonly result: AppendListResult } | "failed" | "open"): void => {
    if (call.isOver) return;
    call.isOver = true;
    waiting--;
    if (outcome === "failed") history.fail(call.id);
    else if (outcome !== "open") {
      completed++;
      history.complete(call.id, outcome.result);
    }
    call.end();
  };
  const begin = (name: string, op: AppendListOp, end: () => void): Call => {
    const call: Call = { id: history.invoke(name, op), isOver: false, end };
    waiting++;
    queue.plan(TIMEOUT_MS, () => {
      finish(call, "open");
    });
    return call;
  };

  const append = (name: string, groupId: number, key: string, end: () => void): void => {
    const leaders = setting.stores().filter((store) => store.host?.group(groupId)?.isLeader === true);
    const at = leaders.length === 0 ? undefined : random.pick(leaders);
    const item = `${name}.${++serial}`;
    const call = begin(name, { kind: "append", key: `${groupId}/${key}`, item }, end);
    const node = at?.host?.group(groupId);
    if (node === undefined) {
      finish(call, "failed");
      return;
    }
    try {
      node.apply({ data: Buffer.from(`${key} ${item}`, "latin1"), context: call });
    } catch (error) {
      if (!(error instanceof RheaError)) throw error;
      finish(call, "failed");
    }
  };

  const read = (name: string, groupId: number, key: string, end: () => void): void => {
    const call = begin(name, { kind: "read", key: `${groupId}/${key}` }, end);
    const able = setting.stores().filter((store) => store.machines.has(groupId));
    const leading = able.filter((store) => store.host?.group(groupId)?.isLeader === true);
    const from = leading.length > 0 && random.chance(0.6) ? leading : able;
    const at = from.length === 0 ? undefined : random.pick(from);
    const machine = at?.machines.get(groupId);
    const node = at?.host?.group(groupId);
    if (node === undefined || machine === undefined) {
      finish(call, "failed");
      return;
    }
    node.readIndex().then(
      () => {
        if (at?.machines.get(groupId) === machine) finish(call, { result: [...machine.read(key)] });
      },
      () => {
        setting.mark("readRefused");
        finish(call, "failed");
      },
    );
  };

  const run = (name: string): void => {
    const again = (): void => {
      queue.plan(random.fraction() * setting.pauseMs, () => {
        if (isStopped) return;
        const groupId = random.pick(groups);
        const key = `k${random.int(setting.keysPerGroup)}`;
        if (random.chance(setting.readRatio)) read(name, groupId, key, again);
        else append(name, groupId, key, again);
      });
    };
    again();
  };

  return {
    get completed() {
      return completed;
    },
    get waiting() {
      return waiting;
    },
    start() {
      if (!isStopped) return;
      isStopped = false;
      for (let i = 1; i <= setting.clients; i++) run(`c${i}`);
    },
    stop() {
      isStopped = true;
    },
    onAnswer(context) {
      finish(context as Call, { result: null });
    },
    onDropped(context, error) {
      finish(context as Call, error.details.maybeApplied === true ? "open" : "failed");
    },
  };
}
