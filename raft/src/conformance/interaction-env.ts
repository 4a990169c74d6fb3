import { RheaError } from "@rhea/common";
import {
  confChangeOfEntry,
  EMPTY_CONF_STATE,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  MemoryStorage,
  raftEventLevel,
  RawNode,
} from "../core/index.js";
import { CommandError } from "./arguments.js";
import { TranscriptError } from "./datadriven.js";
import { TranscriptOutput } from "./output.js";
import { renderEvent } from "./render-event.js";
import { renderEntries, renderMessage, renderReady } from "./render.js";
import type {
  Entry,
  HardState,
  Message,
  MessageType,
  PeerId,
  RaftConfig,
  Snapshot,
  StepResult,
} from "../core/index.js";

/** Is the options of new peers. */
export type NodeOptions = Omit<RaftConfig, "id" | "storage" | "onEvent" | "random">;

/** Is a member of the group under test, with its storage and what waits for its storage threads. */
interface Node {
  readonly raw: RawNode;
  readonly storage: HistoryStorage;
  readonly options: NodeOptions;
  readonly appendWork: Message[];
  readonly applyWork: Message[];
}

/** Is whom messages go to, or are dropped for. */
export interface Recipient {
  readonly id: PeerId;
  readonly drop: boolean;
}

const STEP_ERRORS: Record<Exclude<StepResult, "ok">, string> = {
  localMessage: "raft: cannot step raft local message",
  unknownPeer: "raft: cannot step as peer not found",
  proposalDropped: "raft proposal dropped",
};

/** Stores in memory, and hands out the newest state of a state machine that appends all data as the snapshot. */
class HistoryStorage extends MemoryStorage {
  readonly #history: Snapshot[];

  constructor(initial: Snapshot) {
    super();
    this.#history = [initial];
  }

  override snapshot(): Snapshot {
    const newest = this.#history.at(-1);
    if (newest === undefined) throw new Error("the history starts with a snapshot");
    return newest;
  }

  record(snapshot: Snapshot): void {
    this.#history.push(snapshot);
  }
}

/** Is a group of peers under a script: nothing moves between or within them unless a directive says so. */
export class InteractionEnv {
  readonly output = new TranscriptOutput();
  #nodes: Node[] = [];
  #inTransit: Message[] = [];
  #random = 1;

  get nodeIds(): PeerId[] {
    return this.#nodes.map((_, i) => i + 1);
  }

  /** Returns the peer itself. */
  raw(id: PeerId): RawNode {
    return this.#node(id).raw;
  }

  options(id: PeerId): NodeOptions {
    return this.#node(id).options;
  }

  /** Adds `count` peers that start from `snapshot`, or from nothing when that is empty. */
  addNodes(count: number, options: NodeOptions, snapshot: Snapshot): void {
    const { confState, index } = snapshot.metadata;
    const bootstrap =
      index > 0 || confState.voters.length > 0 || confState.learners.length > 0 || snapshot.data.length > 0;
    if (bootstrap && index <= 1) throw new CommandError("index must be specified as > 1 due to bootstrap");
    const initial = bootstrap ? { ...snapshot, metadata: { ...snapshot.metadata, term: 1 } } : snapshot;
    for (let i = 0; i < count; i++) {
      const storage = new HistoryStorage(initial);
      if (bootstrap) storage.applySnapshot(initial);
      const raw = new RawNode({
        ...options,
        id: this.#nodes.length + 1,
        storage,
        random: (n) => this.#nextRandom(n),
        onEvent: (event) => {
          this.output.log(raftEventLevel(event.kind), renderEvent(event));
        },
      });
      this.#nodes.push({ raw, storage, options, appendWork: [], applyWork: [] });
    }
  }

  /** Prints a peer's Ready and carries it out, up to messages, which stay in transit. */
  processReady(id: PeerId): void {
    const node = this.#node(id);
    const ready = node.raw.ready();
    this.output.write(renderReady(ready));
    const isAsync = node.options.asyncStorageWrites === true;
    if (!isAsync) {
      store(node, ready.hardState, ready.entries, ready.snapshot);
      apply(node, ready.committedEntries);
    }
    for (const m of ready.messages) {
      if (m.to === LOCAL_APPEND_THREAD) node.appendWork.push(m);
      else if (m.to === LOCAL_APPLY_THREAD) node.applyWork.push(m);
      else this.#inTransit.push(m);
    }
    if (!isAsync) node.raw.advance();
  }

