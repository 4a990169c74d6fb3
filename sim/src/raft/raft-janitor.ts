/**
 * Plays PD and the operator: knows the newest configuration that anybody committed, refuses stale lives, replaces what is lost or
 * condemned, and tells peers that were removed.
 */
import { RheaError } from "@rhea/common";
import type { ConfState, PeerInfo, RaftNode } from "@rhea/raft";
import type { RaftProcess } from "./raft-process.js";

/** The newest committed configuration of a group. */
export interface KnownMembers {
  readonly index: number;
  readonly conf: ConfState;
  readonly peers: readonly PeerInfo[];
}

/** What the janitor needs. */
export interface JanitorSetting {
  readonly groups: readonly number[];
  /** Voters that each group is to have. */
  readonly replicas: number;
  nowMs(): number;
  stores(): readonly RaftProcess[];
  /** Puts a new store with an empty disk in the place of a lost one. */
  replace(store: RaftProcess): void;
  newPeerId(): number;
  mark(name: string): void;
}

/** The janitor of a world. */
export interface Janitor {
  /** Looks at everything once. With `isTidying` it also brings each group to `replicas` voters and no learners. */
  sweep(isTidying: boolean): void;
  register(storeId: number, incarnation: number): void;
  onMembers(groupId: number, conf: ConfState, peers: readonly PeerInfo[], index: number): void;
  members(groupId: number): KnownMembers | undefined;
  /** Whether nothing is lost, condemned or half replaced. */
  readonly isTidy: boolean;
  /** Says what a person wants to know of a world that stays untidy. */
  describe(): string;
}

const PATIENCE_MS = 600;

