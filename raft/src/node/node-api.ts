/** One group's peer as its user sees it: how it is started, asked and watched. */
import type { RheaError } from "@rhea/common";
import type { ConfState, PeerId, RaftStateType } from "../core/types.js";
import type { PeerInfo } from "./peer-info.js";
import type { StateMachine, Task } from "./state-machine.js";

/** How to start one group. Its log (`created` record) must not be destroyed or condemned. */
export interface GroupOptions {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly stateMachine: StateMachine;
  /** The applied index, its term and the configuration at it, from the state machine's own storage. */
  readonly applied: number;
  readonly appliedTerm: number;
  readonly confState: ConfState;
  readonly peers: readonly PeerInfo[];
  /** Campaign at once instead of waiting for a timeout (a split's child at the leader). */
  readonly campaignAtOnce?: boolean;
}

/** Progress of one peer as its leader sees it. */
export interface PeerStatus extends PeerInfo {
  readonly match: number;
  readonly state: "probe" | "replicate" | "snapshot";
  /** Ms since it was last heard of; 0 for the leader itself. */
  readonly lastActiveMs: number;
  readonly isCaughtUp: boolean;
}

/** A group's state at a glance. */
export interface NodeStatus {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly term: number;
  readonly leader: PeerId;
  readonly state: RaftStateType | "transferring" | "error" | "shutdown";
  readonly lastIndex: number;
  readonly committed: number;
  readonly applied: number;
  readonly truncatedIndex: number;
  readonly confState: ConfState;
  readonly peers: readonly PeerInfo[];
  /** Leader only, else empty. */
  readonly progress: readonly PeerStatus[];
  readonly error: RheaError | undefined;
}

/** One group's peer in this process. */
export interface RaftNode {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly isLeader: boolean;
  readonly leaderId: PeerId;
  readonly term: number;
  readonly applied: number;
  /** Proposes. Throws NOT_LEADER, SERVER_BUSY, PROPOSAL_DROPPED, SHUTTING_DOWN at once; later outcomes reach the state machine. */
  apply(task: Task): void;
  /**
   * Resolves once everything committed before the call is applied here; one shared round per group and turn. On followers it asks the
   * leader. Rejects with LEADER_NOT_AVAILABLE, NOT_LEADER or SHUTTING_DOWN; has no deadline of its own beyond two election timeouts.
   */
  readIndex(): Promise<void>;
  /** Adds a voter or learner, or promotes a learner (role voter). Resolves when applied here. Idempotent: a peer already there in that role is success. CONF_CHANGE_BUSY while another change runs. */
  addPeer(peer: PeerInfo): Promise<void>;
  /** Removes a peer. Idempotent. */
  removePeer(peerId: PeerId): Promise<void>;
  /** Resolves when the target leads. TRANSFER_FAILED after an election timeout. */
  transferLeadershipTo(peerId: PeerId): Promise<void>;
  listPeers(): readonly PeerInfo[];
  /** Renews the member list after the state machine changed it by itself. */
  status(): NodeStatus;
  campaign(): void;
}
