/** The host of a member: a real log, real gRPC on loopback, state machines that count. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RheaError, RpcServer } from "@rhea/common";
import { createLogger, grpcNet, nodeClock, nodeDisk, nodeRng, nodeScheduler } from "@rhea/common/env-node";
import {
  createRaftHost,
  openLog,
  type CommittedEntry,
  type ConfState,
  type PeerInfo,
  type RaftHost,
  type RaftLog,
  type SavedSnapshot,
  type SnapshotFiles,
  type StateMachine,
} from "@rhea/raft";
import type { Addresses, GroupsRequest, OpenRequest } from "./member-calls.js";

/** The peer of a group on a store. */
function peerIdOf(group: number, storeId: number): number {
  return 10 * group + storeId;
}

/** What a member hears of its groups. */
export interface MemberEvents {
  onApply(group: number, entries: readonly CommittedEntry[]): void;
  onLeading(group: number, term: number): void;
}

/** A running host. */
export interface MemberHost {
  readonly host: RaftHost;
  readonly log: RaftLog;
  readonly address: string;
  connect(addresses: Addresses): void;
  createGroups(request: GroupsRequest): void;
  campaign(request: GroupsRequest): void;
  close(): Promise<void>;
}

function fatal(error: RheaError): void {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}

/** Opens the log, listens on a free port and starts the host. */
export async function openHost(request: OpenRequest, events: MemberEvents): Promise<MemberHost> {
  const { storeId, incarnation, directory } = request;
  mkdirSync(directory, { recursive: true });
  const logger = createLogger({ name: `store-${storeId}`, level: "error" });
  const log = await openLog({
    disk: nodeDisk,
    directory: join(directory, "log"),
    clock: nodeClock,
    logger,
    incarnation,
    onFailed: fatal,
  });
  const addresses = new Map<number, string>();
  const net = grpcNet();
  const host = createRaftHost({
    clusterId: 1,
    storeId,
    incarnation,
    bootNonce: nodeRng.bytes(16),
    featureLevel: 1,
    log,
    disk: nodeDisk,
    snapshotDirectory: join(directory, "snapshots"),
    net,
    clock: nodeClock,
    scheduler: nodeScheduler,
    rng: nodeRng,
    logger,
    resolveStore: (id) => addresses.get(id),
    onFatal: fatal,
  });
  const server: RpcServer = net.createServer();
  host.addServices(server);
  const address = await server.listen("127.0.0.1:0");
  host.start();
  return {
    host,
    log,
    address,
    connect: (given) => {
      for (const [id, at] of given) addresses.set(id, at);
    },
    createGroups: (groups) => {
      createGroups(host, log, storeId, groups, events);
    },
    campaign: ({ firstGroup, count, stores }) => {
      for (let groupId = firstGroup; groupId < firstGroup + count; groupId++)
        if (stores[groupId % stores.length] === storeId) host.group(groupId)?.campaign();
    },
    close: async () => {
      await host.close();
      await server.close(0);
      await log.close();
    },
  };
}

function createGroups(
  host: RaftHost,
  log: RaftLog,
  storeId: number,
  { firstGroup, count, stores }: GroupsRequest,
  events: MemberEvents,
): void {
  for (let groupId = firstGroup; groupId < firstGroup + count; groupId++) {
    const peers = stores.map((id) => ({ peerId: peerIdOf(groupId, id), storeId: id, role: "voter" as const }));
    const voters = peers.map(({ peerId }) => peerId);
    const confState = { voters, learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    // Nothing of what is applied is kept: after a restart it begins where the log does.
    const { truncatedIndex: applied = 0, truncatedTerm: appliedTerm = 0 } = log.group(groupId) ?? {};
    host.createGroup({
      groupId,
      peerId: peerIdOf(groupId, storeId),
      stateMachine: new CountingMachine({ groupId, applied, appliedTerm, confState, peers }, events),
      applied,
      appliedTerm,
      confState,
      peers,
    });
  }
}

/** What a counting machine counts, with the members, which never change. */
interface Position {
  readonly groupId: number;
  readonly applied: number;
  readonly appliedTerm: number;
  readonly confState: ConfState;
  readonly peers: readonly PeerInfo[];
}

/** Holds no state but how far it came, which it declares durable at once: so the log is cut as it is in a store. */
class CountingMachine implements StateMachine {
  readonly #start: Position;
  readonly #events: MemberEvents;
  #applied: number;
  #appliedTerm: number;

  constructor(start: Position, events: MemberEvents) {
    this.#start = start;
    this.#events = events;
    this.#applied = start.applied;
    this.#appliedTerm = start.appliedTerm;
  }

  onApply(entries: readonly CommittedEntry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    this.#applied = last.index;
    this.#appliedTerm = last.term;
    this.#events.onApply(this.#start.groupId, entries);
  }

  onLeaderStart(term: number): void {
    this.#events.onLeading(this.#start.groupId, term);
  }

  durableIndex(): number {
    return this.#applied;
  }

  onSnapshotSave(directory: string): Promise<SavedSnapshot> {
    const { confState, peers } = this.#start;
    writeFileSync(join(directory, "nothing"), "");
    return Promise.resolve({ index: this.#applied, term: this.#appliedTerm, confState, peers, names: ["nothing"] });
  }

  onSnapshotLoad(_files: SnapshotFiles, { index, term }: SavedSnapshot): Promise<void> {
    this.#applied = index;
    this.#appliedTerm = term;
    return Promise.resolve();
  }
}
