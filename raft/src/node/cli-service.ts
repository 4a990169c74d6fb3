/** CliService: administration of one group, asked of the host that leads it (or, where a call is about one peer, of that peer's host). */
import { RheaError, type RpcServer } from "@rhea/common";
import { CliMethods, type CliPeer, type CliRequest, type CliResponseInit } from "@rhea/proto";
import type { ChangeOptions, GroupDescription, PeerInfo, RaftNode } from "./api.js";
import { findMember } from "./conf-plan.js";
import { peerFromWire, peerToWire } from "./membership.js";
import { notLeader } from "./node-errors.js";

/** What the service needs of its host. */
export interface CliServiceOptions {
  group(groupId: number): RaftNode | undefined;
  describeGroup(groupId: number): GroupDescription | undefined;
  /** `host:port` of a store's raft server, so that callers find a leader without a directory of their own. */
  resolve(storeId: number): string | undefined;
}

type Method = (typeof CliMethods)[keyof typeof CliMethods];

/** Registers the service's methods. Errors reach the caller with their code. */
export function addCliService(server: RpcServer, options: CliServiceOptions): void {
  const register = (method: Method, run: (node: RaftNode, request: CliRequest) => Promise<CliResponseInit>): void => {
    server.unary(method, async (request: CliRequest): Promise<CliResponseInit> => {
      const node = nodeOf(options, request);
      try {
        return await run(node, request);
      } catch (error) {
        throw withAddress(options, RheaError.from(error));
      }
    });
  };
  /** Registers a method that does something and answers with the group as it is then; `list` says which of its peers. */
  const serve = (
    method: Method,
    run: (node: RaftNode, request: CliRequest) => Promise<void>,
    list: (node: RaftNode) => readonly PeerInfo[] = (node) => node.listPeers(),
  ): void => {
    register(method, async (node, request) => {
      await run(node, request);
      return describe(options, node, list(node));
    });
  };

  serve(CliMethods.AddPeer, (node, request) =>
    node.addPeer(requirePlace(requirePeer(request)), changeOptions(request)),
  );
  serve(CliMethods.RemovePeer, async (node, request) => {
    const member = memberOf(node, requirePeer(request));
    if (member !== undefined) await node.removePeer(member.peerId);
    else requireLeader(node);
  });
  serve(CliMethods.ChangePeers, (node, request) => node.changePeers(requirePeers(request), changeOptions(request)));
  serve(CliMethods.ResetPeers, (node, request) => {
    requireThisPeer(node, request);
    return node.resetPeers(requirePeers(request));
  });
  serve(CliMethods.AddLearners, (node, request) => node.addLearners(requirePeers(request)));
  serve(CliMethods.RemoveLearners, (node, request) => {
    const members = requireNamed(request).map((peer) => memberOf(node, peer));
    return node.removeLearners(members.flatMap((member) => (member === undefined ? [] : [member.peerId])));
  });
  // No learners at all is a list of learners too.
  serve(CliMethods.ResetLearners, (node, { peers }) => node.resetLearners(peers.map(peerFromWire).map(requirePlace)));
  serve(CliMethods.LearnerToFollower, (node, request) =>
    node.learnerToFollower(requireMember(node, requirePeer(request)).peerId, changeOptions(request)),
  );
  serve(CliMethods.TransferLeader, (node, request) => {
    if (request.any) return node.transferLeadershipTo("any");
    return node.transferLeadershipTo(requireMember(node, requirePeer(request)).peerId);
  });
  register(CliMethods.Snapshot, async (node, request) => {
    requireThisPeer(node, request);
    const { index } = await node.snapshot();
    return { ...describe(options, node, node.listPeers()), snapshotIndex: index };
  });
  serve(CliMethods.GetLeader, async (node) => {
    if (node.leaderId !== 0) return;
    const message = `group ${node.groupId} has no leader at the moment: repeat later`;
    throw new RheaError("LEADER_NOT_AVAILABLE", message, { details: { regionId: node.groupId } });
  });
  // A confirmed leader's list is the present one; a follower asks it.
  serve(CliMethods.GetPeers, (node) => node.readIndex());
  serve(CliMethods.GetLearners, (node) => node.readIndex(), learnersOf);
  serve(
    CliMethods.GetAlivePeers,
    (node) => node.readIndex(),
    (node) => node.listAlivePeers(),
  );
  serve(
    CliMethods.GetAliveLearners,
    (node) => node.readIndex(),
    (node) => node.listAliveLearners(),
  );
}

