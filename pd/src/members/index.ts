/**
 * members: PD's own membership: records of members, the address book of a process, the leader's level-triggered changes of the group, and
 * a new member's way in. Used by the service and by the process; it knows nothing of stores and regions.
 */
export { Announcer } from "./announcer.js";
export { joinMembers } from "./join.js";
export type { MemberGroup } from "./member-group.js";
export { MemberBook } from "./member-book.js";
export { MemberKeeper } from "./member-keeper.js";
export type { ProvenMember } from "./member-keeper.js";
export { memberFromRecord, memberToProto, memberToRecord } from "./member.js";
export type { MemberRecord } from "./member.js";
