/**
 * testing: a group of peers over a network that delivers, loses and reorders only as a test says. Tests of raft/core use it; it is
 * no part of the library. Peers run in either mode over `MemoryStorage`, which survives `restart`.
 */
import { confChangeOfEntry, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, MemoryStorage, RawNode } from "../index.js";
import type { Entry, Message, PeerId, RaftConfig, ReadState } from "../index.js";

/** Is the options a test may set for a peer. */
export type MemberOptions = Partial<Omit<RaftConfig, "id" | "storage" | "applied">>;

/** Is the options a test may set for all peers, or by `each` for some. */
export type GroupOptions = MemberOptions & {
  readonly voters?: readonly PeerId[];
  readonly learners?: readonly PeerId[];
  readonly each?: (id: PeerId) => MemberOptions;
};

/** Is one peer with its disk and what its state machine got. */
export interface Member {
  readonly id: PeerId;
  readonly storage: MemoryStorage;
  readonly applied: Entry[];
  /** Is the contexts and indexes of answered reads. */
  readonly reads: { readonly context: string; readonly index: number }[];
  /** Is what was ordered of the storage threads and not done yet; empty in the synchronous mode. */
  readonly writes: Message[];
  readonly applies: Message[];
  readonly isAsync: boolean;
  raw: RawNode;
}

/** Is a group under test. It starts at index 1, term 1, so that a membership exists from the start. */
export class Group {
  readonly members = new Map<PeerId, Member>();
  /** Is what was sent and neither delivered nor lost. */
  inTransit: Message[] = [];
  /** Says whether a message reaches its receiver; tests replace it to cut links. */
  passes: (m: Message) => boolean = () => true;
  /** Say whether a peer's storage threads do what they are told, in the asynchronous mode. */
  storesWrites: (id: PeerId) => boolean = () => true;
  appliesEntries: (id: PeerId) => boolean = () => true;
  readonly #options: MemberOptions;
  #each: (id: PeerId) => MemberOptions;

  constructor({ voters = [1, 2, 3], learners = [], each = () => ({}), ...options }: GroupOptions = {}) {
    this.#options = options;
    this.#each = each;
    const confState = {
      voters,
      learners,
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    };
    for (const id of [...voters, ...confState.learners]) {
      const storage = new MemoryStorage();
      storage.applySnapshot({ metadata: { confState, index: 1, term: 1 }, data: new Uint8Array() });
      storage.setHardState({ term: 1, vote: 0, commit: 1 });
      this.#add(id, storage, 1);
    }
  }

  get(id: PeerId): Member {
    const member = this.members.get(id);
    if (member === undefined) throw new Error(`no member ${id}`);
    return member;
  }

  raw(id: PeerId): RawNode {
    return this.get(id).raw;
  }

  /** Starts a peer again from its disk, with an empty state machine that applies everything anew; writes that waited are lost. */
  restart(id: PeerId): void {
    const member = this.get(id);
    member.applied.length = 0;
    member.writes.length = 0;
    member.applies.length = 0;
    member.raw = this.#start(id, member.storage, member.storage.firstIndex() - 1);
  }

  /** Changes what peers are started with from now on. */
  reconfigure(each: (id: PeerId) => MemberOptions): void {
    this.#each = each;
  }

  /** Starts a peer that knows nothing: not even of which group it is a member. */
  join(id: PeerId): void {
    const storage = new MemoryStorage();
    this.#add(id, storage, 0);
  }

  /** Carries out all that one peer has to do; its messages go in transit. */
  work(id: PeerId): void {
    const member = this.get(id);
    for (let isBusy = true; isBusy;) {
      isBusy = member.raw.hasReady();
      if (isBusy && member.isAsync) this.handOut(id);
      else if (isBusy) this.#workInStep(member);
      while (member.writes.length > 0 && this.storesWrites(id)) {
        this.store(id);
        isBusy = true;
      }
      while (member.applies.length > 0 && this.appliesEntries(id)) {
        this.apply(id);
        isBusy = true;
      }
    }
  }

  /** Takes what a peer with asynchronous writes has to do: its orders wait, and what may be sent at once goes in transit. */
  handOut(id: PeerId): void {
    const member = this.get(id);
    if (!member.raw.hasReady()) return;
    const { messages, readStates } = member.raw.ready();
    noteReads(member, readStates);
    for (const m of messages) {
      if (m.to === LOCAL_APPEND_THREAD) member.writes.push(m);
      else if (m.to === LOCAL_APPLY_THREAD) member.applies.push(m);
      else if (this.passes(m)) this.inTransit.push(m);
    }
  }

