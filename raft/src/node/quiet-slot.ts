/** What is kept per group about resting. */
import type { PeerId } from "../core/types.js";
import type { LedEntry, LedSet } from "./quiet-led.js";
import type { FollowedEntry, FollowedSet } from "./quiet-followed.js";

/** A follower's word that it rests, at this term and commit index. */
export interface Agreement {
  readonly storeId: number;
  readonly incarnation: number;
  readonly term: number;
  readonly commit: number;
}

/** A leader's word that its group may rest. */
export interface Offer extends Agreement {
  readonly leader: PeerId;
}

/** How a group rests. */
export type Rest =
  | {
      readonly kind: "leads";
      /** One for each follower that rests. */
      readonly entries: readonly LedEntry[];
      /** The stores of followers that cannot be reached. */
      readonly away: readonly LedSet[];
    }
  | { readonly kind: "follows"; readonly entry: FollowedEntry; readonly set: FollowedSet };

/** One group's part. Owned by the host's QuietGroups. */
export class QuietSlot {
  /** Absent while the group is awake. */
  rest: Rest | undefined;
  /** On a leader: since which tick these have been what they are, with nothing pending. */
  calmTerm = 0;
  calmCommit = 0;
  /** Where the log begins; followers hear of it by items only. */
  calmTruncated = 0;
  calmSince = 0;
  /** On a leader: this round of heartbeats offers rest. */
  isOffering = false;
  agreements: Map<PeerId, Agreement> | undefined;
  /** On a follower: the offer of the heartbeat that is being answered. */
  offer: Offer | undefined;

  /** Tick at which a peer was last heard of through digests; -Infinity if that is not how it is heard of. */
  heardTick(peerId: PeerId): number {
    const { rest } = this;
    if (rest?.kind === "leads") {
      const entry = rest.entries.find(({ follower }) => follower === peerId);
      return entry?.set.heardTick(entry) ?? -Infinity;
    }
    return rest?.entry.leader === peerId ? rest.set.heardTick(rest.entry) : -Infinity;
  }
}
