/** Stores of the test world: a host over an in-memory disk, with a state machine that keeps what it applied. */
import type { Logger, RheaError } from "@rhea/common";
import type { ConfState } from "../core/types.js";
import { openLog } from "../log/index.js";
import type { RaftLog } from "../log/api.js";
import { TestDisk } from "../log/test-disk.js";
import { fileSnapshotStorage } from "../snapshot/index.js";
import type {
  CommittedConfChange,
  CommittedEntry,
  HostLimits,
  PeerInfo,
  RaftHost,
  RaftHostOptions,
  RaftNode,
  ReplicatorChange,
  SavedSnapshot,
  SnapshotFiles,
  SnapshotOptions,
  SnapshotWriter,
  StateMachine,
  UnknownPeerMessage,
} from "./api.js";
import { createRaftHost } from "./host.js";
import { keepingLogger, MemoryNet, seededRng, VirtualTime } from "./test-world.js";

/** What a group's state machine has stored: it survives a kill. */
export interface GroupData {
  readonly groupId: number;
  readonly peerId: number;
  applied: number;
  appliedTerm: number;
  confState: ConfState;
  peers: readonly PeerInfo[];
  texts: string[];
}

/** A state machine that keeps the texts it is given, in order. */
export class TextMachine implements StateMachine {
  readonly data: GroupData;
  readonly #disk: TestDisk;
  readonly contexts: unknown[] = [];
  readonly dropped: { readonly context: unknown; readonly code: string; readonly maybeApplied: boolean }[] = [];
  readonly happened: string[] = [];
  /** What onConfChange answers. */
  accept: (change: CommittedConfChange) => boolean = () => true;
  /** Runs before an apply; may wait or throw. */
  beforeApply: ((entries: readonly CommittedEntry[]) => Promise<void> | undefined) | undefined;
  /** Runs before a snapshot is loaded. */
  beforeLoad: (() => Promise<void>) | undefined;
  /** Runs when a snapshot is being saved, after the state was captured. */
  duringSave: (() => Promise<void>) | undefined;
  /** Absent where the state is in memory. */
  readonly durableIndex?: () => number;

  constructor(data: GroupData, disk: TestDisk, isInMemory: boolean) {
    this.data = data;
    this.#disk = disk;
    if (!isInMemory) this.durableIndex = () => this.data.applied;
  }

  onApply(entries: readonly CommittedEntry[]): void | Promise<void> {
    const waiting = this.beforeApply?.(entries);
    if (waiting === undefined) {
      this.#apply(entries);
      return;
    }
    return waiting.then(() => {
      this.#apply(entries);
    });
  }

  onConfChange(change: CommittedConfChange): boolean {
    return this.accept(change);
  }

  onConfigurationCommitted(confState: ConfState, peers: readonly PeerInfo[], index: number): void {
    this.data.confState = confState;
    this.data.peers = peers;
    this.data.applied = Math.max(this.data.applied, index);
    this.happened.push(
      `configuration ${peers.map(({ peerId, role }) => `${peerId}${role === "voter" ? "" : "l"}`).join(",")}`,
    );
  }

  onDropped(context: unknown, error: RheaError): void {
    this.dropped.push({ context, code: error.code, maybeApplied: error.details.maybeApplied ?? false });
  }

  onLeaderStart(term: number): void {
    this.happened.push(`leads ${term}`);
  }

  onLeaderStop(): void {
    this.happened.push("stops leading");
  }

  onError(error: RheaError): void {
    this.happened.push(`error ${error.message}`);
  }

  async onSnapshotSave(directory: string, writer: SnapshotWriter): Promise<SavedSnapshot> {
    if (this.durableIndex === undefined) {
      const captured = JSON.stringify(this.data.texts);
      await this.duringSave?.();
      await writer.write("texts", Buffer.from(captured));
      return writer.saved();
    }
    const { applied: index, appliedTerm: term, confState, peers, texts } = this.data;
    const file = await this.#disk.open(`${directory}/texts`, { create: true });
    await file.write(0, [Buffer.from(JSON.stringify(texts))]);
    await file.close();
    return { index, term, confState, peers, names: ["texts"] };
  }

  async onSnapshotLoad(files: SnapshotFiles, snapshot: SavedSnapshot): Promise<void> {
    await this.beforeLoad?.();
    const texts = JSON.parse((await files.read("texts")).toString()) as string[];
    const { index, term, confState, peers } = snapshot;
    Object.assign(this.data, { applied: index, appliedTerm: term, confState, peers, texts });
    this.happened.push(`snapshot ${index}`);
  }

