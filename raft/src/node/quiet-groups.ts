/**
 * Groups in which nothing happens rest: no ticks, no items in heartbeats. Digests of them, one exchange per pair of processes and heartbeat
 * interval, keep their leaderships alive. docs/design/0007-quiet-groups.md says why that is safe. Called by the host only.
 */
import type { HeartbeatAckItem, HeartbeatItem, ProcessHeartbeat, ProcessHeartbeatAck } from "@rhea/proto";
import type { Message, PeerId } from "../core/types.js";
import type { HostLimits } from "./api.js";
import type { Group } from "./group.js";
import type { Links } from "./links.js";
import { FollowedSet, type FollowedEntry } from "./quiet-followed.js";
import { LedSet, type LedEntry } from "./quiet-led.js";

/** What resting needs of the host. */
export interface QuietOptions {
  readonly limits: HostLimits;
  readonly links: Links;
  /** Ticks since the start. */
  readonly tick: () => number;
}

/** All groups of a host: who is awake, who rests with whom. */
export class QuietGroups {
  readonly #options: QuietOptions;
  readonly #awake = new Set<Group>();
  readonly #led = new Map<number, LedSet>();
  readonly #followed = new Map<number, FollowedSet>();

  constructor(options: QuietOptions) {
    this.#options = options;
  }

  /** Groups that want ticks. */
  get awake(): ReadonlySet<Group> {
    return this.#awake;
  }

  add(group: Group): void {
    this.#awake.add(group);
  }

  /** The group leaves this process, or does nothing any more. */
  remove(group: Group): void {
    this.wake(group);
    this.#awake.delete(group);
  }

