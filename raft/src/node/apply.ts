/**
 * Feeds one group's committed entries to its state machine, in log order: batches of user entries, membership changes at their place,
 * installed snapshots. A state machine that answers with a promise holds back its own group only.
 */
import { EMPTY_BYTES, InvariantError, RheaError } from "@rhea/common";
import { nextConfState } from "../core/index.js";
import type { ConfChangeV2, ConfState, Entry, Message } from "../core/types.js";
import type { SavedSnapshot, SnapshotFiles, SnapshotPosition } from "../snapshot/api.js";
import type { CommittedEntry, PeerInfo, StateMachine, Task } from "./api.js";
import { decodeChangeContext } from "./change-context.js";
import { changeOfEntry, NO_CHANGE, type MemberList } from "./membership.js";
import { confStateOf } from "./reset-peers.js";

/** A snapshot whose install record is durable. */
export interface InstalledSnapshot {
  /** Name of its staging directory, as the install record has it. */
  readonly staging: string;
  readonly files: SnapshotFiles;
  readonly saved: SavedSnapshot;
}

/** A snapshot that the state machine is to have instead of what it has. */
export interface SnapshotToLoad {
  readonly saved: SavedSnapshot;
  /** Brings the files to where they are read from. */
  prepare(): Promise<SnapshotFiles>;
  /** The state machine has replaced its state. */
  onLoaded(): void;
}

/** What runs between two batches. */
export interface Pause {
  begin(position: SnapshotPosition): void;
  /** Called instead when applying has ended for good. */
  cancel(): void;
}

/** What applying needs of its group. */
export interface ApplyTarget {
  readonly groupId: number;
  readonly stateMachine: StateMachine;
  readonly members: MemberList;
  /** The task of an entry that was proposed here. */
  takeTask(entry: Entry): Task | undefined;
  /** Tells the proposer of an entry that it is committed, before it is applied. */
  tellCommitted(task: Task, index: number, term: number): void;
  /** Puts a change into effect in the core. */
  applyConfChange(change: ConfChangeV2): ConfState;
  /** Puts a whole configuration into effect in the core. */
  resetMembership(confState: ConfState): ConfState;
  /** A change's entry was applied: those who wait for it may go on. */
  onChangeApplied(entry: Entry, wasAccepted: boolean): void;
  /** These members are in the configuration no more; this peer may be among them. */
  onLeft(members: readonly PeerInfo[]): void;
  /** Monotonic ms, as they are now. */
  clockMs(): number;
  /** The term of an entry that was applied. */
  termOf(index: number): number;
  /** Hands the core what it wants to hear once entries are applied. */
  respond(responses: readonly Message[]): void;
  /** Asks for another turn: there is more to apply. */
  wake(): void;
  fail(error: RheaError): void;
}

/** Figures of applying, since the start. */
export interface ApplyFigures {
  /** Calls of `onApply`, the entries in them, their bytes and the ms until they were over. */
  readonly batches: number;
  readonly entries: number;
  readonly bytes: number;
  readonly ms: number;
  /** Snapshots loaded. */
  readonly loaded: number;
}

type Item =
  | { readonly kind: "entries"; readonly entries: readonly Entry[]; readonly responses: readonly Message[] }
  | { readonly kind: "snapshot"; readonly snapshot: SnapshotToLoad }
  | { readonly kind: "pause"; readonly pause: Pause };

/** The applier of one group. */
export class Applier {
  /** The highest index the state machine has. */
  applied: number;
  /** Bytes of entries applied since the start. */
  appliedBytes = 0;
  #entries = 0;
  #batches = 0;
  #applyMs = 0;
  #loaded = 0;
  /** The state machine's answer that is awaited. */
  #pending: Promise<void> | undefined;
  confState: ConfState;
  readonly #target: ApplyTarget;
  #queue: Item[] = [];
  #position = 0;
  #state: "free" | "busy" | "stopped" = "free";

  constructor(target: ApplyTarget, applied: number, confState: ConfState) {
    this.#target = target;
    this.applied = applied;
    this.confState = confState;
  }

