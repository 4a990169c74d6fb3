import { InvariantError, type Clock, type RheaError } from "@rhea/common";
import type { RawNode } from "../core/index.js";
import type { ConfChangeV2, ConfState, Entry, Message, PeerId } from "../core/types.js";
import type { GroupLog } from "../log/api.js";
import type { PeerInfo, StateMachine, Task } from "./api.js";
import type { ApplyTarget } from "./apply.js";
import type { ClientRequests } from "./client-requests.js";
import type { GroupAdmin } from "./group-admin.js";
import type { MemberList } from "./membership.js";
import type { RoleReports } from "./role-reports.js";

/** The group whose entries are applied. */
export interface AppliedGroup {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly stateMachine: StateMachine;
  readonly members: MemberList;
  readonly admin: GroupAdmin;
  readonly log: GroupLog;
  readonly host: {
    readonly options: { readonly clock: Clock; onRemoved?(groupId: number): void };
    forgetStores(storeIds: readonly number[]): void;
  };
  /** The core; undefined before it starts. */
  readonly startedCore: RawNode | undefined;
  respond(responses: readonly Message[]): void;
  wake(): void;
  fail(error: RheaError): void;
}

/** Spreads what applying brings about over the parts of a group that wait for it. */
export class ApplyPort implements ApplyTarget {
  readonly groupId: number;
  readonly stateMachine: StateMachine;
  readonly members: MemberList;
  readonly #group: AppliedGroup;
  readonly #requests: ClientRequests;
  readonly #role: RoleReports;

  constructor(group: AppliedGroup, requests: ClientRequests, role: RoleReports) {
    this.#group = group;
    this.groupId = group.groupId;
    this.stateMachine = group.stateMachine;
    this.members = group.members;
    this.#requests = requests;
    this.#role = role;
  }

  takeTask(entry: Entry): Task | undefined {
    return this.#requests.take(entry);
  }

  tellCommitted(task: Task, index: number, term: number): void {
    this.#requests.tellCommitted(task, index, term);
  }

  applyConfChange(change: ConfChangeV2): ConfState {
    const confState = this.#core("a change").applyConfChange(change);
    this.#group.wake();
    return confState;
  }

  resetMembership(conf: ConfState): ConfState {
    return this.#core("a configuration").resetMembership(conf);
  }

  onChangeApplied(entry: Entry, wasAccepted: boolean): void {
    this.#group.admin.onChangeApplied(entry, wasAccepted);
    this.#role.lookAtReplicators();
  }

  onLeft(members: readonly PeerInfo[]): void {
    const { host, groupId, peerId } = this.#group;
    host.forgetStores(members.map(({ storeId }) => storeId));
    if (members.some((member) => member.peerId === peerId)) host.options.onRemoved?.(groupId);
  }

  clockMs(): number {
    return this.#group.host.options.clock.monotonicMs();
  }

  termOf(index: number): number {
    return this.#group.log.term(index);
  }

  respond(responses: readonly Message[]): void {
    this.#group.respond(responses);
  }

  wake(): void {
    this.#group.wake();
  }

  fail(error: RheaError): void {
    this.#group.fail(error);
  }

  #core(what: string): RawNode {
    const core = this.#group.startedCore;
    if (core === undefined) throw new InvariantError(`group ${this.groupId}: ${what} without a core`);
    return core;
  }
}
