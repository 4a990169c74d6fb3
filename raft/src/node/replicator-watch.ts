/** How a leader's replication to each of its peers goes, as events: JRaft's replicator state listener. */
import type { PeerId } from "../core/types.js";
import type { PeerInfo, ReplicatorChange, ReplicatorState } from "./api.js";

interface Replicator {
  readonly peer: PeerInfo;
  state: ReplicatorState;
  /** Monotonic ms of its creation, and of its last error. */
  readonly sinceMs: number;
  errorMs: number;
}

/** What is looked at. */
export interface ReplicatorView {
  readonly isLeader: boolean;
  /** The other members. */
  readonly others: readonly PeerInfo[];
  readonly nowMs: number;
  /** Silence after which a peer is offline. Ms. */
  readonly silenceMs: number;
  /** Monotonic ms at which a peer was heard of last. */
  heardMs(peerId: PeerId): number;
}

/** The replicators of one group. */
export class ReplicatorWatch {
  readonly #groupId: number;
  readonly #tell: (change: ReplicatorChange) => void;
  readonly #replicators = new Map<PeerId, Replicator>();

  constructor(groupId: number, tell: (change: ReplicatorChange) => void) {
    this.#groupId = groupId;
    this.#tell = tell;
  }

  /** Compares with the last look. */
  look(view: ReplicatorView): void {
    const { isLeader, others, nowMs } = view;
    const wanted = new Set(isLeader ? others.map(({ peerId }) => peerId) : []);
    for (const [peerId, replicator] of this.#replicators) {
      if (wanted.has(peerId)) continue;
      this.#replicators.delete(peerId);
      this.#enter(replicator, "destroyed");
    }
    if (!isLeader) return;
    for (const peer of others) {
      const replicator = this.#replicators.get(peer.peerId);
      if (replicator !== undefined) this.#judge(replicator, view);
      else {
        const created: Replicator = { peer, state: "created", sinceMs: nowMs, errorMs: -Infinity };
        this.#replicators.set(peer.peerId, created);
        this.#enter(created, "created");
      }
    }
  }

  /** A message to a peer was lost, or a snapshot did not arrive. */
  onError(peerId: PeerId, nowMs: number): void {
    const replicator = this.#replicators.get(peerId);
    if (replicator === undefined) return;
    replicator.errorMs = nowMs;
    if (replicator.state !== "error" && replicator.state !== "offline") this.#enter(replicator, "error");
  }

  #judge(replicator: Replicator, view: ReplicatorView): void {
    const { nowMs, silenceMs } = view;
    const { peer, state, sinceMs, errorMs } = replicator;
    const atMs = view.heardMs(peer.peerId);
    if (nowMs - Math.max(atMs, sinceMs) > silenceMs) {
      if (state !== "offline") this.#enter(replicator, "offline");
    } else if (state !== "online" && atMs >= sinceMs && atMs > errorMs) {
      this.#enter(replicator, "online");
    }
  }

  #enter(replicator: Replicator, state: ReplicatorState): void {
    replicator.state = state;
    this.#tell({ groupId: this.#groupId, peer: replicator.peer, state });
  }
}
