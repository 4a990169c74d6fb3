/** Who is in a group and where: the list of members, and the context by which a membership change names their stores. */
import { EMPTY_BYTES, RheaError } from "@rhea/common";
import { PeerRole, type CliPeer, type CliPeerInit } from "@rhea/proto";
import { confChangeOfEntry } from "../core/index.js";
import type { ConfChangeV2, ConfState, Entry, PeerId } from "../core/types.js";
import type { CommittedConfChange, PeerInfo } from "./api.js";

// Form 1 of the context: version byte, count, then per peer id (8 bytes), store id (8 bytes) and role (0 voter, 1 learner).
const CONTEXT_VERSION = 1;
const PEER_BYTES = 17;

/** A change that does nothing: what stands in the log when a committed change is refused. */
export const NO_CHANGE: ConfChangeV2 = {
  transition: "auto",
  changes: [{ type: "addNode", nodeId: 0 }],
  context: EMPTY_BYTES,
};

/** Encodes the members that a change adds. */
export function encodeChangeContext(peers: readonly PeerInfo[]): Uint8Array {
  const out = Buffer.alloc(2 + peers.length * PEER_BYTES);
  out[0] = CONTEXT_VERSION;
  out[1] = peers.length;
  peers.forEach(({ peerId, storeId, role }, i) => {
    const at = 2 + i * PEER_BYTES;
    writeUint(out, at, peerId);
    writeUint(out, at + 8, storeId);
    out[at + 16] = role === "voter" ? 0 : 1;
  });
  return out;
}

/**
 * Decodes what {@link encodeChangeContext} wrote; no bytes are no members.
 * @throws RheaError CORRUPTION for a malformed or VERSION_UNSUPPORTED for an unknown form.
 */
export function decodeChangeContext(context: Uint8Array): readonly PeerInfo[] {
  if (context.length === 0) return [];
  if (context[0] !== CONTEXT_VERSION) {
    throw new RheaError("VERSION_UNSUPPORTED", `a membership change has context version ${context[0] ?? 0}, known: 1`);
  }
  const count = context[1] ?? 0;
  if (context.length !== 2 + count * PEER_BYTES) {
    throw new RheaError("CORRUPTION", `a membership change names ${count} peers in ${context.length} bytes`);
  }
  const view = new DataView(context.buffer, context.byteOffset, context.length);
  return Array.from({ length: count }, (_, i) => {
    const at = 2 + i * PEER_BYTES;
    return {
      peerId: readUint(view, at),
      storeId: readUint(view, at + 8),
      role: view.getUint8(at + 16) === 0 ? "voter" : "learner",
    };
  });
}

/** The members of one group, kept in step with its configuration. */
export class MemberList {
  #peers: readonly PeerInfo[];
  #byId = new Map<PeerId, PeerInfo>();

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

  /** Brings the list in line with a configuration; stores of new members are taken from `named`. */
  update(confState: ConfState, named: readonly PeerInfo[]): void {
    const stores = new Map(this.#peers.map((peer) => [peer.peerId, peer.storeId]));
    for (const { peerId, storeId } of named) stores.set(peerId, storeId);
    const voters = new Set([...confState.voters, ...confState.votersOutgoing]);
    const learners = confState.learners.filter((id) => !voters.has(id));
    const toPeer =
      (role: PeerInfo["role"]) =>
      (peerId: PeerId): PeerInfo => ({ peerId, storeId: stores.get(peerId) ?? 0, role });
    this.#peers = [...[...voters].map(toPeer("voter")), ...learners.map(toPeer("learner"))].sort(
      (a, b) => a.peerId - b.peerId,
    );
    this.#byId = new Map(this.#peers.map((peer) => [peer.peerId, peer]));
  }

  /** Puts a committed change into the words of the state machine. */
  describe(entry: Entry, change: ConfChangeV2): CommittedConfChange {
    const named = new Map(decodeChangeContext(change.context).map((peer) => [peer.peerId, peer]));
    const changes = change.changes
      .filter(({ nodeId }) => nodeId !== 0)
      .map(({ type, nodeId }) => {
        const storeId = named.get(nodeId)?.storeId ?? this.#byId.get(nodeId)?.storeId ?? 0;
        const isLearner = type === "addLearnerNode";
        const action = type === "removeNode" ? "remove" : isLearner ? "addLearner" : "addVoter";
        const role =
          type === "removeNode" ? (this.#byId.get(nodeId)?.role ?? "voter") : isLearner ? "learner" : "voter";
        return { action, peer: { peerId: nodeId, storeId, role } } as const;
      });
    const type = entry.type === "confChange" ? entry.type : "confChangeV2";
    return { index: entry.index, term: entry.term, type, changes, isLeavingJoint: change.changes.length === 0 };
  }
}

/** Decodes the change of a committed entry that is one. */
export function changeOfEntry(entry: Entry): ConfChangeV2 {
  return confChangeOfEntry(entry) ?? NO_CHANGE;
}

/** Encodes a member for the wire. */
export function peerToWire({ peerId, storeId, role }: PeerInfo): CliPeerInit {
  return { peerId, storeId, role: role === "voter" ? PeerRole.VOTER : PeerRole.LEARNER };
}

/** Decodes a member from the wire. */
export function peerFromWire({ peerId, storeId, role }: CliPeer): PeerInfo {
  return { peerId, storeId, role: role === PeerRole.LEARNER ? "learner" : "voter" };
}

function writeUint(out: Buffer, at: number, value: number): void {
  out.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  out.writeUInt32BE(value % 2 ** 32, at + 4);
}

function readUint(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}
