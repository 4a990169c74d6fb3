/** A member of PD as its records tell: who it is, where it is, and what is wanted of it. */
import type { PdMember, PdMemberInit, PdMemberRecord, PdMemberRecordInit } from "@rhea/proto";

/**
 * `joining`: has its id, not yet a voter; `member`: a voter; `removing`: is taken out of the configuration; `removed`: out for good, its id is
 * never given again.
 */
export type MemberState = "joining" | "member" | "removing" | "removed";

/** What a member says of itself. */
export interface MemberIdentity {
  /** Its peer id and store id in PD's group. */
  readonly memberId: number;
  readonly name: string;
  /** Empty while it is not known yet. */
  readonly address: string;
  /** Of the start that announced address, version and level. */
  readonly incarnation: number;
  readonly version: string;
  readonly featureLevel: number;
}

/** A member without the proof of its identity: what members tell each other. */
export interface MemberView extends MemberIdentity {
  readonly state: MemberState;
}

/** A member's durable record. */
export interface MemberRecord extends MemberView {
  /** Hexadecimal; empty in records of a member that never told. */
  readonly uuid: string;
}

const STATES: readonly string[] = ["joining", "member", "removing", "removed"] satisfies MemberState[];

/** Reads a member from the wire. An unknown state reads as `member`. */
export function memberFromProto(member: PdMember): MemberView {
  const { memberId, name, address, incarnation, version, featureLevel, state } = member;
  const known = STATES.includes(state) ? (state as MemberState) : "member";
  return { memberId, name, address, incarnation, version, featureLevel, state: known };
}

/** Writes a member for the wire. */
export function memberToProto(member: MemberView): PdMemberInit {
  const { memberId, name, address, incarnation, version, featureLevel, state } = member;
  return { memberId, name, address, incarnation, version, featureLevel, state };
}

/** Reads a durable record. */
export function memberFromRecord({ member, uuid }: PdMemberRecord): MemberRecord | undefined {
  return member === null ? undefined : { ...memberFromProto(member), uuid: Buffer.from(uuid).toString("hex") };
}

/** Writes a durable record. */
export function memberToRecord(record: MemberRecord): PdMemberRecordInit {
  return { member: memberToProto(record), uuid: Buffer.from(record.uuid, "hex") };
}
