/** CliService: administration of one group, asked of the host that leads it. */
import { RheaError, type RpcServer } from "@rhea/common";
import { CliMethods, type CliRequest, type CliResponseInit } from "@rhea/proto";
import type { GroupDescription, PeerInfo, RaftNode } from "./api.js";
import { peerFromWire, peerToWire } from "./membership.js";

/** What the service needs of its host. */
export interface CliServiceOptions {
  group(groupId: number): RaftNode | undefined;
  describeGroup(groupId: number): GroupDescription | undefined;
}

/** Registers the service's methods. Errors reach the caller with their code. */
export function addCliService(server: RpcServer, options: CliServiceOptions): void {
  const nodeOf = ({ groupId }: CliRequest): RaftNode => {
    const node = options.group(groupId);
    if (node !== undefined) return node;
    throw new RheaError("REGION_NOT_FOUND", `group ${groupId} has no peer on this store: ask another`, {
      details: { regionId: groupId },
    });
  };
  const peerOf = ({ peer }: CliRequest): PeerInfo => {
    if (peer === null || peer.peerId === 0) throw new RheaError("INVALID_ARGUMENT", "the request names no peer");
    return peerFromWire(peer);
  };
  const describe = (node: RaftNode): CliResponseInit => {
    const peers = node.listPeers();
    const leader = peers.find(({ peerId }) => peerId === node.leaderId);
    return {
      peers: peers.map(peerToWire),
      leader: leader === undefined ? null : peerToWire(leader),
      term: node.term,
      epoch: options.describeGroup(node.groupId)?.epoch,
    };
  };
  server.unary(CliMethods.AddPeer, async (request) => {
    const node = nodeOf(request);
    const peer = peerOf(request);
    if (peer.storeId === 0) throw new RheaError("INVALID_ARGUMENT", `peer ${peer.peerId} needs a store id`);
    await node.addPeer(peer);
    return describe(node);
  });
  server.unary(CliMethods.RemovePeer, async (request) => {
    const node = nodeOf(request);
    await node.removePeer(peerOf(request).peerId);
    return describe(node);
  });
  server.unary(CliMethods.TransferLeader, async (request) => {
    const node = nodeOf(request);
    await node.transferLeadershipTo(peerOf(request).peerId);
    return describe(node);
  });
  server.unary(CliMethods.GetPeers, async (request) => {
    // The leader's list is the present one.
    const node = nodeOf(request);
    await node.readIndex();
    return describe(node);
  });
  server.unary(CliMethods.GetLeader, async (request) => {
    const node = nodeOf(request);
    if (node.leaderId === 0) {
      throw new RheaError("LEADER_NOT_AVAILABLE", `group ${node.groupId} has no leader at the moment: repeat later`, {
        details: { regionId: node.groupId },
      });
    }
    return describe(node);
  });
}
