/** Members of a group, and what a message says of a group that its receiver may not have. */
import type { PeerId } from "../core/types.js";

/** A member of a group. Peer ids are never reused. */
export interface PeerInfo {
  /** Its id, above 0. */
  readonly peerId: PeerId;
  /** The process that it is in. */
  readonly storeId: number;
  /** Whether it has a vote. */
  readonly role: "voter" | "learner";
  /** How gladly it is elected, as in JRaft: -1 not judged, 0 never, else the higher the sooner. Absent: not said when it was added. */
  readonly priority?: number;
  /** `host:port` of its raft server as others reach it, where members know each other by it instead of by a directory of stores. */
  readonly address?: string;
}

/** Epoch and range that initial messages of a group carry, so that the receiver can judge whether to create a peer. */
export interface GroupDescription {
  /** Counts membership changes and splits. */
  readonly epoch: { readonly confVer: number; readonly version: number };
  /** Where its range begins, inclusive. */
  readonly startKey: Uint8Array;
  /** Where its range ends, exclusive. */
  readonly endKey: Uint8Array;
}

/** A message for a group that this host does not have. Only initial messages come here. */
export interface UnknownPeerMessage extends GroupDescription {
  /** The group. */
  readonly groupId: number;
  /** Whom the message is for. */
  readonly toPeer: PeerId;
  /** Who sent it. */
  readonly fromPeer: PeerId;
  /** From which process. */
  readonly fromStore: number;
  /** The sender's term. */
  readonly term: number;
}