  /** Does the oldest write that waits, and sends its responses. */
  processAppendThread(id: PeerId): void {
    const node = this.#node(id);
    this.#process(node.appendWork.shift(), "no append work to perform", (m) => {
      const hardState = { term: m.term, vote: m.vote, commit: m.commit };
      store(node, m.term + m.vote + m.commit === 0 ? undefined : hardState, m.entries, m.snapshot);
    });
  }

  /** Does the oldest application that waits, and sends its responses. */
  processApplyThread(id: PeerId): void {
    const node = this.#node(id);
    this.#process(node.applyWork.shift(), "no apply work to perform", (m) => {
      apply(node, m.entries);
    });
  }

  /** Delivers or drops what is in transit (of one type, if given) and returns how many messages that were. */
  deliver(type: MessageType | undefined, recipients: readonly Recipient[]): number {
    let handled = 0;
    for (const { id, drop } of recipients) {
      const messages = this.#takeInTransit(id, type, drop);
      handled += messages.length;
      for (const m of messages) {
        this.output.write(`${drop ? "dropped: " : ""}${renderMessage(m)}\n`);
        if (drop) continue;
        const result = this.#node(id).raw.step(m);
        if (result !== "ok") this.output.write(`${STEP_ERRORS[result]}\n`);
      }
    }
    return handled;
  }

  /** Runs and connects the peers until nothing is left to do. */
  stabilize(ids: readonly PeerId[]): void {
    for (let busy = true; busy;) {
      busy = false;
      const run = (id: PeerId, title: string, body: () => void): void => {
        this.output.write(`> ${id} ${title}\n`);
        body();
        busy = true;
      };
      for (const id of ids) {
        if (this.raw(id).hasReady())
          run(id, "handling Ready", () => {
            this.output.indented(() => {
              this.processReady(id);
            });
          });
      }
      for (const id of ids) {
        if (!this.#inTransit.some((m) => m.to === id)) continue;
        run(id, "receiving messages", () => {
          this.output.indented(() => {
            this.deliver(undefined, [{ id, drop: false }]);
          });
        });
      }
      for (const id of ids) {
        const { appendWork } = this.#node(id);
        if (appendWork.length === 0) continue;
        run(id, "processing append thread", () => {
          while (appendWork.length > 0)
            this.output.indented(() => {
              this.processAppendThread(id);
            });
        });
      }
      for (const id of ids) {
        const { applyWork } = this.#node(id);
        if (applyWork.length === 0) continue;
        run(id, "processing apply thread", () => {
          while (applyWork.length > 0)
            this.output.indented(() => {
              this.processApplyThread(id);
            });
        });
      }
    }
  }

  /** Puts a message in transit. */
  post(m: Message): void {
    this.#inTransit.push(m);
  }

  snapshot(id: PeerId): Snapshot {
    return this.#node(id).storage.snapshot();
  }

  compact(id: PeerId, index: number): void {
    this.#node(id).storage.compact(index);
  }

  /** Prints the entries a peer has stored. */
  printLog(id: PeerId): void {
    const { storage } = this.#node(id);
    const first = storage.firstIndex();
    const last = storage.lastIndex();
    if (last < first) this.output.write(`log is empty: first index=${first}, last index=${last}`);
    else this.output.write(renderEntries(storage.entries(first, last + 1, Number.MAX_SAFE_INTEGER)));
  }

  #node(id: PeerId): Node {
    const node = this.#nodes[id - 1];
    if (node === undefined) throw new TranscriptError(`there is no node ${id}, only ${this.#nodes.length} were added`);
    return node;
  }

  #process(m: Message | undefined, idle: string, work: (m: Message) => void): void {
    if (m === undefined) {
      this.output.write(idle);
      return;
    }
    const responses = m.responses ?? [];
    this.output.write(`Processing:\n${renderMessage({ ...m, responses: [] })}\n`);
    work(m);
    this.output.write(`Responses:\n${responses.map((r) => `${renderMessage(r)}\n`).join("")}`);
    this.#inTransit.push(...responses);
  }

  #takeInTransit(id: PeerId, type: MessageType | undefined, drop: boolean): Message[] {
    // What a peer's own threads tell it cannot get lost.
    const isLocal = (m: Message): boolean => m.from === m.to || m.from < 0 || m.to < 0;
    const matches = (m: Message): boolean =>
      m.to === id && !(drop && isLocal(m)) && (type === undefined || m.type === type);
    const taken = this.#inTransit.filter(matches);
    this.#inTransit = this.#inTransit.filter((m) => !matches(m));
    return taken;
  }

  /** Draws from a fixed sequence: transcripts must not depend on chance, and must not change from run to run. */
  #nextRandom(n: number): number {
    this.#random = (this.#random * 48271) % 2147483647;
    return this.#random % n;
  }
}

function store(
  node: Node,
  hardState: HardState | undefined,
  entries: readonly Entry[],
  snapshot: Snapshot | undefined,
): void {
  if (hardState !== undefined) node.storage.setHardState(hardState);
  if (snapshot === undefined) {
    node.storage.append(entries);
    return;
  }
  if (entries.length > 0) throw new CommandError("can't apply snapshot and entries at the same time");
  try {
    node.storage.applySnapshot(snapshot);
  } catch (error) {
    if (error instanceof RheaError) throw new CommandError(error.message);
    throw error;
  }
}

function apply(node: Node, entries: readonly Entry[]): void {
  for (const entry of entries) {
    const change = confChangeOfEntry(entry);
    const before = node.storage.snapshot();
    const confState = change === undefined ? before.metadata.confState : node.raw.applyConfChange(change);
    const data = Buffer.concat([before.data, change === undefined ? entry.data : change.context]);
    node.storage.record({ metadata: { confState, index: entry.index, term: entry.term }, data });
  }
}

/** Is the snapshot of nothing. */
export const EMPTY_SNAPSHOT: Snapshot = {
  metadata: { confState: EMPTY_CONF_STATE, index: 0, term: 0 },
  data: new Uint8Array(),
};
