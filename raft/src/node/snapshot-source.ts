/** Where the snapshot that a leader sends comes from: saved for this one transfer, or lent by the group's storage. */
import { RheaError, type Disk } from "@rhea/common";
import type { PeerId } from "../core/types.js";
import type { SavedSnapshot, SnapshotPosition } from "../snapshot/api.js";
import { snapshotWriter } from "../snapshot/snapshot-files.js";
import type { StateMachine } from "./api.js";
import type { LentSnapshot, NodeSnapshots } from "./node-snapshots.js";
import type { SnapshotStaging } from "./snapshot-staging.js";

/** A snapshot to read. */
export interface SnapshotSource {
  readonly disk: Disk;
  readonly directory: string;
  readonly saved: SavedSnapshot;
  /** Ends the reading. */
  close(): Promise<void>;
}

/** Has the state machine save a snapshot into a staging directory of its own. */
export async function saveForSending(
  staging: SnapshotStaging,
  stateMachine: StateMachine,
  position: SnapshotPosition,
): Promise<SnapshotSource> {
  const name = await staging.create("send");
  const directory = staging.filesOf(name);
  try {
    const saved = await stateMachine.onSnapshotSave?.(directory, snapshotWriter(staging.disk, directory, position));
    if (saved === undefined) throw new RheaError("INTERNAL", "the state machine saves no snapshots");
    return { disk: staging.disk, directory, saved, close: () => staging.remove(name) };
  } catch (error) {
    await staging.remove(name);
    throw error;
  }
}

/** Lends the newest stored snapshot, after saving one if its receiver is not in it: a peer takes none from before its time. */
export async function lendForSending(snapshots: NodeSnapshots, to: PeerId): Promise<SnapshotSource> {
  const isIn = ({ stored }: LentSnapshot): boolean => stored.saved.peers.some(({ peerId }) => peerId === to);
  let lent = snapshots.lend();
  if (lent === undefined || !isIn(lent)) {
    lent?.giveBack();
    await snapshots.save();
    lent = snapshots.lend();
  }
  if (lent === undefined) throw new RheaError("NOT_FOUND", "no snapshot is stored yet");
  const { giveBack } = lent;
  const { directory, saved } = lent.stored;
  return {
    disk: snapshots.disk,
    directory,
    saved,
    close: async () => {
      giveBack();
    },
  };
}
