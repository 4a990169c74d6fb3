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

/** How a change of members treats peers that become voters. All optional. */
export interface ChangeOptions {
  /** Makes them voters at once, whatever they have of the log: for callers that have watched them themselves. Default false. */
  readonly withoutCatchUp?: boolean;
  /** Entries that a learner may lack when it is promoted (JRaft's catchupMargin). Default 1,000. */
  readonly catchUpMargin?: number;
  /** Ms without progress after which a learner is given up; ten times as long while a snapshot is sent to it. Default 10 election timeouts. */
  readonly catchUpTimeoutMs?: number;
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
  /**
   * Adds a peer, or promotes a learner (role voter). A new voter is first a learner and is promoted when it has caught up; if it does not
   * (see {@link ChangeOptions}), it is taken out again. A peer id of 0 lets the leader give one; the peer is then known by its store.
   *
   * This and all calls below that change members: at the leader only; resolve when the whole change is applied here; a configuration that is
   * as asked for already is success. Reject with NOT_LEADER (with the leader where known; `maybeApplied` where it may still happen),
   * CONF_CHANGE_BUSY while another change runs, OPERATION_REFUSED where it makes no sense or a learner does not catch up, STALE_COMMAND
   * where another leader's entry took its place, SHUTTING_DOWN.
   */
  addPeer(peer: PeerInfo, options?: ChangeOptions): Promise<void>;
  /** Removes a peer. Refused for the only voter, and for a leader with one other voter. A leader that removes itself steps down. */
  removePeer(peerId: PeerId): Promise<void>;
  /**
   * Makes `peers` the voters in one joint change, after the new ones among them have caught up as learners. Peers named with role learner
   * become learners (voters are demoted), voters that are not named are removed, learners that are not named stay. A leader that does not
   * stay a voter hands leadership over within the change.
   */
  changePeers(peers: readonly PeerInfo[], options?: ChangeOptions): Promise<void>;
  /** Adds learners, all or none of those that are voters already. */
  addLearners(peers: readonly PeerInfo[]): Promise<void>;
  /** Removes learners. */
  removeLearners(peerIds: readonly PeerId[]): Promise<void>;
  /** Makes these, and no others, the learners. */
  resetLearners(peers: readonly PeerInfo[]): Promise<void>;
  /** Promotes a learner once it has caught up. NOT_FOUND where it is no member. */
  learnerToFollower(peerId: PeerId, options?: ChangeOptions): Promise<void>;
  /** Resolves when the target leads; `any`: the voter that follows closest. TRANSFER_FAILED after an election timeout. */
  transferLeadershipTo(peerId: PeerId | "any"): Promise<void>;
  listPeers(): readonly PeerInfo[];
  /** Renews the member list after the state machine changed it by itself. */
  status(): NodeStatus;
  campaign(): void;
}
