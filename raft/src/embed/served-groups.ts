/**
 * The groups of an embedded server in this process: each begins anew, goes on from storage, or waits until its leader calls. The log decides,
 * never the options: a peer that lived here once never begins again from the first members.
 */
import { RheaError, type Disk, type Logger, type Scheduler } from "@rhea/common";
import { EMPTY_CONF_STATE } from "../core/index.js";
import type { GroupLifecycle, RaftLog } from "../log/index.js";
import type { GroupOptions, PeerInfo, RaftHost, RaftNode, UnknownPeerMessage } from "../node/api.js";
import { fileSnapshotStorage } from "../snapshot/index.js";
import { readFirstMembers, removeFirstMembers, writeFirstMembers } from "./first-members.js";
import type { GroupSettings, Settings } from "./settings.js";

/** What the groups need. */
export interface ServedGroupsOptions {
  readonly settings: Settings;
  readonly disk: Disk;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly log: RaftLog;
  /** How long a removed peer lives on, so that those who wait for its last words get them; ms. */
  readonly farewellMs: number;
  readonly onFatal: (error: RheaError) => void;
}

/** The groups of one server. */
export class ServedGroups {
  readonly #options: ServedGroupsOptions;
  readonly #groups: ReadonlyMap<number, GroupSettings>;
  readonly #failed = new Map<number, RheaError>();
  readonly #removing = new Set<number>();
  #host: RaftHost | undefined;

  constructor(options: ServedGroupsOptions) {
    this.#options = options;
    this.#groups = new Map(options.settings.groups.map((group) => [group.groupId, group]));
  }

  /** Starts the groups that live here or begin here. Throws what a first start must not go on with; a damaged peer only stays away. */
  async start(host: RaftHost): Promise<void> {
    this.#host = host;
    const { log, logger } = this.#options;
    for (const group of this.#groups.values()) {
      const { groupId } = group;
      const lifecycle = log.group(groupId)?.lifecycle;
      try {
        const start = await this.#planStart(group, lifecycle);
        if (start !== undefined) host.createGroup(this.#groupOptions(group, start.peerId, start.peers));
        else logger.log("info", "group waits to be added", { groupId });
      } catch (error) {
        if (lifecycle === undefined) throw error;
        const failure = RheaError.from(error);
        this.#failed.set(groupId, failure);
        logger.log("error", "group cannot start here", { groupId, code: failure.code, why: failure.message });
      }
    }
  }

  /** Returns a group's peer; throws why there is none. */
  node(groupId: number): RaftNode {
    const node = this.#host?.group(groupId);
    if (node !== undefined) return node;
    const failure = this.#failed.get(groupId);
    if (failure !== undefined) throw failure;
    const why = this.#groups.has(groupId)
      ? "it waits to be added: call addPeer or addLearners at its leader"
      : "it is not among the groups of this server";
    throw new RheaError("REGION_NOT_FOUND", `group ${groupId} has no peer in this process: ${why}`, {
      details: { regionId: groupId },
    });
  }

  /** A leader calls a peer that is not here yet. */
  onUnknownPeer({ groupId, toPeer }: UnknownPeerMessage): void {
    const group = this.#groups.get(groupId);
    const lifecycle = this.#options.log.group(groupId)?.lifecycle;
    // A peer that was destroyed here may have a successor; one that began here and is not running failed, and stays away.
    const mayJoin = lifecycle === undefined ? this.#options.settings.joins : lifecycle.state === "destroyed";
    if (group === undefined || !mayJoin || this.#removing.has(groupId)) return;
    this.#options.logger.log("info", "group joins", { groupId, peerId: toPeer });
    this.#host?.createGroup(this.#groupOptions(group, toPeer, []), { index: 0, term: 0 });
  }

  /** This process's peer was removed from a group: it is destroyed here, so that it can be added again as a new one. */
  onRemoved(groupId: number): void {
    const group = this.#groups.get(groupId);
    if (group === undefined || this.#removing.has(groupId)) return;
    this.#removing.add(groupId);
    const { scheduler, farewellMs, logger, onFatal } = this.#options;
    logger.log("info", "peer was removed from its group", { groupId });
    scheduler.setTimer(farewellMs, () => {
      this.#destroy(group).catch((error: unknown) => {
        onFatal(RheaError.from(error));
      });
    });
  }

  async #destroy(group: GroupSettings): Promise<void> {
    const { groupId } = group;
    if (this.#host?.group(groupId) === undefined) return; // closed meanwhile
    await this.#host.destroyGroup(groupId, { confVer: 0, version: 0 });
    await this.#clear(groupId);
    this.#removing.delete(groupId);
    group.onRemoved?.();
  }

  /** Removes what a peer that is gone has left beside the log. */
  async #clear(groupId: number): Promise<void> {
    const { disk, settings } = this.#options;
    await disk.removeTree(this.#snapshotDirectory(groupId));
    await removeFirstMembers(disk, settings.dataDirectory, groupId);
  }

  /** Who a group starts with; undefined: it waits. */
  async #planStart(
    group: GroupSettings,
    lifecycle: GroupLifecycle | undefined,
  ): Promise<{ readonly peerId: number; readonly peers: readonly PeerInfo[] } | undefined> {
    const { groupId, firstMembers } = group;
    const { disk, settings } = this.#options;
    const { dataDirectory, storeId, address } = settings;
    if (lifecycle?.state === "destroyed") {
      await this.#clear(groupId); // the process may have ended in the middle of it
      return undefined;
    }
    const recorded = await readFirstMembers(disk, dataDirectory, groupId);
    if (lifecycle !== undefined) return { peerId: lifecycle.peerId, peers: recorded ?? [] };
    if (recorded === undefined && settings.joins) return undefined;
    const peers = recorded ?? firstMembers;
    const own = peers.find((peer) => peer.storeId === storeId);
    if (own === undefined) {
      const members = peers.map((peer) => peer.address ?? `peer ${peer.peerId}`).join(", ");
      const why = `group ${groupId}: ${address} is not among its first members (${members || "none are given"})`;
      const advice = "use one of their addresses, or `join: true` in a process that is added later";
      throw new RheaError("INVALID_CONFIG", `raft server: ${why}: ${advice}`);
    }
    if (recorded === undefined) await writeFirstMembers(disk, dataDirectory, groupId, peers);
    return { peerId: own.peerId, peers };
  }

  #groupOptions(group: GroupSettings, peerId: number, peers: readonly PeerInfo[]): GroupOptions {
    const { groupId, stateMachine, snapshots, hasSnapshots } = group;
    const { disk } = this.#options;
    const priority = group.priority ?? peers.find((peer) => peer.peerId === peerId)?.priority;
    const idsOf = (role: PeerInfo["role"]) => peers.filter((peer) => peer.role === role).map((peer) => peer.peerId);
    return {
      groupId,
      peerId,
      stateMachine,
      peers,
      confState: { ...EMPTY_CONF_STATE, voters: idsOf("voter"), learners: idsOf("learner") },
      ...(priority === undefined ? {} : { priority }),
      ...(hasSnapshots
        ? {
            snapshots: {
              ...(typeof snapshots === "object" ? snapshots : {}),
              storage: fileSnapshotStorage({ disk, directory: this.#snapshotDirectory(groupId) }),
            },
          }
        : {}),
    };
  }

  #snapshotDirectory(groupId: number): string {
    return `${this.#options.settings.dataDirectory}/snapshots/${groupId}`;
  }
}
