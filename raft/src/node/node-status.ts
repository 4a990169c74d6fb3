/** The status of a group, put together from the parts that know. */
import type { RheaError } from "@rhea/common";
import type { ConfState, PeerId, RaftStatus } from "../core/types.js";
import type { GroupLog } from "../log/api.js";
import type { NodeStatus, PeerStatus } from "./api.js";
import type { Contacts } from "./contacts.js";
import type { MemberList } from "./membership.js";

/** Entries a peer may lack and still count as caught up, under writes. */
const CAUGHT_UP_LAG = 256;

/** What a status is made of. */
export interface StatusParts {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly lifecycle: "running" | "error" | "shutting" | "shutdown" | "follower";
  readonly error: RheaError | undefined;
  /** Absent while an interrupted install is resumed. */
  readonly raft: RaftStatus | undefined;
  readonly log: GroupLog;
  readonly applied: number;
  readonly confState: ConfState;
  readonly members: MemberList;
  readonly contacts: Contacts;
  readonly nowMs: number;
}

/** Builds a group's status. */
export function nodeStatus(parts: StatusParts): NodeStatus {
  const { groupId, peerId, raft, log, applied, confState, members, error, lifecycle } = parts;
  const role = raft === undefined ? "follower" : raft.leadTransferee === 0 ? raft.state : "transferring";
  return {
    groupId,
    peerId,
    term: raft?.term ?? log.hardState.term,
    leader: lifecycle === "running" ? (raft?.lead ?? 0) : 0,
    state: lifecycle === "running" ? role : lifecycle,
    lastIndex: raft?.lastIndex ?? log.lastIndex,
    committed: raft?.commit ?? applied,
    applied,
    truncatedIndex: log.truncatedIndex,
    confState,
    peers: members.all,
    progress: raft === undefined ? [] : progressOf(parts, raft),
    error,
  };
}

function progressOf({ peerId: self, members, contacts, nowMs }: StatusParts, raft: RaftStatus): PeerStatus[] {
  const list: PeerStatus[] = [];
  for (const [peerId, { match, state }] of raft.progress) {
    const peer = members.get(peerId);
    if (peer === undefined) continue;
    const silentMs = peerId === self ? 0 : nowMs - contacts.heardMs(peerId);
    const lastActiveMs = Math.min(Math.max(0, silentMs), Number.MAX_SAFE_INTEGER);
    const isCaughtUp = peerId === self || (state === "replicate" && match + CAUGHT_UP_LAG >= raft.commit);
    list.push({ ...peer, match, state, lastActiveMs, isCaughtUp });
  }
  return list;
}