  /** Ends a group's rest, and gives its core the time that has passed. `byStore`: a message from there is the reason. */
  wake(group: Group, byStore?: number): void {
    const { quiet, groupId } = group;
    const { rest } = quiet;
    if (rest === undefined) return;
    const tick = this.#options.tick();
    group.onWake();
    quiet.rest = undefined;
    this.#awake.add(group);
    if (rest.kind === "leads") {
      for (const { set } of rest.entries) set.remove(groupId);
      for (const set of rest.away) set.away.delete(group);
      quiet.calmSince = tick;
      quiet.agreements = undefined;
      group.core?.resume(tick % this.#options.limits.heartbeatTicks);
      return;
    }
    const { entry, set } = rest;
    // What its leader's store sends for it shows that it is awake there.
    if (byStore === set.storeId) set.remove(groupId);
    else set.leave(entry);
    group.core?.resume(tick - set.heardTick(entry));
  }

  // --- the leader's side ---

  /** Before a leader's round of heartbeats: lets its group rest if all others agreed, else decides whether this round offers it. */
  prepare(group: Group): void {
    const { quiet, core } = group;
    quiet.isOffering = false;
    if (core === undefined || !group.knownIsLeader) return;
    const tick = this.#options.tick();
    const { term, commit } = core.basicStatus();
    const { truncatedIndex } = group;
    const isSame = term === quiet.calmTerm && commit === quiet.calmCommit && truncatedIndex === quiet.calmTruncated;
    if (!isSame || !core.isSettled() || !group.mayRest) {
      quiet.calmTerm = term;
      quiet.calmCommit = commit;
      quiet.calmTruncated = truncatedIndex;
      quiet.calmSince = tick;
    }
    if (tick - quiet.calmSince < this.#options.limits.electionTicks) return;
    this.#tryToRest(group);
    quiet.agreements = undefined;
    quiet.isOffering = quiet.rest === undefined;
  }

  /** Whether a leader's heartbeat may be marked quiet. */
  offers(group: Group, message: Message): boolean {
    return group.quiet.isOffering && (group.core?.isFollowerSettled(message.to) ?? false);
  }

  /** Takes note of a follower's answer to a heartbeat; true if it says nothing new to a group that rests. */
  onAnswer(fromStore: number, incarnation: number, group: Group, item: HeartbeatAckItem): boolean {
    const { fromPeer, term, quietCommit: commit } = item;
    const { quiet } = group;
    if (quiet.rest !== undefined) {
      if (quiet.rest.kind !== "leads" || commit === 0) return false;
      return quiet.rest.entries.some((e) => e.follower === fromPeer && e.term === term && e.commit === commit);
    }
    if (commit === 0) quiet.agreements?.delete(fromPeer);
    else (quiet.agreements ??= new Map()).set(fromPeer, { storeId: fromStore, incarnation, term, commit });
    return false;
  }

  /** Adds the digests to what leaves with this turn. */
  sendDigests(): void {
    for (const set of this.#led.values()) {
      if (set.hasNews) this.#options.links.outboxOf(set.storeId).setDigest(set.entries.digest(), set.takeWoken());
    }
  }

  /** Takes a store's answer to digests in. */
  onDigestAnswer(fromStore: number, incarnation: number, ack: ProcessHeartbeatAck): void {
    const set = this.#led.get(fromStore);
    if (set?.incarnation !== incarnation) return;
    for (const groupId of ack.left) {
      const entry = set.entries.get(groupId);
      if (entry !== undefined) this.wake(entry.group);
    }
    if (!ack.compared) return;
    const differing = new Set(ack.differing);
    for (const bucket of differing) for (const { group } of set.entries.entriesOf(bucket)) this.wake(group);
    set.confirmAllBut(differing, this.#options.tick(), ack.sentMs);
  }

  // --- the follower's side ---

  /** Before a heartbeat's items: false if it comes from an earlier life of its store. */
  beginHeartbeat(fromStore: number, incarnation: number, { items, woken }: ProcessHeartbeat): boolean {
    this.onStore(fromStore, incarnation);
    const set = this.#followed.get(fromStore);
    if (set === undefined) return true;
    if (set.incarnation > incarnation) return false;
    for (const groupId of woken) this.#dismiss(set, groupId);
    for (const { groupId } of items) this.#dismiss(set, groupId);
    return true;
  }

  /** Takes note that an item offers rest. */
  onItem(fromStore: number, incarnation: number, group: Group, item: HeartbeatItem): void {
    const { fromPeer: leader, term, commit, quiet } = item;
    group.quiet.offer = quiet ? { storeId: fromStore, incarnation, leader, term, commit } : undefined;
  }

  /** After a heartbeat's items: compares digests and answers. */
  endHeartbeat(fromStore: number, { items, digest, sentMs }: ProcessHeartbeat): void {
    if (items.length === 0 && digest.length === 0) return;
    const compared = digest.length > 0;
    const set = this.#followed.get(fromStore);
    const comparison = compared
      ? (set ?? new FollowedSet(fromStore, 0)).compare(digest, this.#options.tick())
      : undefined;
    if (set !== undefined) for (const { groupId } of comparison?.groups ?? []) this.#dismiss(set, groupId);
    const differing = comparison?.differing ?? [];
    this.#options.links.outboxOf(fromStore).answer({ sentMs, compared, differing, left: set?.left ?? [] });
  }

  /** When a follower answers a heartbeat: lets its group rest if the heartbeat offered it. Returns the commit index at which it rests, or 0. */
  agree(group: Group, message: Message): number {
    const { quiet, core, groupId, peerId: follower } = group;
    const { offer } = quiet;
    quiet.offer = undefined;
    if (offer === undefined || core === undefined || quiet.rest !== undefined) return 0;
    const { leader, term, commit, storeId, incarnation } = offer;
    const status = core.basicStatus();
    const isSame =
      message.to === leader &&
      message.term === term &&
      status.state === "follower" &&
      status.lead === leader &&
      status.term === term &&
      status.commit === commit;
    if (!isSame || !core.isSettled() || !group.mayRest) return 0;
    let set = this.#followed.get(storeId);
    if (set !== undefined && set.incarnation > incarnation) return 0;
    if (set === undefined) this.#followed.set(storeId, (set = new FollowedSet(storeId, incarnation)));
    const sinceTick = this.#options.tick();
    const entry: FollowedEntry = { group, groupId, leader, follower, term, commit, sinceTick, isResting: true };
    set.add(entry);
    quiet.rest = { kind: "follows", entry, set };
    this.#awake.delete(group);
    return commit;
  }

  // --- both ---

  /** There is a connection to or from a store: who rests without it wakes. */
  onReachable(storeId: number): void {
    for (const group of [...(this.#led.get(storeId)?.away ?? [])]) this.wake(group);
  }

  /** A store was heard of in this life of it: what it agreed to in an earlier one is void. */
  onStore(storeId: number, incarnation: number): void {
    const led = this.#led.get(storeId);
    if (led !== undefined && led.incarnation < incarnation) for (const group of led.all()) this.wake(group);
    const followed = this.#followed.get(storeId);
    if (followed === undefined || followed.incarnation >= incarnation) return;
    for (const { groupId } of followed.all()) this.#dismiss(followed, groupId);
    this.#followed.delete(storeId);
  }

  /** After a tick: whoever was not renewed or confirmed for an election timeout wakes. */
  onTick(): void {
    const { limits, tick } = this.#options;
    const now = tick();
    for (const set of this.#led.values()) for (const group of set.silent(now, limits.electionTicks)) this.wake(group);
    for (const set of this.#followed.values()) {
      for (const { groupId } of set.silent(now, limits.electionTicks)) this.#dismiss(set, groupId);
    }
  }

  /** Takes an entry out of a followed set, and wakes its group if it rests by it. */
  #dismiss(set: FollowedSet, groupId: number): void {
    const entry = set.get(groupId);
    if (entry === undefined) return;
    if (entry.isResting) this.wake(entry.group, set.storeId);
    set.remove(groupId);
  }

  #tryToRest(group: Group): void {
    const { quiet, core, groupId, peerId } = group;
    const { calmTerm: term, calmCommit: commit } = quiet;
    if (core === undefined) return;
    const { voters, learners } = group.confState;
    const resting = new Set<PeerId>([peerId]);
    const agreed: { readonly follower: PeerId; readonly set: LedSet; readonly incarnation: number }[] = [];
    const away: LedSet[] = [];
    for (const follower of [...voters, ...learners]) {
      if (follower === peerId) continue;
      const agreement = quiet.agreements?.get(follower);
      if (agreement?.term === term && agreement.commit === commit && core.isFollowerSettled(follower)) {
        resting.add(follower);
        agreed.push({ follower, set: this.#ledSet(agreement.storeId), incarnation: agreement.incarnation });
        continue;
      }
      const storeId = group.storeOf(follower);
      if (storeId === 0 || !this.#options.links.isDown(storeId)) return;
      away.push(this.#ledSet(storeId));
    }
    if (!core.isMajority(resting)) return;
    const sinceTick = this.#options.tick();
    const entries: LedEntry[] = [];
    for (const { follower, set, incarnation } of agreed) {
      if (set.incarnation !== incarnation) {
        for (const other of set.all()) this.wake(other);
        set.incarnation = incarnation;
      }
      entries.push({ group, set, groupId, leader: peerId, follower, term, commit, sinceTick });
    }
    for (const entry of entries) entry.set.add(entry);
    for (const set of away) set.away.add(group);
    quiet.rest = { kind: "leads", entries, away };
    this.#awake.delete(group);
  }

  #ledSet(storeId: number): LedSet {
    let set = this.#led.get(storeId);
    if (set === undefined) this.#led.set(storeId, (set = new LedSet(storeId)));
    return set;
  }
}