  #apply(entries: readonly CommittedEntry[]): void {
    for (const { index, term, data, context } of entries) {
      if (data.length > 0) this.data.texts.push(Buffer.from(data).toString());
      if (context !== undefined) this.contexts.push(context);
      this.data.applied = index;
      this.data.appliedTerm = term;
    }
  }
}

/** One store of the world; `open` starts a process on its disk, `kill` ends it as SIGKILL does. */
export class TestStore {
  readonly storeId: number;
  readonly world: TestWorld;
  disk = new TestDisk();
  data = new Map<number, GroupData>();
  machines = new Map<number, TextMachine>();
  incarnation = 0;
  clusterId = 1;
  readonly lines: string[] = [];
  readonly fatal: RheaError[] = [];
  readonly unknown: UnknownPeerMessage[] = [];
  /** Set: state machines keep their state in memory, with this option. */
  snapshots: Omit<SnapshotOptions, "storage"> | undefined;
  /** Create a peer when an initial message for one comes. */
  createsPeers = true;
  #host: RaftHost | undefined;
  #log: RaftLog | undefined;

  constructor(world: TestWorld, storeId: number) {
    this.world = world;
    this.storeId = storeId;
    this.snapshots = world.snapshots;
  }

  get name(): string {
    return `store-${this.storeId}`;
  }

  get isOpen(): boolean {
    return this.#host !== undefined;
  }

  get host(): RaftHost {
    if (this.#host === undefined) throw new Error(`${this.name} is not open`);
    return this.#host;
  }

  get log(): RaftLog {
    if (this.#log === undefined) throw new Error(`${this.name} is not open`);
    return this.#log;
  }

  node(groupId = 7): RaftNode {
    const node = this.host.group(groupId);
    if (node === undefined) throw new Error(`${this.name} has no group ${groupId}`);
    return node;
  }

  machine(groupId = 7): TextMachine {
    const machine = this.machines.get(groupId);
    if (machine === undefined) throw new Error(`${this.name} has no group ${groupId}`);
    return machine;
  }

  texts(groupId = 7): readonly string[] {
    return this.machine(groupId).data.texts;
  }

  /** Starts the process; groups it knew are started again. */
  async open(limits: Partial<HostLimits> = {}): Promise<void> {
    const { time, net, rng } = this.world;
    const disk = this.disk;
    this.incarnation++;
    const logger = keepingLogger(this.lines) as Logger;
    const log = await openLog({
      disk,
      directory: "log",
      clock: time,
      logger,
      onFailed: (error) => this.fatal.push(error),
    });
    const host = createRaftHost({
      clusterId: this.clusterId,
      storeId: this.storeId,
      incarnation: this.incarnation,
      bootNonce: rng.bytes(16),
      featureLevel: 1,
      log,
      disk,
      snapshotDirectory: "snapshots",
      net: net.of(this.name),
      clock: time,
      scheduler: time,
      rng: seededRng(this.world.seed * 31 + this.storeId * 7 + this.incarnation),
      logger,
      limits,
      resolveStore: (storeId) => this.world.addresses.get(storeId) ?? `store-${storeId}`,
      onUnknownPeer: (message) => {
        this.unknown.push(message);
        if (this.createsPeers) this.addGroup(message.groupId, message.toPeer, []);
      },
      describeGroup: () => ({
        epoch: { confVer: 1, version: 1 },
        startKey: Buffer.from("a"),
        endKey: Buffer.from("z"),
      }),
      ...(this.world.onReplicator === undefined ? {} : { onReplicatorStateChange: this.world.onReplicator }),
      onFatal: (error) => this.fatal.push(error),
      ...this.world.hostOptions,
    });
    this.#host = host;
    this.#log = log;
    const server = net.of(this.name).createServer();
    host.addServices(server);
    await server.listen(this.name);
    for (const data of this.data.values()) this.#startGroup(data, host);
    host.start();
  }

  /** Creates a peer of a group with the given members (none: it learns them from its leader). */
  addGroup(groupId: number, peerId: number, peers: readonly PeerInfo[]): RaftNode {
    const ids = (role: PeerInfo["role"]): number[] =>
      peers.filter((peer) => peer.role === role).map((peer) => peer.peerId);
    const confState = {
      voters: ids("voter"),
      learners: ids("learner"),
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    };
    const data: GroupData = { groupId, peerId, applied: 0, appliedTerm: 0, confState, peers, texts: [] };
    this.data.set(groupId, data);
    return this.#startGroup(data, this.host);
  }

  /** Ends the process at once. What the disk has is kept. */
  kill(): void {
    this.world.net.kill(this.name);
    // Writes of the dead process must not reach the disk of its successor.
    this.disk = this.disk.clone();
    void this.host.close();
    this.#host = undefined;
    this.#log = undefined;
    this.machines = new Map();
    this.data = new Map([...this.data].map(([groupId, data]) => [groupId, { ...data, texts: [...data.texts] }]));
  }

  #startGroup(data: GroupData, host: RaftHost): RaftNode {
    const { groupId, peerId, applied, appliedTerm, confState, peers } = data;
    if (this.snapshots !== undefined) {
      const machine = new TextMachine({ ...data, texts: [] }, this.disk, true);
      this.machines.set(groupId, machine);
      const storage = fileSnapshotStorage({ disk: this.disk, directory: `state/${groupId}` });
      const snapshots: SnapshotOptions = { ...this.snapshots, storage };
      return host.createGroup({ groupId, peerId, stateMachine: machine, confState, peers, snapshots });
    }
    const machine = new TextMachine(data, this.disk, false);
    this.machines.set(groupId, machine);
    return host.createGroup({ groupId, peerId, stateMachine: machine, applied, appliedTerm, confState, peers });
  }
}

/** Some stores, a net and a clock. */
export class TestWorld {
  readonly seed: number;
  readonly time: VirtualTime;
  readonly net: MemoryNet;
  readonly rng;
  readonly stores: TestStore[] = [];
  /** Hears how replication goes; set before a store is opened. */
  onReplicator: ((change: ReplicatorChange) => void) | undefined;
  /** What stores made from now on have as {@link TestStore.snapshots}. */
  snapshots: TestStore["snapshots"];
  readonly addresses = new Map<number, string>();
  /** What all hosts opened from now on are given beside the usual. */
  hostOptions: Partial<RaftHostOptions> = {};