  get hasWork(): boolean {
    return this.#queue.length > 0 && this.#state === "free";
  }

  /** Whether all that was handed over is applied, and nothing waits for the state machine. */
  get isIdle(): boolean {
    return this.#queue.length === 0 && this.#state === "free";
  }

  get figures(): ApplyFigures {
    const { appliedBytes: bytes } = this;
    return { batches: this.#batches, entries: this.#entries, bytes, ms: this.#applyMs, loaded: this.#loaded };
  }

  /** The call of the state machine that is not over yet, if there is one. Never rejects. */
  get pending(): Promise<void> | undefined {
    return this.#pending;
  }

  /** Whether a snapshot waits to be loaded or is being loaded. */
  get isLoading(): boolean {
    return this.#queue.some((item) => item.kind === "snapshot");
  }

  addEntries(entries: readonly Entry[], responses: readonly Message[]): void {
    this.#queue.push({ kind: "entries", entries, responses });
  }

  addSnapshot(snapshot: SnapshotToLoad): void {
    this.#queue.push({ kind: "snapshot", snapshot });
  }

  /** Runs something when what is queued now has been applied. */
  addPause(pause: Pause): void {
    if (this.#state === "stopped") pause.cancel();
    else this.#queue.push({ kind: "pause", pause });
  }

  /** Never applies anything again. */
  stop(): void {
    this.#state = "stopped";
    const queue = this.#queue;
    this.#queue = [];
    for (const item of queue) if (item.kind === "pause") item.pause.cancel();
  }

  /** Applies until nothing is left or the state machine asks to wait. */
  run(): void {
    while (this.#state === "free") {
      const item = this.#queue[0];
      if (item === undefined) return;
      if (item.kind === "snapshot") {
        this.#load(item.snapshot);
        return;
      }
      if (item.kind === "pause") {
        this.#queue.shift();
        item.pause.begin(this.positionNow());
        continue;
      }
      const entry = item.entries[this.#position];
      if (entry === undefined) {
        this.#queue.shift();
        this.#position = 0;
        this.#target.respond(item.responses);
      } else if (entry.type === "normal") {
        this.#applyRun(item.entries);
      } else {
        this.#position++;
        this.#applyChange(entry);
      }
    }
  }

  /** Applies the user entries from the present position to the next membership change. */
  #applyRun(entries: readonly Entry[]): void {
    const batch: CommittedEntry[] = [];
    while (this.#position < entries.length) {
      const entry = entries[this.#position] as Entry;
      if (entry.type !== "normal") break;
      const { index, term, data } = entry;
      this.appliedBytes += data.length;
      const task = this.#target.takeTask(entry);
      if (task?.onCommitted !== undefined) this.#target.tellCommitted(task, index, term);
      batch.push({ index, term, data, context: task?.context });
      this.#position++;
    }
    this.#applyBatch(batch);
  }

  #applyBatch(batch: readonly CommittedEntry[]): void {
    const last = batch.at(-1)?.index ?? this.applied;
    const first = batch[0]?.index ?? last;
    const { groupId, stateMachine } = this.#target;
    if (first !== this.applied + 1) {
      throw new InvariantError(`group ${groupId}: entry ${first} follows ${this.applied} when applying`);
    }
    const what = `group ${groupId}: applying entries ${first} to ${last}`;
    const startMs = this.#target.clockMs();
    const count = (): void => {
      this.applied = last;
      this.#batches++;
      this.#entries += batch.length;
      this.#applyMs += this.#target.clockMs() - startMs;
    };
    let pending: void | Promise<void>;
    try {
      pending = stateMachine.onApply(batch);
    } catch (error) {
      this.#fail(what, error);
      return;
    }
    if (pending === undefined) count();
    else this.#waitFor(pending, what, count);
  }

  #applyChange(entry: Entry): void {
    const { groupId, stateMachine, members } = this.#target;
    const what = `group ${groupId}: applying the membership change at ${entry.index}`;
    if (this.confState.voters.length === 0) {
      const why =
        "its members are unknown here: create a group's first peers with a start index, so that others get a snapshot";
      this.#fail(what, new RheaError("INTERNAL", why));
      return;
    }
    this.#target.takeTask(entry);
    try {
      const change = changeOfEntry(entry);
      const { peers: named, isReset } = decodeChangeContext(change.context);
      if (!isReset && !this.#fits(change)) {
        // It has no effect on any replica, as all judge it by the same membership; the state machine only counts the index.
        this.#target.onChangeApplied(entry, false);
        this.#applyBatch([{ index: entry.index, term: entry.term, data: EMPTY_BYTES, context: undefined }]);
        return;
      }
      const isAgreed = stateMachine.onConfChange?.(members.describe(entry, change)) ?? true;
      const isAccepted = isAgreed || isReset;
      this.confState = isReset
        ? this.#target.resetMembership(confStateOf(named))
        : this.#target.applyConfChange(isAccepted ? change : NO_CHANGE);
      const left = this.#updateMembers(isAccepted ? named : []);
      this.applied = entry.index;
      if (isAccepted) stateMachine.onConfigurationCommitted?.(this.confState, members.all, entry.index);
      this.#target.onChangeApplied(entry, isAccepted);
      if (left.length > 0) this.#target.onLeft(left);
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#fail(what, error);
    }
  }

  /** Brings the list of members in line and returns those who are not in it any more. */
  #updateMembers(named: readonly PeerInfo[]): readonly PeerInfo[] {
    const { members } = this.#target;
    const before = members.all;
    members.update(this.confState, named);
    return before.filter(({ peerId }) => members.get(peerId) === undefined);
  }

