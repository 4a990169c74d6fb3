/** The process that benchmarks of raft fork: one raft host, told what to do by its parent. Not a command of its own. */
import { RheaError } from "@rhea/common";
import type { CommittedEntry, RaftNode } from "@rhea/raft";
import { Latencies } from "./raft/latencies.js";
import type { LoadAnswer, LoadRequest, MemberCalls, MemberMessage, MemberRequest } from "./raft/member-calls.js";
import { openHost, type MemberHost } from "./raft/member-host.js";

const FIRST_LOOK_MS = 20;

let member: MemberHost | undefined;
/** Takes the applied entries of the group under load. */
let onApplied: ((entries: readonly CommittedEntry[]) => void) | undefined;

function say(message: MemberMessage): void {
  process.send?.(message);
}

function opened(): MemberHost {
  if (member === undefined) throw new RheaError("INVALID_ARGUMENT", "the member is not open yet");
  return member;
}

function nodeOf(group: number): RaftNode {
  const node = opened().host.group(group);
  if (node === undefined) throw new RheaError("NOT_FOUND", `group ${group} is not here`);
  return node;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** One of the proposals that are always on their way. */
interface Slot {
  readonly data: Buffer;
  sentMs: number;
}

/** Keeps `outstanding` proposals on their way: whenever one is applied, the next is made. */
async function propose(request: LoadRequest): Promise<LoadAnswer> {
  const { group, outstanding, seconds, valueBytes } = request;
  const node = nodeOf(group);
  const latencies = new Latencies();
  const beginMs = performance.now();
  let endMs = beginMs + seconds * 1_000;
  let open = 0;
  await new Promise<void>((resolve, reject) => {
    const send = (slot: Slot, nowMs: number): void => {
      slot.sentMs = nowMs;
      node.apply({ data: slot.data, context: slot });
    };
    onApplied = (entries) => {
      const nowMs = performance.now();
      try {
        for (const { context } of entries) {
          if (context === undefined) continue;
          const slot = context as Slot;
          latencies.add(nowMs - slot.sentMs);
          if (nowMs < endMs) send(slot, nowMs);
          else open--;
        }
      } catch (error) {
        endMs = 0;
        reject(RheaError.from(error));
        return;
      }
      if (open === 0) resolve();
    };
    for (let i = 0; i < outstanding; i++) {
      send({ data: Buffer.alloc(valueBytes, i), sentMs: 0 }, beginMs);
      open++;
    }
  });
  onApplied = undefined;
  return answer(latencies, beginMs);
}

/** Runs `outstanding` loops that each wait for a ReadIndex and begin the next. */
async function read({ group, outstanding, seconds }: LoadRequest): Promise<LoadAnswer> {
  const node = nodeOf(group);
  const latencies = new Latencies();
  const beginMs = performance.now();
  const endMs = beginMs + seconds * 1_000;
  const loop = async (): Promise<void> => {
    for (let startMs = beginMs; startMs < endMs;) {
      await node.readIndex();
      const nowMs = performance.now();
      latencies.add(nowMs - startMs);
      startMs = nowMs;
    }
  };
  await Promise.all(Array.from({ length: outstanding }, loop));
  return answer(latencies, beginMs);
}

function answer(latencies: Latencies, beginMs: number): LoadAnswer {
  return {
    operations: latencies.count,
    seconds: (performance.now() - beginMs) / 1_000,
    p50Ms: latencies.quantile(0.5),
    p99Ms: latencies.quantile(0.99),
  };
}

const calls: MemberCalls = {
  async open(request) {
    member = await openHost(request, {
      onApply: (_group, entries) => onApplied?.(entries),
      onLeading: (group, term) => {
        say({ kind: "leading", group, term });
      },
    });
    return { address: member.address };
  },
  connect(addresses) {
    opened().connect(addresses);
    return Promise.resolve();
  },
  createGroups(request) {
    opened().createGroups(request);
    return Promise.resolve();
  },
  campaign(request) {
    opened().campaign(request);
    return Promise.resolve();
  },
  async lead(group) {
    const node = nodeOf(group);
    while (!node.isLeader) {
      if (node.leaderId === 0) node.campaign();
      await sleep(FIRST_LOOK_MS);
    }
    await node.readIndex();
  },
  propose,
  read,
  usage() {
    const { host, log } = opened();
    const { user, system } = process.cpuUsage();
    const { turns, messagesSent, readIndexRounds, leaders } = host.stats();
    const { syncs, syncSeconds } = log.stats();
    const cpuMicroseconds = user + system;
    return Promise.resolve({
      cpuMicroseconds,
      turns,
      syncs,
      syncSeconds,
      messagesSent,
      readRounds: readIndexRounds,
      leaders,
    });
  },
  group(group) {
    const { leader, lastIndex, applied } = nodeOf(group).status();
    return Promise.resolve({ leader, lastIndex, applied });
  },
  close: () => opened().close(),
};

process.on("message", ({ id, call, argument }: MemberRequest) => {
  const run = calls[call] as (argument: unknown) => Promise<unknown>;
  Promise.resolve()
    .then(() => run(argument))
    .then(
      (result) => {
        say({ kind: "answer", id, result });
      },
      (error: unknown) => {
        say({ kind: "error", id, message: RheaError.from(error).message });
      },
    );
});
process.on("disconnect", () => process.exit(0));
