import type { PeerId } from "../core/types.js";
import type { GroupLog } from "../log/api.js";
import type { ChangeOptions, NodeMetrics, NodeStatus, PeerInfo, UserLog } from "./api.js";
import type { GroupAdmin } from "./group-admin.js";
import type { MemberList } from "./membership.js";
import { describeNode, nodeMetrics, type NodeFigures } from "./node-report.js";
import { readUserLog } from "./user-log.js";

/** The calls of a node's users that only pass on or put together: administration, figures, the log. */
export abstract class NodeCalls {
  abstract readonly admin: GroupAdmin;
  abstract readonly members: MemberList;
  abstract readonly log: GroupLog;
  abstract status(): NodeStatus;
  protected abstract figures(): Omit<NodeFigures, "status" | "log">;

  readCommittedUserLog(index: number): UserLog {
    return readUserLog(this.log, index, this.status().committed);
  }

  metrics(): NodeMetrics {
    return nodeMetrics({ ...this.figures(), status: this.status(), log: this.log });
  }

  describe(): string {
    return describeNode({ status: this.status(), metrics: this.metrics() });
  }

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
