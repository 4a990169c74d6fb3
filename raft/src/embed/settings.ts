/** Checks what an embedder gave and fills in what it left out, before anything is touched. */
import { RheaError } from "@rhea/common";
import { firstPeers, parseConfiguration, parsePeer } from "../cli/index.js";
import type { PeerInfo } from "../node/api.js";
import type { RaftServerGroup, RaftServerOptions } from "./api.js";

/** A group to serve, checked. */
export interface GroupSettings extends RaftServerGroup {
  /** The first members with their ids; empty: none were given. */
  readonly firstMembers: readonly PeerInfo[];
  readonly hasSnapshots: boolean;
}

/** Options, checked and complete. */
export interface Settings {
  readonly storeId: number;
  readonly address: string;
  readonly listen: string;
  readonly clusterId: number;
  readonly dataDirectory: string;
  readonly logDirectory: string;
  readonly joins: boolean;
  readonly groups: readonly GroupSettings[];
}

/** Resolves options. Throws INVALID_CONFIG or what `parseConfiguration` throws. */
export function resolveSettings(options: RaftServerOptions): Settings {
  const { dataDirectory, join: joins = false, clusterId = 1 } = options;
  const { storeId, address } = place("address", options.address);
  const listen = options.listen === undefined ? address : place("listen", options.listen).address;
  if (dataDirectory === "") throw refuse("dataDirectory is empty: name a directory of this process alone");
  if (!Number.isSafeInteger(clusterId) || clusterId < 1)
    throw refuse(`clusterId ${clusterId}: use a whole number above 0`);
  const groups = options.groups.map((group) => resolveGroup(group, options, joins));
  const ids = new Set(groups.map(({ groupId }) => groupId));
  if (ids.size !== groups.length) throw refuse("two groups have the same groupId");
  return {
    storeId,
    address,
    listen,
    clusterId,
    dataDirectory,
    logDirectory: options.logDirectory ?? `${dataDirectory}/log`,
    joins,
    groups,
  };
}

function resolveGroup(group: RaftServerGroup, options: RaftServerOptions, joins: boolean): GroupSettings {
  const { groupId, stateMachine } = group;
  if (!Number.isSafeInteger(groupId) || groupId < 1) throw refuse(`groupId ${groupId}: use a whole number above 0`);
  const canSave = stateMachine.onSnapshotSave !== undefined && stateMachine.onSnapshotLoad !== undefined;
  if (stateMachine.durableIndex !== undefined) {
    const advice = "leave durableIndex out, or run it with createRaftHost";
    throw refuse(
      `group ${groupId}: a state machine with storage of its own has durableIndex; here it begins empty: ${advice}`,
    );
  }
  if (!canSave && (joins || typeof group.snapshots === "object")) {
    const why = joins ? "a member that joins begins with a snapshot" : "snapshots are configured";
    throw refuse(`group ${groupId}: ${why}: its state machine needs onSnapshotSave and onSnapshotLoad`);
  }
  const given = group.peers ?? options.peers ?? [];
  const peers = typeof given === "string" ? parseConfiguration(given) : given;
  const firstMembers = firstPeers(peers);
  const stores = new Set(firstMembers.map(({ storeId }) => storeId));
  if (stores.size !== firstMembers.length) {
    throw refuse(`group ${groupId}: two of its first members have the same address: a process has one peer of a group`);
  }
  return { ...group, firstMembers, hasSnapshots: canSave && group.snapshots !== false };
}

/** The place that an address names, in the form in which others name it too. */
function place(name: string, text: string): { readonly storeId: number; readonly address: string } {
  const { peerId, priority, role, storeId, address = "" } = parsePeer(text);
  if (peerId === 0 && priority === undefined && role === "voter") return { storeId, address };
  throw refuse(`${name} "${text}": it is a process's, host:port alone; index and priority belong into peers`);
}

function refuse(why: string): RheaError {
  return new RheaError("INVALID_CONFIG", `raft server: ${why}`);
}
