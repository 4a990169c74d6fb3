/**
 * A log and a host of one replica for tests: every proposal is committed and applied in the next turn. The entries outlive a close, so an
 * engine that opens again replays what it had not made durable. Tests only.
 */
import { RheaError, type Scheduler } from "@rhea/common";
import type {
  CommittedConfChange,
  GroupLifecycle,
  GroupLog,
  GroupOptions,
  LogRecord,
  PeerInfo,
  RaftHost,
  RaftHostOptions,
  RaftLog,
  RaftNode,
} from "@rhea/raft";
import type { RaftConstructors } from "../engine/open-engine-with.js";

interface FakeEntry {
  readonly data: Uint8Array;
  readonly context: unknown;
}

interface FakeGroup {
  readonly groupId: number;
  lifecycle: GroupLifecycle;
  /** Index of the first entry kept is start + 1. */
  start: number;
  entries: FakeEntry[];
  options: GroupOptions | undefined;
  applied: number;
  isLeader: boolean;
  isBusy: boolean;
}

/** The fake and its levers. */
export interface FakeRaft extends RaftConstructors {
  /** Makes a group's peer a leader or takes that away. */
  setLeader(groupId: number, isLeader: boolean): void;
  /** Commits a membership change, or a configuration set by force. */
  changeMembers(
    groupId: number,
    change: CommittedConfChange["changes"][number],
    peers: readonly PeerInfo[],
    isForced?: boolean,
  ): boolean;
  /** Forgets a context as a crash or a follower would: entries are decoded from their bytes. */
  forgetContexts: boolean;
  readonly options: RaftHostOptions | undefined;
  /** A group of which the log says that a snapshot is being installed. */
  installing: number | undefined;
  /** What the log says of a group. */
  lifecycle(groupId: number): GroupLifecycle["state"] | undefined;
}

const TERM = 6;
const NO_MEMBERS = { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };

