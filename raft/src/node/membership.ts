/** Who is in a group and where: the list of members, kept in step with the configuration that the core knows by ids only. */
import { EMPTY_BYTES } from "@rhea/common";
import { PeerRole, type CliPeer, type CliPeerInit } from "@rhea/proto";
import { confChangeOfEntry } from "../core/index.js";
import type { ConfChangeV2, ConfState, Entry, PeerId } from "../core/types.js";
import type { CommittedConfChange, PeerInfo } from "./api.js";
import { decodeChangeContext } from "./change-context.js";

/** A change that does nothing: what stands in the log when a committed change is refused. */
export const NO_CHANGE: ConfChangeV2 = {
  transition: "auto",
  changes: [{ type: "addNode", nodeId: 0 }],
  context: EMPTY_BYTES,
};

const NO_PRIORITIES: ReadonlyMap<PeerId, number> = new Map();

/** The members of one group, kept in step with its configuration. */
export class MemberList {
  #peers: readonly PeerInfo[];
  #byId = new Map<PeerId, PeerInfo>();
  #priorities: ReadonlyMap<PeerId, number> = NO_PRIORITIES;

  constructor(peers: readonly PeerInfo[], confState: ConfState) {
    this.#peers = peers;
    this.update(confState, peers);
  }

  get all(): readonly PeerInfo[] {
    return this.#peers;
  }

  get(peerId: PeerId): PeerInfo | undefined {
    return this.#byId.get(peerId);
  }

  /** Election priorities of the members that have one; another map after each change. */
  get priorities(): ReadonlyMap<PeerId, number> {
    return this.#priorities;
  }

  /** The member on a store; undefined if there is none. */
  onStore(storeId: number): PeerInfo | undefined {
    return this.#peers.find((peer) => peer.storeId === storeId);
  }

  /** Brings the list in line with a configuration; where and what its members are is taken from `named`, else as it was. */
  update(confState: ConfState, named: readonly PeerInfo[]): void {
    const known = new Map(this.#peers.map((peer) => [peer.peerId, peer]));
    for (const peer of named) known.set(peer.peerId, { ...known.get(peer.peerId), ...peer });
    const voters = new Set([...confState.voters, ...confState.votersOutgoing]);
    const learners = confState.learners.filter((id) => !voters.has(id));
    const toPeer =
      (role: PeerInfo["role"]) =>
      (peerId: PeerId): PeerInfo => ({ ...(known.get(peerId) ?? { peerId, storeId: 0 }), role });
    this.#peers = [...[...voters].map(toPeer("voter")), ...learners.map(toPeer("learner"))].sort(
      (a, b) => a.peerId - b.peerId,
    );
    this.#byId = new Map(this.#peers.map((peer) => [peer.peerId, peer]));
    const priorities = new Map<PeerId, number>();
    for (const { peerId, priority } of this.#peers) if (priority !== undefined) priorities.set(peerId, priority);
    this.#priorities = priorities.size === 0 ? NO_PRIORITIES : priorities;
  }

  /** Puts a committed change into the words of the state machine. */
  describe(entry: Entry, change: ConfChangeV2): CommittedConfChange {
    const { peers, isReset } = decodeChangeContext(change.context);
    const named = new Map(peers.map((peer) => [peer.peerId, peer]));
    const changes = change.changes
      .filter(({ nodeId }) => nodeId !== 0)
      .map(({ type, nodeId }) => {
        const before = this.#byId.get(nodeId);
        const role = type === "addLearnerNode" ? "learner" : type === "addNode" ? "voter" : (before?.role ?? "voter");
        const action = type === "removeNode" ? "remove" : role === "learner" ? "addLearner" : "addVoter";
        const peer: PeerInfo = { peerId: nodeId, storeId: 0, ...before, ...named.get(nodeId), role };
        return { action, peer } as const;
      });
    const type = entry.type === "confChange" ? entry.type : "confChangeV2";
    const isLeavingJoint = change.changes.length === 0;
    return { index: entry.index, term: entry.term, type, changes, isLeavingJoint, isForced: isReset };
  }
}

/** Decodes the change of a committed entry that is one. */
export function changeOfEntry(entry: Entry): ConfChangeV2 {
  return confChangeOfEntry(entry) ?? NO_CHANGE;
}

/** Encodes a member for the wire. */
export function peerToWire({ peerId, storeId, role, address = "", priority }: PeerInfo): CliPeerInit {
  return {
    peerId,
    storeId,
    role: role === "voter" ? PeerRole.VOTER : PeerRole.LEARNER,
    address,
    priority: priority ?? null,
  };
}

/** Decodes a member from the wire. */
export function peerFromWire({ peerId, storeId, role, address, priority }: CliPeer): PeerInfo {
  return {
    peerId,
    storeId,
    role: role === PeerRole.LEARNER ? "learner" : "voter",
    ...(priority === null ? {} : { priority }),
    ...(address === "" ? {} : { address }),
  };
}
