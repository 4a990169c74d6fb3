/** PD's members through the API. */
import { RheaError } from "@rhea/common";
import type {
  AddMemberRequest,
  AddMemberResponseInit,
  AnnounceMemberRequest,
  AnnounceMemberResponseInit,
  GetMembersRequest,
  GetMembersResponseInit,
  MemberRequest,
  MemberResponseInit,
} from "@rhea/proto";
import { memberToProto, type MemberBook } from "../members/index.js";
import { requireCluster } from "./cluster-api.js";
import type { Coordinator } from "./coordinator.js";

const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** Gives a new member its id and makes it a learner, then a voter. */
export async function addMember(coordinator: Coordinator, request: AddMemberRequest): Promise<AddMemberResponseInit> {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: false });
  const { name, address, version, featureLevel } = request;
  const uuid = toHex(request.uuid);
  if (name === "" || uuid === "") throw new RheaError("INVALID_ARGUMENT", "AddMember: name and uuid must be given");
  const memberId = await coordinator.members.add({ name, address, uuid, version, featureLevel });
  coordinator.members.step();
  return { memberId, members: coordinator.members.list() };
}

/**
 * Takes in where a member is: in this process's book, and, where this member leads, in the records. Throws STALE_IDENTITY for a member that
 * was removed, as far as is known here.
 */
export async function announceMember(
  { book, clusterId, leading }: { book: MemberBook; clusterId: number; leading: Coordinator | undefined },
  request: AnnounceMemberRequest,
): Promise<AnnounceMemberResponseInit> {
  requireCluster(request.header, clusterId, { mayBeAny: false });
  const { memberId, name, address, incarnation, version, featureLevel } = request;
  const known = book.get(memberId);
  if (known?.state === "removed") {
    throw new RheaError(
      "STALE_IDENTITY",
      `PD member ${memberId} (${name}) was removed from the cluster for good: delete its data directory`,
    );
  }
  const told = { memberId, name, address, incarnation, version, featureLevel };
  if (leading !== undefined) await leading.members.announce({ ...told, uuid: toHex(request.uuid) });
  // A member that nobody here knows yet is the leader's to judge.
  if (known !== undefined || leading !== undefined) book.learn([{ ...told, state: known?.state ?? "joining" }]);
  return { members: book.all().map(memberToProto) };
}

/** Lists the members that are not removed. */
export function getMembers(coordinator: Coordinator, request: GetMembersRequest): GetMembersResponseInit {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  return { members: coordinator.members.list() };
}

/** Takes a member out for good. Repeating it changes nothing. */
export async function removeMember(coordinator: Coordinator, request: MemberRequest): Promise<MemberResponseInit> {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  await coordinator.members.remove(request.name, request.origin);
  return { members: coordinator.members.list() };
}

/** Moves PD's leadership. */
export async function transferPdLeader(coordinator: Coordinator, request: MemberRequest): Promise<MemberResponseInit> {
  requireCluster(request.header, coordinator.clusterId, { mayBeAny: true });
  coordinator.logger.log("info", "PD's leadership is to move", { to: request.name, origin: request.origin });
  await coordinator.members.transferTo(request.name);
  return { members: coordinator.members.list() };
}
