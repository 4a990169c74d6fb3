/** The administration of one group at one peer: changes of members, transfers of leadership, and the reset by force. */
import type { RheaError } from "@rhea/common";
import { FIRST_RESET_TERM, type RawNode } from "../core/index.js";
import type { ConfState, Entry, HardState, Message, PeerId } from "../core/types.js";
import type { GroupLog, LogRecord } from "../log/api.js";
import type { ChangeOptions, HostLimits, NodeStatus, PeerInfo, RaftHostOptions } from "./api.js";
import type { PeerPlace } from "./group-host.js";
import { GroupReset } from "./group-reset.js";
import { pickSuccessor } from "./leader-hand-over.js";
import type { MemberList } from "./membership.js";
import { hasLeader, noSuccessor, notLeader } from "./node-errors.js";
import { AdminRequests, type ChangeRequest } from "./requests.js";
import { cutOffError, judgeAfterReset } from "./reset-peers.js";

/** The group that is administered. */
export interface AdminGroup {
  readonly groupId: number;
  readonly peerId: PeerId;
  readonly members: MemberList;
  readonly confState: ConfState;
  readonly log: GroupLog;
  readonly isLeader: boolean;
  readonly host: {
    readonly options: RaftHostOptions;
    readonly limits: HostLimits;
    readonly tick: number;
  };
  /**
   * The core of a peer that runs.
   * @throws RheaError the peer's own error, or SHUTTING_DOWN.
   */
  requireCore(): RawNode;
  leaderHint(): PeerPlace;
  status(): NodeStatus;
  /** Monotonic ms since a peer was heard of. */
  silentMs(peerId: PeerId): number;
  /** Whether nothing is on its way to the disk, and all that is committed is applied. */
  isStill(): boolean;
  /** Stops the core for good; nothing is received or sent until {@link AdminGroup.restart}. */
  halt(): void;
  /** Starts the core from what the log has now, unless the peer was stopped meanwhile. */
  restart(): void;
  /** Asks for a turn. */
  wake(): void;
}

/** What is asked of one group's peer by administrators, and what waits for an outcome. */
export class GroupAdmin {
  readonly #group: AdminGroup;
  readonly #requests: AdminRequests;
  readonly #reset: GroupReset;

  constructor(group: AdminGroup) {
    this.#group = group;
    const { groupId, peerId, members, host, log } = group;
    const { options, limits } = host;
    const place = { groupId, peerId, limits };
    this.#requests = new AdminRequests({
      ...place,
      get confState() {
        return group.confState;
      },
      members,
      get tick() {
        return host.tick;
      },
      leadingCore: () => (group.isLeader ? group.requireCore() : undefined),
      silentMs: (id) => group.silentMs(id),
      handOver: (to) => {
        const successor = this.#successor((id) => to.includes(id));
        if (successor !== undefined) group.requireCore().transferLeader(successor);
        group.wake();
      },
      wake: () => {
        group.wake();
      },
    });
    this.#reset = new GroupReset({
      ...place,
      get confState() {
        return group.confState;
      },
      get members() {
        return members.all;
      },
      log,
      scheduler: options.scheduler,
      rng: options.rng,
      requireNoLeader: () => {
        const { lead, term } = group.requireCore().basicStatus();
        if (lead !== 0) throw hasLeader(groupId, group.leaderHint());
        return term;
      },
      isStill: () => group.isStill(),
      halt: () => {
        group.halt();
      },
      append: async (records: readonly LogRecord[], hardState: HardState) => {
        await options.log.append(records);
        options.observer?.onHardState?.(groupId, peerId, hardState);
      },
      restart: () => {
        group.restart();
      },
    });
  }

  /** Whether nothing is under way. */
  get isIdle(): boolean {
    return this.#requests.isEmpty && this.#reset.awaitedIndex === 0;
  }

  /** Changes the members; resolves when they are as asked for. */
  async change(request: ChangeRequest, options?: ChangeOptions): Promise<void> {
    const change = this.#requests.change(this.#requireLeader(), request, options);
    this.#group.wake();
    await change;
  }

  /** Takes a configuration by force. */
  resetPeers(peers: readonly PeerInfo[]): Promise<void> {
    return this.#reset.run(peers);
  }

  /** Hands leadership over; resolves when the other one leads. */
  async transferLeadershipTo(to: PeerId | "any"): Promise<void> {
    const raw = this.#requireLeader();
    const target = to === "any" ? this.#successor() : to;
    if (target === this.#group.peerId) return;
    if (target === undefined) throw noSuccessor(this.#group.groupId);
    const transfer = this.#requests.transfer(raw, target);
    this.#group.wake();
    await transfer;
  }

  /** The members of a role that were heard of within an election timeout; the leader is one. */
  listAlive(role: PeerInfo["role"]): readonly PeerInfo[] {
    this.#requireLeader();
    const { members, host } = this.#group;
    const { tickMs, electionTicks } = host.limits;
    return members.all.filter(
      (peer) => peer.role === role && this.#group.silentMs(peer.peerId) <= tickMs * electionTicks,
    );
  }

  // --- what the group tells ---

  /** Whether a message may be taken in; "cutOff" comes with the error with which the peer has to stop. */
  judge(
    message: Message,
    committed: number,
  ): { readonly kind: "fits" | "drop" } | { readonly kind: "cutOff"; readonly error: RheaError } {
    if (message.term < FIRST_RESET_TERM) return FITS;
    const { groupId, log } = this.#group;
    const verdict = judgeAfterReset(message, log, committed);
    if (verdict !== "cutOff") return verdict === "fits" ? FITS : DROP;
    return { kind: "cutOff", error: cutOffError(groupId, committed, message.term) };
  }

  onTick(): void {
    if (!this.#requests.isEmpty) this.#requests.tick(this.#group.host.tick);
  }

  /** A change's entry was applied. */
  onChangeApplied(entry: Entry, wasAccepted: boolean): void {
    this.#requests.onChangeApplied(entry, wasAccepted);
  }

  /** Everything up to `applied` is applied. */
  onApplied(applied: number): void {
    this.#requests.onApplied(applied);
    const { awaitedIndex } = this.#reset;
    if (awaitedIndex === 0 || applied < awaitedIndex) return;
    const raw = this.#group.requireCore();
    if (raw.basicStatus().applied < awaitedIndex) return;
    this.#reset.onApplied();
    raw.campaign();
    this.#group.wake();
  }

  onElected(): void {
    this.#requests.onElected();
  }

  /** The leader, as far as known, changed. Who asked this peer for a change is sent to the next leader once that is known. */
  onLeader(leader: PeerId): void {
    this.#requests.onLeader(leader);
    if (leader === 0 || leader === this.#group.peerId) return;
    this.#requests.onDeposed(notLeader(this.#group.groupId, this.#group.leaderHint()));
  }

  /** Leadership is gone and the change's outcome with it. */
  dropChange(why: RheaError): void {
    this.#requests.dropChange(why);
  }

  /** The peer stops. */
  reject(error: RheaError): void {
    this.#requests.reject(error);
    this.#reset.reject(error);
  }

  #requireLeader(): RawNode {
    const raw = this.#group.requireCore();
    if (!this.#group.isLeader) throw notLeader(this.#group.groupId, this.#group.leaderHint());
    return raw;
  }

  /** The voter that would take over best. */
  #successor(among?: (peerId: PeerId) => boolean): PeerId | undefined {
    const { tickMs, electionTicks } = this.#group.host.limits;
    return pickSuccessor(this.#group.status(), tickMs * electionTicks, among);
  }
}

const FITS = { kind: "fits" } as const;
const DROP = { kind: "drop" } as const;
