import type { PeerId } from "../core/types.js";
import type { ChangeOptions, PeerInfo } from "./api.js";
import type { GroupAdmin } from "./group-admin.js";
import type { MemberList } from "./membership.js";

/** The administrative part of a node, as its users call it. */
export abstract class AdminCalls {
  abstract readonly admin: GroupAdmin;
  abstract readonly members: MemberList;

  addPeer(peer: PeerInfo, options?: ChangeOptions): Promise<void> {
    return this.admin.change({ kind: "addPeer", peer }, options);
  }

  removePeer(peerId: PeerId): Promise<void> {
    return this.admin.change({ kind: "removePeer", peerId });
  }

  changePeers(peers: readonly PeerInfo[], options?: ChangeOptions): Promise<void> {
    return this.admin.change({ kind: "changePeers", peers }, options);
  }

  resetPeers(peers: readonly PeerInfo[]): Promise<void> {
    return this.admin.resetPeers(peers);
  }

  addLearners(peers: readonly PeerInfo[]): Promise<void> {
    return this.admin.change({ kind: "addLearners", peers });
  }

  removeLearners(peerIds: readonly PeerId[]): Promise<void> {
    return this.admin.change({ kind: "removeLearners", peerIds });
  }

  resetLearners(peers: readonly PeerInfo[]): Promise<void> {
    return this.admin.change({ kind: "resetLearners", peers });
  }

  learnerToFollower(peerId: PeerId, options?: ChangeOptions): Promise<void> {
    return this.admin.change({ kind: "learnerToFollower", peerId }, options);
  }

  transferLeadershipTo(to: PeerId | "any"): Promise<void> {
    return this.admin.transferLeadershipTo(to);
  }

  listPeers(): readonly PeerInfo[] {
    return this.members.all;
  }

  listAlivePeers(): readonly PeerInfo[] {
    return this.admin.listAlive("voter");
  }

  listAliveLearners(): readonly PeerInfo[] {
    return this.admin.listAlive("learner");
  }
}
