/** PD's own raft group (1), as the rest of PD sees and changes it. A member's peer id is its member id. */

/** A peer of the group's configuration as this member has applied it. */
export interface GroupPeer {
  readonly memberId: number;
  readonly isVoter: boolean;
}

/** A peer as the leader sees it. */
export interface GroupProgress extends GroupPeer {
  readonly isCaughtUp: boolean;
  /** Ms since it was heard of; 0 for the leader itself. */
  readonly silentMs: number;
}

/** The group. Changes throw NOT_LEADER, CONF_CHANGE_BUSY, TRANSFER_FAILED. */
export interface MemberGroup {
  /** Whether this member has the group's state: false for a new one until its first snapshot. */
  readonly isLoaded: boolean;
  /** The leader that this member hears, itself included; 0: none. */
  readonly leaderId: number;
  peers(): readonly GroupPeer[];
  /** Empty where this member does not lead. */
  progress(): readonly GroupProgress[];
  /** Adds a learner, or makes one a voter. Resolves when applied. */
  addPeer(memberId: number, role: "learner" | "voter"): Promise<void>;
  removePeer(memberId: number): Promise<void>;
  /** Resolves when that member leads. */
  transferTo(memberId: number): Promise<void>;
}
