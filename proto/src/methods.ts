/** The remote methods: paths and codecs. Structurally the `RpcMethod` of common. */
import * as pb from "../gen/rhea.js";

/** How one method's messages become bytes and back. */
export interface Method<Req, Res, ReqMessage = Req, ResMessage = Res> {
  readonly path: string;
  readonly kind: "unary" | "stream";
  encodeRequest(message: Req): Uint8Array;
  decodeRequest(bytes: Uint8Array): ReqMessage;
  encodeResponse(message: Res): Uint8Array;
  decodeResponse(bytes: Uint8Array): ResMessage;
}

function method<Req, ReqInit, Res, ResInit>(
  path: string,
  kind: "unary" | "stream",
  request: pb.MessageCodec<Req, ReqInit>,
  response: pb.MessageCodec<Res, ResInit>,
) {
  return {
    path,
    kind,
    encodeRequest: (message: ReqInit) => request.encode(message).finish(),
    decodeRequest: (bytes: Uint8Array) => request.decode(bytes),
    encodeResponse: (message: ResInit) => response.encode(message).finish(),
    decodeResponse: (bytes: Uint8Array) => response.decode(bytes),
  };
}

/** Clients to stores. */
export const KvMethods = {
  Operations: method("/rhea.Kv/Operations", "stream", pb.KvRequests, pb.KvResponses),
  Routes: method("/rhea.Kv/Routes", "unary", pb.StoreRoutesRequest, pb.StoreRoutesResponse),
};

/** Stores, clients, operator and rheactl to PD. */
export const PdMethods = {
  ClusterInfo: method("/rhea.Pd/ClusterInfo", "unary", pb.ClusterInfoRequest, pb.ClusterInfoResponse),
  SetClusterConfig: method(
    "/rhea.Pd/SetClusterConfig",
    "unary",
    pb.SetClusterConfigRequest,
    pb.SetClusterConfigResponse,
  ),
  Bootstrap: method("/rhea.Pd/Bootstrap", "unary", pb.BootstrapRequest, pb.BootstrapResponse),
  AllocId: method("/rhea.Pd/AllocId", "unary", pb.AllocIdRequest, pb.AllocIdResponse),
  PutStore: method("/rhea.Pd/PutStore", "unary", pb.PutStoreRequest, pb.PutStoreResponse),
  Heartbeats: method("/rhea.Pd/Heartbeats", "stream", pb.StoreToPd, pb.PdToStore),
  GetRegion: method("/rhea.Pd/GetRegion", "unary", pb.GetRegionRequest, pb.GetRegionResponse),
  ScanRegions: method("/rhea.Pd/ScanRegions", "unary", pb.ScanRegionsRequest, pb.ScanRegionsResponse),
  AskSplit: method("/rhea.Pd/AskSplit", "unary", pb.AskSplitRequest, pb.AskSplitResponse),
  ReportSplit: method("/rhea.Pd/ReportSplit", "unary", pb.ReportSplitRequest, pb.Empty),
  GetStores: method("/rhea.Pd/GetStores", "unary", pb.GetStoresRequest, pb.GetStoresResponse),
  DrainStore: method("/rhea.Pd/DrainStore", "unary", pb.StoreRequest, pb.StoreResponse),
  CancelDrain: method("/rhea.Pd/CancelDrain", "unary", pb.StoreRequest, pb.StoreResponse),
  RemoveStore: method("/rhea.Pd/RemoveStore", "unary", pb.StoreRequest, pb.StoreResponse),
  ReportDiskLost: method("/rhea.Pd/ReportDiskLost", "unary", pb.ReportDiskLostRequest, pb.StoreResponse),
  EvictLeaders: method("/rhea.Pd/EvictLeaders", "unary", pb.EvictLeadersRequest, pb.StoreResponse),
  SetStoreLabels: method("/rhea.Pd/SetStoreLabels", "unary", pb.SetStoreLabelsRequest, pb.StoreResponse),
  AddOperation: method("/rhea.Pd/AddOperation", "unary", pb.AddOperationRequest, pb.AddOperationResponse),
  ListOperations: method("/rhea.Pd/ListOperations", "unary", pb.ListOperationsRequest, pb.ListOperationsResponse),
  CancelOperation: method("/rhea.Pd/CancelOperation", "unary", pb.CancelOperationRequest, pb.AddOperationResponse),
  AddMember: method("/rhea.Pd/AddMember", "unary", pb.AddMemberRequest, pb.AddMemberResponse),
  AnnounceMember: method("/rhea.Pd/AnnounceMember", "unary", pb.AnnounceMemberRequest, pb.AnnounceMemberResponse),
  GetMembers: method("/rhea.Pd/GetMembers", "unary", pb.GetMembersRequest, pb.GetMembersResponse),
  RemoveMember: method("/rhea.Pd/RemoveMember", "unary", pb.MemberRequest, pb.MemberResponse),
  TransferPdLeader: method("/rhea.Pd/TransferPdLeader", "unary", pb.MemberRequest, pb.MemberResponse),
};

/** Raft hosts to each other. */
export const RaftMethods = {
  Messages: method("/rhea.Raft/Messages", "stream", pb.RaftBatch, pb.RaftBatchReply),
  Snapshot: method("/rhea.Raft/Snapshot", "stream", pb.SnapshotChunk, pb.SnapshotReply),
};

/** CliService: administration of one group, at the host that leads it; ResetPeers, Snapshot and GetLeader at any of its hosts. */
export const CliMethods = {
  AddPeer: method("/rhea.Cli/AddPeer", "unary", pb.CliRequest, pb.CliResponse),
  RemovePeer: method("/rhea.Cli/RemovePeer", "unary", pb.CliRequest, pb.CliResponse),
  ChangePeers: method("/rhea.Cli/ChangePeers", "unary", pb.CliRequest, pb.CliResponse),
  ResetPeers: method("/rhea.Cli/ResetPeers", "unary", pb.CliRequest, pb.CliResponse),
  AddLearners: method("/rhea.Cli/AddLearners", "unary", pb.CliRequest, pb.CliResponse),
  RemoveLearners: method("/rhea.Cli/RemoveLearners", "unary", pb.CliRequest, pb.CliResponse),
  ResetLearners: method("/rhea.Cli/ResetLearners", "unary", pb.CliRequest, pb.CliResponse),
  LearnerToFollower: method("/rhea.Cli/LearnerToFollower", "unary", pb.CliRequest, pb.CliResponse),
  TransferLeader: method("/rhea.Cli/TransferLeader", "unary", pb.CliRequest, pb.CliResponse),
  Snapshot: method("/rhea.Cli/Snapshot", "unary", pb.CliRequest, pb.CliResponse),
  GetLeader: method("/rhea.Cli/GetLeader", "unary", pb.CliRequest, pb.CliResponse),
  GetPeers: method("/rhea.Cli/GetPeers", "unary", pb.CliRequest, pb.CliResponse),
  GetAlivePeers: method("/rhea.Cli/GetAlivePeers", "unary", pb.CliRequest, pb.CliResponse),
  GetLearners: method("/rhea.Cli/GetLearners", "unary", pb.CliRequest, pb.CliResponse),
  GetAliveLearners: method("/rhea.Cli/GetAliveLearners", "unary", pb.CliRequest, pb.CliResponse),
};
