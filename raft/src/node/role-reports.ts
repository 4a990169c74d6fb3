/** Tells the embedder of one group who leads, whom this peer follows, and how its replication goes when it leads. */
import type { BasicStatus, PeerId } from "../core/types.js";
import type { PeerInfo, RaftHostOptions, ReplicatorChange } from "./api.js";
import type { Contacts } from "./contacts.js";
import type { MemberList } from "./membership.js";
import type { Notices } from "./notices.js";
import { ReplicatorWatch } from "./replicator-watch.js";
import { RoleWatch, type RoleChange } from "./role-watch.js";

/** The group that is told of. */
export interface ReportedGroup {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly isLeader: boolean;
  readonly members: MemberList;
  readonly host: {
    readonly options: Pick<RaftHostOptions, "onReplicatorStateChange">;
    readonly limits: { readonly electionTicks: number; readonly tickMs: number };
    readonly nowMs: number;
  };
  /** Asks for a turn that leaves the core alone. */
  wakeForUpkeep(): void;
}

/** The reports of one group. */
export class RoleReports {
  readonly #group: ReportedGroup;
  readonly #notices: Notices;
  readonly #contacts: Contacts;
  readonly #role = new RoleWatch();
  readonly #replicators: ReplicatorWatch | undefined;

  constructor(group: ReportedGroup, notices: Notices, contacts: Contacts) {
    this.#group = group;
    this.#notices = notices;
    this.#contacts = contacts;
    const { options } = group.host;
    const tell = (change: ReplicatorChange): void => {
      notices.add(() => options.onReplicatorStateChange?.(change));
      group.wakeForUpkeep();
    };
    this.#replicators = options.onReplicatorStateChange && new ReplicatorWatch(group.groupId, tell);
  }

  /** Whether this peer led at the last look. */
  get isLeader(): boolean {
    return this.#role.isLeader;
  }

  /** Takes note of term, leader and role, and queues what the embedder is to hear about it. Undefined if nothing changed. */
  look(status: BasicStatus): RoleChange | undefined {
    const change = this.#role.look(status);
    if (change === undefined) return undefined;
    const { term, lead } = status;
    const { stopped, started, left, joined, hasNewLeader } = change;
    if (stopped !== undefined) this.#notices.add((machine) => machine.onLeaderStop?.(stopped));
    if (left !== undefined) {
      this.#notices.add((machine) => machine.onStopFollowing?.(left.leader, left.term, left.reason));
    }
    if (started) this.#notices.add((machine) => machine.onLeaderStart?.(term));
    if (joined !== undefined) this.#notices.add((machine) => machine.onStartFollowing?.(joined.leader, joined.term));
    if (hasNewLeader) this.#notices.add((machine) => machine.onLeaderChange?.(lead, term));
    if (stopped !== undefined || started) this.lookAtReplicators();
    return change;
  }

  /** Looks whom this peer replicates to, and how that goes. */
  lookAtReplicators(): void {
    const { peerId: self, isLeader, members, host } = this.#group;
    const { electionTicks, tickMs } = host.limits;
    this.#replicators?.look({
      isLeader,
      others: members.all.filter(({ peerId }: PeerInfo) => peerId !== self),
      nowMs: host.nowMs,
      silenceMs: electionTicks * tickMs,
      heardMs: (peerId) => this.#contacts.heardMs(peerId),
    });
  }

  /** A message or snapshot to a peer was lost. */
  onLost(peerId: PeerId): void {
    this.#replicators?.onError(peerId, this.#group.host.nowMs);
  }

  /** The peer leads and follows no more: queues that as the last thing to tell. */
  end(why: string): void {
    const { isLeader, followed } = this.#role;
    if (isLeader) this.#notices.add((machine) => machine.onLeaderStop?.(why));
    else if (followed !== undefined) {
      this.#notices.add((machine) => machine.onStopFollowing?.(followed.leader, followed.term, why));
    }
    this.lookAtReplicators();
  }
}
