/** What has to happen before a group takes part: an interrupted install is finished, or the newest snapshot loaded. */
import { RheaError } from "@rhea/common";
import type { GroupLog } from "../log/api.js";
import type { InstalledSnapshot, SnapshotToLoad } from "./apply.js";
import type { NodeSnapshots } from "./node-snapshots.js";

/** What a start rests on. */
export interface StartParts {
  readonly groupId: number;
  readonly log: GroupLog;
  /** Absent for a state machine with durable storage of its own. */
  readonly snapshots: NodeSnapshots | undefined;
  /** Whether the peer was made just now: its state machine is as it should be at the log's beginning. */
  readonly isNew: boolean;
  /** Whether members are known: who does not know them learns them with a snapshot. */
  readonly hasMembers: boolean;
  /** Reads the staged snapshot of an interrupted install. */
  readStaged(file: string): Promise<InstalledSnapshot>;
  /** Makes an install of the leader's snapshot. */
  installation(snapshot: InstalledSnapshot): SnapshotToLoad;
  /** Excludes the peer for good; returns the error to fail with. */
  condemn(reason: string): RheaError;
}

/** What to do first. */
export type StartPlan =
  | { readonly kind: "ready" }
  | { readonly kind: "load"; readonly snapshot: SnapshotToLoad }
  /** The state at the log's beginning is nowhere yet, and the first members neither: they have to be, before anything is built on them. */
  | { readonly kind: "saveFirst" };

/**
 * Finds out how to start. Changes nothing of the state machine.
 * @throws RheaError CORRUPTION when there is no way to the state that the log goes on from.
 */
export async function planStart(parts: StartParts): Promise<StartPlan> {
  const { log, snapshots, groupId } = parts;
  const opened = await snapshots?.open(log);
  const { pendingInstall } = log;
  if (pendingInstall !== undefined) return { kind: "load", snapshot: await readInstall(parts, pendingInstall.file) };
  if (snapshots === undefined || opened === undefined) return { kind: "ready" };
  const { newest, lost, unusable } = opened;
  if (lost !== undefined) throw parts.condemn(lost);
  if (newest !== undefined) {
    const { saved } = newest;
    return {
      kind: "load",
      snapshot: { saved, prepare: () => Promise.resolve(snapshots.filesOf(newest)), onLoaded: () => undefined },
    };
  }
  // A log that begins where groups begin leads to the state by itself, if the damage is not all there is.
  const isAtBeginning = parts.isNew || log.truncatedIndex <= 1;
  if (isAtBeginning && unusable.length === 0) {
    return { kind: parts.hasMembers && log.truncatedIndex > 0 ? "saveFirst" : "ready" };
  }
  const what = `group ${groupId}: no snapshot in ${snapshots.place} is usable, and the log begins at ${log.truncatedIndex + 1}`;
  const whys = unusable.length === 0 ? ["none is there"] : unusable;
  const advice = "put the files back, or remove the peer and add a new one";
  throw new RheaError("CORRUPTION", `${what}: ${whys.join("; ")}; ${advice}`, { details: { file: snapshots.place } });
}

async function readInstall(parts: StartParts, file: string): Promise<SnapshotToLoad> {
  const { groupId } = parts;
  try {
    return parts.installation(await parts.readStaged(file));
  } catch (error) {
    const cause = RheaError.from(error);
    const what = `group ${groupId}: the staged snapshot ${file} is unusable: ${cause.message}`;
    throw new RheaError("CORRUPTION", `${what}; remove the peer and add a new one`, { cause: error });
  }
}
