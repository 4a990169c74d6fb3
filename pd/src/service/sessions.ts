/** The open heartbeat streams, one per store, each with an outbox that is sent once per turn. */
import type { Scheduler } from "@rhea/common";
import type {
  ClusterConfigInit,
  DestroyPeerInit,
  ErrorInit,
  OperationStepInit,
  PdMemberInit,
  PdToStoreInit,
  StoreInit,
} from "@rhea/proto";

/** The sending side of a store's stream. */
export interface SessionStream {
  send(message: PdToStoreInit): unknown;
  /** Ends the stream after what was sent. */
  close(): void;
}

interface Outbox {
  steps: OperationStepInit[];
  stores: StoreInit[];
  destroy: DestroyPeerInit[];
  config: ClusterConfigInit | undefined;
  members: readonly PdMemberInit[];
}

/** One store process's stream. */
export interface Session {
  readonly storeId: number;
  readonly incarnation: number;
  readonly bootNonce: string;
  readonly stream: SessionStream;
}

interface OpenSession extends Session {
  outbox: Outbox | undefined;
}

/** All sessions. Invariant: at most one per store; the newest wins. */
export class SessionTable {
  readonly #sessions = new Map<number, OpenSession>();
  readonly #dirty = new Set<OpenSession>();
  readonly #scheduler: Scheduler;
  readonly #featureLevel: () => number;
  #isScheduled = false;

  constructor(scheduler: Scheduler, featureLevel: () => number) {
    this.#scheduler = scheduler;
    this.#featureLevel = featureLevel;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get(storeId: number): Session | undefined {
    return this.#sessions.get(storeId);
  }

  /** Opens a session. An older one of the same store is closed, with `error` as its last word if given. */
  open(session: Session, error: ErrorInit | undefined): void {
    const older = this.#sessions.get(session.storeId);
    if (older !== undefined) this.#end(older, error);
    this.#sessions.set(session.storeId, { ...session, outbox: undefined });
  }

  /** Forgets a stream that closed. Returns false if it is not the store's present one. */
  closed(storeId: number, stream: SessionStream): boolean {
    const session = this.#sessions.get(storeId);
    if (session?.stream !== stream) return false;
    this.#dirty.delete(session);
    return this.#sessions.delete(storeId);
  }

  sendStep(storeId: number, step: OperationStepInit): void {
    this.#outbox(storeId)?.steps.push(step);
  }

  sendDestroy(storeId: number, destroy: DestroyPeerInit): void {
    this.#outbox(storeId)?.destroy.push(destroy);
  }

  sendStores(storeId: number, stores: readonly StoreInit[]): void {
    this.#outbox(storeId)?.stores.push(...stores);
  }

  sendConfig(storeId: number, config: ClusterConfigInit): void {
    const outbox = this.#outbox(storeId);
    if (outbox !== undefined) outbox.config = config;
  }

  sendMembers(storeId: number, members: readonly PdMemberInit[]): void {
    const outbox = this.#outbox(storeId);
    if (outbox !== undefined) outbox.members = members;
  }

  /** Tells every store where PD's members are. */
  broadcastMembers(members: readonly PdMemberInit[]): void {
    for (const storeId of this.#sessions.keys()) this.sendMembers(storeId, members);
  }

  /** Tells every store of a change in the address book. */
  broadcastStores(stores: readonly StoreInit[]): void {
    for (const storeId of this.#sessions.keys()) this.sendStores(storeId, stores);
  }

  broadcastConfig(config: ClusterConfigInit): void {
    for (const storeId of this.#sessions.keys()) this.sendConfig(storeId, config);
  }

  /** Sends what is queued. Runs by itself at the end of the turn in which something was queued. */
  flush(): void {
    for (const session of this.#dirty) {
      const { outbox } = session;
      session.outbox = undefined;
      if (outbox !== undefined) session.stream.send({ ...outbox, featureLevel: this.#featureLevel() });
    }
    this.#dirty.clear();
  }

  /** Ends all sessions with an error. */
  closeAll(error: ErrorInit): void {
    for (const session of this.#sessions.values()) this.#end(session, error);
    this.#sessions.clear();
    this.#dirty.clear();
  }

  #outbox(storeId: number): Outbox | undefined {
    const session = this.#sessions.get(storeId);
    if (session === undefined) return undefined;
    session.outbox ??= { steps: [], stores: [], destroy: [], config: undefined, members: [] };
    this.#dirty.add(session);
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      this.#scheduler.nextTurn(() => {
        this.#isScheduled = false;
        this.flush();
      });
    }
    return session.outbox;
  }

  #end(session: OpenSession, error: ErrorInit | undefined): void {
    this.#dirty.delete(session);
    if (error !== undefined) session.stream.send({ error });
    session.stream.close();
  }
}