/** Makes the fake; one per store, kept over reopens. */
export function createFakeRaft(scheduler: Scheduler): FakeRaft {
  const groups = new Map<number, FakeGroup>();
  let hostOptions: RaftHostOptions | undefined;

  const run = (group: FakeGroup): void => {
    scheduler.nextTurn(() => {
      const machine = group.options?.stateMachine;
      if (machine === undefined || group.isBusy) return;
      const from = group.applied + 1;
      const batch = group.entries.slice(from - 1 - group.start).map((entry, i) => ({
        index: from + i,
        term: TERM,
        data: entry.data,
        context: fake.forgetContexts ? undefined : entry.context,
      }));
      if (batch.length === 0) return;
      group.applied += batch.length;
      const done = (): void => {
        group.isBusy = false;
        hostOptions?.onTurnApplied?.();
        run(group);
      };
      group.isBusy = true;
      try {
        const result = machine.onApply(batch);
        if (result === undefined) done();
        else result.then(done, (error: unknown) => machine.onError?.(RheaError.from(error)));
      } catch (error) {
        machine.onError?.(RheaError.from(error));
      }
    });
  };

  const logOf = (group: FakeGroup): GroupLog => ({
    groupId: group.groupId,
    lifecycle: group.lifecycle,
    hardState: { term: TERM, vote: 0, commit: group.start + group.entries.length },
    pendingInstall:
      fake.installing === group.groupId
        ? { file: "receive-1-1", index: group.start, term: TERM, confState: NO_MEMBERS }
        : undefined,
    truncatedIndex: group.start,
    truncatedTerm: TERM,
    lastIndex: group.start + group.entries.length,
    liveBytes: 0,
    term: () => TERM,
    entries: () => [],
  });

  const log: RaftLog = {
    wasClosedCleanly: false,
    newestIncarnation: 0,
    groups: () => [...groups.values()].map(logOf),
    group: (groupId) => {
      const group = groups.get(groupId);
      return group === undefined ? undefined : logOf(group);
    },
    append: async (records: readonly LogRecord[]) => {
      for (const record of records) {
        const group = groups.get(record.groupId);
        const peerId = group === undefined || group.lifecycle.state === "condemned" ? 0 : group.lifecycle.peerId;
        if (record.kind === "destroyed") {
          const { peerId: destroyed, confVer, version } = record;
          const lifecycle = { state: "destroyed" as const, peerId: destroyed, confVer, version };
          if (group === undefined) groups.set(record.groupId, { ...emptyGroup(record.groupId), lifecycle });
          else group.lifecycle = lifecycle;
        }
        if (record.kind === "condemned" && group !== undefined) {
          group.lifecycle = { state: "condemned", peerId, reason: record.reason };
        }
      }
    },
    stats: () => ({
      segments: 1,
      fileBytes: 0,
      liveBytes: 0,
      appends: 0,
      syncs: 0,
      syncSeconds: 0,
      oldestPendingMs: 0,
      removedSegments: 0,
      rewrittenBytes: 0,
      deadBytes: 0,
      isSync: true,
    }),
    close: async () => undefined,
  };

  const nodeOf = (group: FakeGroup, options: GroupOptions): RaftNode => ({
    groupId: group.groupId,
    peerId: options.peerId,
    get isLeader() {
      return group.isLeader;
    },
    get leaderId() {
      return group.isLeader ? options.peerId : 0;
    },
    term: TERM,
    get applied() {
      return group.applied;
    },
    apply: ({ data, context }) => {
      if (!group.isLeader) throw new RheaError("NOT_LEADER", "not leader");
      group.entries.push({ data, context });
      run(group);
    },
    readIndex: () => new Promise((resolve) => scheduler.nextTurn(resolve)),
    addPeer: async () => undefined,
    removePeer: async () => undefined,
    changePeers: async () => undefined,
    addLearners: async () => undefined,
    removeLearners: async () => undefined,
    resetLearners: async () => undefined,
    learnerToFollower: async () => undefined,
    resetPeers: async () => undefined,
    started: async () => undefined,
    shutdown: () => undefined,
    join: async () => undefined,
    describe: () => "",
    metrics: () => {
      throw new RheaError("INTERNAL", "this fake has no figures");
    },
    readCommittedUserLog: () => {
      throw new RheaError("INTERNAL", "this fake has no log to read");
    },
    snapshot: async () => ({ index: group.applied }),
    listAlivePeers: () => [],
    listAliveLearners: () => [],
    transferLeadershipTo: async () => undefined,
    listPeers: () => options.peers,
    status: () => {
      throw new RheaError("INTERNAL", "this fake has no status");
    },
    campaign: () => undefined,
  });

  const createHost = (options: RaftHostOptions): RaftHost => {
    hostOptions = options;
    const nodes = new Map<number, RaftNode>();
    return {
      addServices: () => undefined,
      start: () => undefined,
      createGroup: (groupOptions, start) => {
        const { groupId, peerId } = groupOptions;
        let group = groups.get(groupId);
        if (group === undefined || group.lifecycle.state === "destroyed") {
          group = { ...emptyGroup(groupId), start: start?.index ?? 0, lifecycle: { state: "live", peerId } };
          groups.set(groupId, group);
        }
        group.options = groupOptions;
        group.applied = groupOptions.applied ?? 0;
        group.isBusy = false;
        for (const entry of group.entries.splice(0)) group.entries.push({ data: entry.data, context: undefined });
        const node = nodeOf(group, groupOptions);
        nodes.set(groupId, node);
        run(group);
        return node;
      },
      group: (groupId) => nodes.get(groupId),
      groups: () => nodes.values(),
      destroyGroup: async (groupId, { confVer, version }) => {
        const group = groups.get(groupId);
        if (group === undefined || group.lifecycle.state === "condemned") return;
        group.lifecycle = { state: "destroyed", peerId: group.lifecycle.peerId, confVer, version };
        group.options = undefined;
        group.entries = [];
        nodes.delete(groupId);
      },
      transferAllLeaders: async () => undefined,
      describe: () => "",
      stats: () => {
        throw new RheaError("INTERNAL", "this fake has no figures");
      },
      close: async () => {
        for (const group of groups.values()) group.options = undefined;
      },
    };
  };

  const fake: FakeRaft = {
    openLog: async () => log,
    createRaftHost: createHost,
    forgetContexts: false,
    installing: undefined,
    get options() {
      return hostOptions;
    },
    lifecycle: (groupId) => groups.get(groupId)?.lifecycle.state,
    setLeader: (groupId, isLeader) => {
      const group = groups.get(groupId);
      if (group === undefined || group.isLeader === isLeader) return;
      group.isLeader = isLeader;
      if (isLeader) group.options?.stateMachine.onLeaderStart?.(TERM);
      else group.options?.stateMachine.onLeaderStop?.("the test said so");
    },
    changeMembers: (groupId, change, peers, isForced = false) => {
      const group = groups.get(groupId);
      const machine = group?.options?.stateMachine;
      if (group === undefined || machine === undefined) throw new RheaError("NOT_FOUND", `no group ${groupId}`);
      group.entries.push({ data: new Uint8Array(0), context: undefined });
      const index = ++group.applied;
      const isTaken =
        machine.onConfChange?.({
          index,
          term: TERM,
          type: "confChange",
          changes: [change],
          isLeavingJoint: false,
          isForced,
        }) ?? true;
      if (!isTaken) return false;
      const confState = {
        voters: peers.filter(({ role }) => role === "voter").map(({ peerId }) => peerId),
        learners: peers.filter(({ role }) => role === "learner").map(({ peerId }) => peerId),
        votersOutgoing: [],
        learnersNext: [],
        autoLeave: false,
      };
      machine.onConfigurationCommitted?.(confState, peers, index);
      return true;
    },
  };
  return fake;
}

function emptyGroup(groupId: number): FakeGroup {
  return {
    groupId,
    lifecycle: { state: "live", peerId: 0 },
    start: 0,
    entries: [],
    options: undefined,
    applied: 0,
    isLeader: false,
    isBusy: false,
  };
}
