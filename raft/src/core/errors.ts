import { RheaError } from "@rhea/common";

/** Tells why a proposal never entered the log. */
export type DropReason = "removed" | "transferring" | "noLeader" | "forwardingDisabled" | "uncommittedLimit";

const DROP_TEXT: Record<DropReason, string> = {
  removed: "this peer is no member of its own group any more: ask another peer",
  transferring: "a leadership transfer is in progress: repeat once it is over",
  noLeader: "the group has no leader known here: repeat later",
  forwardingDisabled: "this peer does not lead and does not forward: ask the leader",
  uncommittedLimit: "the uncommitted entries reached their size limit: repeat once some are committed",
};

/** Is thrown by `propose*` when the proposal certainly did not enter the log here; repeating it is safe. */
export class ProposalDroppedError extends RheaError {
  /** Why it was dropped. */
  readonly reason: DropReason;

  constructor(reason: DropReason) {
    super("PROPOSAL_DROPPED", `proposal dropped: ${DROP_TEXT[reason]}`);
    this.name = "ProposalDroppedError";
    this.reason = reason;
  }
}

/** Is thrown by a `Storage` asked for an index that only the snapshot holds. */
export class StorageCompactedError extends RheaError {
  constructor(index: number, firstIndex: number) {
    super("INTERNAL", `log index ${index} is compacted: the first index is ${firstIndex}; use the snapshot`);
    this.name = "StorageCompactedError";
  }
}

/** Is thrown by a `Storage` asked for an index beyond its last. */
export class StorageUnavailableError extends RheaError {
  constructor(index: number, lastIndex: number) {
    super("INTERNAL", `log index ${index} is not stored: the last index is ${lastIndex}`);
    this.name = "StorageUnavailableError";
  }
}

/** Is thrown by `Storage.snapshot` while the snapshot is being made; the core asks again when it next needs one. */
export class SnapshotTemporarilyUnavailableError extends RheaError {
  constructor() {
    super("UNAVAILABLE", "the snapshot is being made: ask again later");
    this.name = "SnapshotTemporarilyUnavailableError";
  }
}