  /** Makes the oldest write that waits durable, if one does, and sends what waited for it. */
  store(id: PeerId): void {
    const member = this.get(id);
    const order = member.writes.shift();
    if (order === undefined) return;
    const { term, vote, commit, snapshot, entries } = order;
    if (term + vote + commit > 0) member.storage.setHardState({ term, vote, commit });
    if (snapshot !== undefined) member.storage.applySnapshot(snapshot);
    member.storage.append(entries);
    this.#respond(member, order);
  }

  /** Applies the oldest batch that waits, if one does. */
  apply(id: PeerId): void {
    const member = this.get(id);
    const order = member.applies.shift();
    if (order === undefined) return;
    applyTo(member, order.entries);
    this.#respond(member, order);
  }

  #respond(member: Member, order: Message): void {
    for (const m of order.responses ?? []) {
      if (m.to === member.id) member.raw.step(m);
      else if (this.passes(m)) this.inTransit.push(m);
    }
  }

  #workInStep(member: Member): void {
    const ready = member.raw.ready();
    if (ready.hardState !== undefined) member.storage.setHardState(ready.hardState);
    if (ready.snapshot !== undefined) member.storage.applySnapshot(ready.snapshot);
    member.storage.append(ready.entries);
    this.inTransit.push(...ready.messages.filter((m) => this.passes(m)));
    applyTo(member, ready.committedEntries);
    noteReads(member, ready.readStates);
    member.raw.advance();
  }

  /** Delivers one message, if its receiver exists. */
  deliver(m: Message): void {
    this.members.get(m.to)?.raw.step(m);
  }

  /** Works and delivers until nothing is left to do. */
  settle(): void {
    for (;;) {
      for (const id of this.members.keys()) this.work(id);
      const messages = this.inTransit;
      if (messages.length === 0) return;
      this.inTransit = [];
      for (const m of messages) this.deliver(m);
    }
  }

  /** Elects a peer, over whatever links there are. */
  elect(id: PeerId): void {
    this.raw(id).campaign();
    this.settle();
  }

  tick(id: PeerId, ticks: number): void {
    for (let i = 0; i < ticks; i++) this.raw(id).tick();
  }

  /** Cuts the given peers off from all others. */
  isolate(...ids: readonly PeerId[]): void {
    this.passes = (m) => ids.includes(m.from) === ids.includes(m.to);
  }

  heal(): void {
    this.passes = () => true;
  }

  /** Returns the ids of the peers that believe they lead. */
  leaders(): PeerId[] {
    return [...this.members.values()].filter(({ raw }) => raw.basicStatus().state === "leader").map(({ id }) => id);
  }

  #add(id: PeerId, storage: MemoryStorage, applied: number): void {
    const isAsync = { ...this.#options, ...this.#each(id) }.asyncStorageWrites === true;
    const raw = this.#start(id, storage, applied);
    this.members.set(id, { id, storage, applied: [], reads: [], writes: [], applies: [], isAsync, raw });
  }

  #start(id: PeerId, storage: MemoryStorage, applied: number): RawNode {
    const options = { ...this.#options, ...this.#each(id) };
    // A fixed sequence per peer, so that a run can be repeated; equal timeouts for ever would let a peer that cannot win elections
    // keep those that could from trying.
    let state = id;
    const random = (n: number): number => (state = (state * 48271) % 2147483647) % n;
    return new RawNode({ electionTick: 10, heartbeatTick: 1, random, ...options, id, storage, applied });
  }
}

function applyTo(member: Member, entries: readonly Entry[]): void {
  for (const entry of entries) {
    member.applied.push(entry);
    const change = confChangeOfEntry(entry);
    if (change !== undefined) member.raw.applyConfChange(change);
  }
}

function noteReads(member: Member, readStates: readonly ReadState[]): void {
  for (const { requestCtx, index } of readStates)
    member.reads.push({ context: Buffer.from(requestCtx).toString(), index });
}

/** Returns the user data of entries as text, leaving out empty and membership entries. */
export function texts(entries: readonly Entry[]): string[] {
  return entries.filter((e) => e.type === "normal" && e.data.length > 0).map((e) => Buffer.from(e.data).toString());
}