function nodeOf(options: CliServiceOptions, { groupId }: CliRequest): RaftNode {
  if (groupId === 0) throw new RheaError("INVALID_ARGUMENT", "the request names no group");
  const node = options.group(groupId);
  if (node !== undefined) return node;
  throw new RheaError("REGION_NOT_FOUND", `group ${groupId} has no peer on this store: ask another`, {
    details: { regionId: groupId },
  });
}

function learnersOf(node: RaftNode): PeerInfo[] {
  return node.listPeers().filter(({ role }) => role === "learner");
}

/** The group as this peer knows it; addresses are added where members do not have them. */
function describe(options: CliServiceOptions, node: RaftNode, peers: readonly PeerInfo[]): CliResponseInit {
  const leader = node.listPeers().find(({ peerId }) => peerId === node.leaderId);
  const toWire = (peer: PeerInfo) => peerToWire({ address: options.resolve(peer.storeId) ?? "", ...peer });
  return {
    peers: peers.map(toWire),
    leader: leader === undefined ? null : toWire(leader),
    term: node.term,
    epoch: options.describeGroup(node.groupId)?.epoch,
  };
}

/** Says where the leader is, so that the caller can go there. */
function withAddress(options: CliServiceOptions, error: RheaError): RheaError {
  const { leader } = error.details;
  if (leader === undefined || leader.address !== undefined) return error;
  const address = options.resolve(leader.storeId);
  if (address === undefined) return error;
  const details = { ...error.details, leader: { ...leader, address } };
  return new RheaError(error.code, error.message, { details, cause: error });
}

function changeOptions({ withoutCatchUp, catchUpMargin, catchUpTimeoutMs }: CliRequest): ChangeOptions {
  return {
    withoutCatchUp,
    ...(catchUpMargin === 0 ? {} : { catchUpMargin }),
    ...(catchUpTimeoutMs === 0 ? {} : { catchUpTimeoutMs }),
  };
}

function requirePeer({ peer, groupId }: CliRequest): PeerInfo {
  if (peer === null) throw new RheaError("INVALID_ARGUMENT", `group ${groupId}: the request names no peer`);
  return requireName(peer);
}

function requireNamed({ peers, groupId }: CliRequest): PeerInfo[] {
  if (peers.length === 0) throw new RheaError("INVALID_ARGUMENT", `group ${groupId}: the request names no peers`);
  return peers.map(requireName);
}

/** Peers that are to be members: each with the store it is on. */
function requirePeers(request: CliRequest): PeerInfo[] {
  return requireNamed(request).map(requirePlace);
}

function requireName(wire: CliPeer): PeerInfo {
  const { peerId, storeId, address } = wire;
  if (peerId === 0 && storeId === 0 && address === "") {
    throw new RheaError("INVALID_ARGUMENT", "a peer is named by neither id, store nor address");
  }
  return peerFromWire(wire);
}

function requirePlace(peer: PeerInfo): PeerInfo {
  if (peer.storeId !== 0) return peer;
  throw new RheaError("INVALID_ARGUMENT", `peer ${peer.peerId} (${peer.address ?? "no address"}) needs a store id`);
}

/** The member that a peer names by its id, else its store, else its address. */
function memberOf(node: RaftNode, peer: PeerInfo): PeerInfo | undefined {
  const members = node.listPeers();
  if (peer.peerId !== 0 || peer.storeId !== 0) return findMember(members, peer);
  return members.find(({ address }) => address === peer.address);
}

function requireMember(node: RaftNode, peer: PeerInfo): PeerInfo {
  const member = memberOf(node, peer);
  if (member !== undefined) return member;
  // What a follower knows may be old.
  requireLeader(node);
  const name = peer.peerId === 0 ? (peer.address ?? `on store ${peer.storeId}`) : String(peer.peerId);
  throw new RheaError("NOT_FOUND", `group ${node.groupId}: peer ${name} is no member of it`, {
    details: { regionId: node.groupId },
  });
}

function requireLeader(node: RaftNode): void {
  if (node.isLeader) return;
  const peerId = node.leaderId;
  const storeId = node.listPeers().find((peer) => peer.peerId === peerId)?.storeId ?? 0;
  throw notLeader(node.groupId, { peerId, storeId });
}

/** Refuses what is meant for another peer of the group than the one that is here. */
function requireThisPeer(node: RaftNode, { peer }: CliRequest): void {
  if (peer === null || peer.peerId === 0 || peer.peerId === node.peerId) return;
  const message = `group ${node.groupId}: peer ${node.peerId} is here, not peer ${peer.peerId}: ask its own process`;
  throw new RheaError("NOT_FOUND", message, { details: { regionId: node.groupId } });
}
