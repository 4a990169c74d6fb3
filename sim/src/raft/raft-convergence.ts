/** Whether a healed raft world stands still and agrees byte for byte. */
import { InvariantError } from "@rhea/common";
import type { Janitor } from "./raft-janitor.js";
import type { RaftProcess } from "./raft-process.js";
import { fingerprint } from "./register-machine.js";

/** Says what is still missing; undefined if nothing. @throws InvariantError when replicas at one index differ. */
export function whatIsMissing(
  stores: readonly RaftProcess[],
  groups: readonly number[],
  janitor: Janitor,
): string | undefined {
  const down = stores.find((store) => store.host === undefined);
  if (down !== undefined) return `store ${down.storeId} is not up`;
  for (const groupId of groups) {
    const leader = stores.find((store) => store.host?.group(groupId)?.isLeader === true)?.host?.group(groupId);
    if (leader === undefined) return `group ${groupId} has no leader: ${describe(stores, groupId)}`;
    const { lastIndex, committed, applied, confState, peers, error } = leader.status();
    if (error !== undefined) return `group ${groupId}: its leader failed: ${error.message}`;
    if (committed < lastIndex) return `group ${groupId}: ${committed} of ${lastIndex} entries are committed`;
    // Its followers may be ahead of it: what it says of the membership is as of what it has applied itself.
    if (applied < committed) return `group ${groupId}: its leader applied ${applied} of ${committed}`;
    if (confState.votersOutgoing.length > 0) return `group ${groupId} is in a joint configuration`;
    if ((janitor.members(groupId)?.index ?? 0) > lastIndex) return `group ${groupId}: its leader lacks a configuration`;
    const prints = new Map<string, number>();
    for (const { peerId, storeId } of peers) {
      const machine = stores.find((store) => store.storeId === storeId)?.machines.get(groupId);
      if (machine?.state.peerId !== peerId) return `group ${groupId}: peer ${peerId} does not run on store ${storeId}`;
      if (machine.state.applied !== lastIndex)
        return `group ${groupId}: peer ${peerId} applied ${machine.state.applied} of ${lastIndex}`;
      if (JSON.stringify(machine.state.confState) !== JSON.stringify(confState))
        throw new InvariantError(
          `membership: group ${groupId}: peer ${peerId} was told of another one than its leader has`,
        );
      prints.set(fingerprint(machine.state), peerId);
    }
    if (prints.size > 1)
      throw new InvariantError(
        `convergence: group ${groupId}: peers ${[...prints.values()].join(" and ")} differ at ${lastIndex}`,
      );
  }
  return undefined;
}

/** Returns what every peer of a group says of itself, for a person. */
function describe(stores: readonly RaftProcess[], groupId: number): string {
  const peers = stores.map(({ storeId, host, log }) => ({
    storeId,
    status: host?.group(groupId)?.status(),
    lifecycle: log?.group(groupId)?.lifecycle,
  }));
  return JSON.stringify(peers);
}