/** Makes a janitor. */
export function createJanitor(setting: JanitorSetting): Janitor {
  const lives = new Map<number, number>();
  const known = new Map<number, KnownMembers>();
  /** Until when a group's change is waited for: the process that was asked may be gone. */
  const busy = new Map<number, number>();

  const leaderOf = (groupId: number): RaftNode | undefined => {
    const nodes = setting
      .stores()
      .flatMap((store) => store.host?.group(groupId) ?? [])
      .filter((node) => node.isLeader);
    return nodes.toSorted((a, b) => b.term - a.term)[0];
  };
  const storeOf = (storeId: number): RaftProcess | undefined =>
    setting.stores().find((store) => store.storeId === storeId);
  /** Whether a member can never take part again. */
  const isGone = (groupId: number, { storeId }: PeerInfo): boolean => {
    const store = storeOf(storeId);
    return store === undefined || store.isLost || store.condemned.has(groupId);
  };
  const attempt = (groupId: number, name: string, call: Promise<void>): void => {
    busy.set(groupId, setting.nowMs() + PATIENCE_MS);
    call
      .then(
        () => {
          setting.mark(name);
        },
        () => undefined,
      )
      .finally(() => {
        busy.delete(groupId);
      });
  };
  const condemnedHere = (): boolean => setting.stores().some((store) => store.condemned.size > 0);

  /** Brings a group one step nearer to what it should be. */
  const mend = (groupId: number, isTidying: boolean): void => {
    const leader = leaderOf(groupId);
    if (leader === undefined || setting.nowMs() < (busy.get(groupId) ?? 0)) return;
    const { progress, confState } = leader.status();
    if (confState.votersOutgoing.length > 0) return;
    const peers = leader.listPeers();
    const gone = peers.find((peer) => isGone(groupId, peer) && peer.peerId !== leader.peerId);
    if (gone !== undefined) {
      attempt(groupId, "gonePeerRemoved", leader.removePeer(gone.peerId));
      return;
    }
    const voters = peers.filter(({ role }) => role === "voter");
    const learner = peers.find(({ role }) => role === "learner");
    const needsVoters = voters.length < setting.replicas;
    if (learner !== undefined) {
      const isCaughtUp = progress.find(({ peerId }) => peerId === learner.peerId)?.isCaughtUp === true;
      if (needsVoters && isCaughtUp) attempt(groupId, "promoted", leader.addPeer({ ...learner, role: "voter" }));
      else if (isTidying && !needsVoters) attempt(groupId, "learnerRemoved", leader.removePeer(learner.peerId));
      return;
    }
    if (needsVoters) {
      const free = setting
        .stores()
        .find(
          (store) =>
            store.host !== undefined &&
            !store.isLost &&
            !store.condemned.has(groupId) &&
            peers.every(({ storeId }) => storeId !== store.storeId),
        );
      if (free === undefined) return;
      const peer: PeerInfo = { peerId: setting.newPeerId(), storeId: free.storeId, role: "learner" };
      attempt(groupId, "learnerAdded", leader.addPeer(peer));
      return;
    }
    const surplus = voters.find(({ peerId }) => peerId !== leader.peerId);
    if (isTidying && voters.length > setting.replicas && surplus !== undefined)
      attempt(groupId, "surplusRemoved", leader.removePeer(surplus.peerId));
  };

  /**
   * Whether a majority of the voters has applied the newest configuration. Before that those who were removed may still be asked for their votes:
   * a leader that removes itself can be gone before anybody else hears that its change is committed.
   */
  const isSettled = (groupId: number, { index, conf }: KnownMembers): boolean => {
    const having = conf.voters.filter((peerId) =>
      setting.stores().some(({ machines }) => {
        const state = machines.get(groupId)?.state;
        return state?.peerId === peerId && state.applied >= index;
      }),
    );
    return having.length > conf.voters.length / 2;
  };

  /** Destroys peers that the newest committed configuration does not have. Ids are never used again, so that this is final. */
  const retire = (store: RaftProcess): void => {
    const { host, log } = store;
    if (host === undefined || log === undefined || store.isOutlaw) return;
    for (const { groupId, lifecycle } of [...log.groups()]) {
      const members = known.get(groupId);
      if (lifecycle.state === "destroyed" || members === undefined) continue;
      const { conf, peers, index } = members;
      // A damaged log may not know its peer's id: then any member on this store may be the one.
      const isMember =
        lifecycle.peerId === 0
          ? peers.some(({ storeId }) => storeId === store.storeId)
          : [...conf.voters, ...conf.votersOutgoing, ...conf.learners].includes(lifecycle.peerId);
      if (isMember && lifecycle.state === "live") continue;
      if (isMember || peers.some(({ peerId }) => peerId === lifecycle.peerId) || !isSettled(groupId, members)) continue;
      if (lifecycle.state === "condemned") setting.mark("condemnedReplaced");
      setting.mark("peerDestroyed");
      store.destroyPeer(groupId, index);
    }
  };

  return {
    sweep(isTidying) {
      for (const store of setting.stores()) {
        retire(store);
        if (!store.isLost || store.isUp) continue;
        setting.mark("storeReplaced");
        setting.replace(store);
      }
      for (const groupId of setting.groups) mend(groupId, isTidying);
    },
    register(storeId, incarnation) {
      const newest = lives.get(storeId) ?? 0;
      if (incarnation <= newest)
        throw new RheaError(
          "STALE_IDENTITY",
          `store ${storeId} comes with incarnation ${incarnation} after ${newest} was seen`,
        );
      lives.set(storeId, incarnation);
    },
    onMembers(groupId, conf, peers, index) {
      if ((known.get(groupId)?.index ?? -1) < index) known.set(groupId, { index, conf, peers });
    },
    members: (groupId) => known.get(groupId),
    describe: () =>
      JSON.stringify({
        stores: setting.stores().map(({ storeId, isLost, isOutlaw, isUp, condemned }) => ({
          ...{ storeId, isLost, isOutlaw, isUp, condemned: [...condemned] },
        })),
        groups: setting.groups.map((groupId) => ({
          ...{ groupId, leader: leaderOf(groupId)?.status(), known: known.get(groupId), isBusy: busy.has(groupId) },
        })),
      }),
    get isTidy() {
      if (condemnedHere() || setting.stores().some((store) => store.isLost || store.isOutlaw)) return false;
      return setting.groups.every((groupId) => {
        const members = known.get(groupId);
        if (members === undefined) return true;
        return members.conf.votersOutgoing.length === 0 && members.peers.every((peer) => !isGone(groupId, peer));
      });
    },
  };
}