  #fits(change: ConfChangeV2): boolean {
    try {
      nextConfState(this.confState, change);
      return true;
    } catch (error) {
      if (error instanceof RheaError && error.code === "OPERATION_REFUSED") return false;
      throw error;
    }
  }

  /** The place in the log that the state machine is at. */
  positionNow(): SnapshotPosition {
    const { applied: index, confState } = this;
    return { index, term: this.#target.termOf(index), confState, peers: this.#target.members.all };
  }

  #load(snapshot: SnapshotToLoad): void {
    const { groupId, stateMachine, members } = this.#target;
    const { index, confState, peers } = snapshot.saved;
    const what = `group ${groupId}: loading the snapshot at ${index}`;
    if (stateMachine.onSnapshotLoad === undefined) {
      this.#fail(what, new InvariantError("the state machine takes no snapshots"));
      return;
    }
    const load = async (): Promise<void> => {
      const files = await snapshot.prepare();
      if (this.#state === "busy") await stateMachine.onSnapshotLoad?.(files, snapshot.saved);
    };
    this.#waitFor(load(), what, () => {
      this.#queue.shift();
      this.confState = confState;
      const left = this.#updateMembers(peers);
      this.applied = index;
      this.#loaded++;
      snapshot.onLoaded();
      stateMachine.onConfigurationCommitted?.(confState, members.all, index);
      if (left.length > 0) this.#target.onLeft(left);
    });
  }

  #waitFor(pending: Promise<void>, what: string, then: () => void): void {
    this.#state = "busy";
    this.#pending = pending.then(
      () => {
        this.#pending = undefined;
        if (this.#state !== "busy") return;
        this.#state = "free";
        try {
          then();
        } catch (error) {
          this.#fail(what, error);
          return;
        }
        this.#target.wake();
      },
      (error: unknown) => {
        this.#pending = undefined;
        if (this.#state === "busy") this.#fail(what, error);
      },
    );
  }

  #fail(what: string, thrown: unknown): void {
    this.stop();
    const cause = RheaError.from(thrown);
    const advice = "the peer is stopped: fix the cause and restart, or remove the peer and add a new one";
    this.#target.fail(new RheaError(cause.code, `${what} failed: ${cause.message}; ${advice}`, { cause: thrown }));
  }
}