  constructor(settle: () => Promise<void>, seed = 1) {
    this.seed = seed;
    this.time = new VirtualTime(settle);
    this.net = new MemoryNet(this.time);
    this.rng = seededRng(seed);
  }

  /** Opens `count` stores with one group (7) whose peers are 11, 12, ... */
  async start(count: number, groups: readonly number[] = [7], limits: Partial<HostLimits> = {}): Promise<void> {
    for (let id = 1; id <= count; id++) this.stores.push(new TestStore(this, id));
    for (const store of this.stores) await store.open(limits);
    const peers = this.stores.map(({ storeId }): PeerInfo => ({ peerId: 10 + storeId, storeId, role: "voter" }));
    for (const groupId of groups) for (const store of this.stores) store.addGroup(groupId, 10 + store.storeId, peers);
  }

  /** Adds and opens a store without groups. */
  async addStore(limits: Partial<HostLimits> = {}): Promise<TestStore> {
    const store = new TestStore(this, this.stores.length + 1);
    this.stores.push(store);
    await store.open(limits);
    return store;
  }

  store(storeId: number): TestStore {
    const store = this.stores[storeId - 1];
    if (store === undefined) throw new Error(`no store ${storeId}`);
    return store;
  }

  get names(): string[] {
    return this.stores.map(({ name }) => name);
  }

  /** The store that leads a group with the highest term, if one does. */
  leader(groupId = 7): TestStore | undefined {
    const leading = this.stores.filter((store) => store.isOpen && store.host.group(groupId)?.isLeader === true);
    return leading.sort((a, b) => b.node(groupId).term - a.node(groupId).term)[0];
  }

  /** Waits for a leader and returns its store. */
  async elected(groupId = 7, except?: TestStore): Promise<TestStore> {
    await this.time.until(`a leader of group ${groupId}`, () => {
      const leader = this.leader(groupId);
      return leader !== undefined && leader !== except;
    });
    return this.leader(groupId) as TestStore;
  }

  /** Proposes a text at the leader and waits until all open stores of `stores` have applied it. */
  async write(text: string, stores: readonly TestStore[] = this.stores, groupId = 7): Promise<void> {
    const leader = await this.elected(groupId);
    leader.node(groupId).apply({ data: Buffer.from(text), context: text });
    await this.time.until(`"${text}" applied`, () =>
      stores.every((store) => !store.isOpen || (store.machines.get(groupId)?.data.texts.includes(text) ?? false)),
    );
  }
}
