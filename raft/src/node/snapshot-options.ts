/** The `snapshots` option of a group, checked and filled in. */
import { RheaError } from "@rhea/common";
import type { GroupOptions, SnapshotOptions } from "./api.js";

const DEFAULTS = { intervalMs: 3_600_000, logEntries: 100_000, logBytes: 64 * 1024 * 1024, keep: 1 };

/** The option with all its defaults. */
export type ResolvedSnapshotOptions = Required<SnapshotOptions>;

/**
 * Fills in the defaults; undefined where the option is not given.
 * @throws RheaError INVALID_ARGUMENT for numbers out of range, or a state machine that the option does not fit.
 */
export function resolveSnapshotOptions(options: GroupOptions): ResolvedSnapshotOptions | undefined {
  const { groupId, snapshots, stateMachine, applied = 0 } = options;
  if (snapshots === undefined) return undefined;
  const resolved: ResolvedSnapshotOptions = { ...DEFAULTS, ...snapshots };
  const refuse = (why: string): never => {
    throw new RheaError("INVALID_ARGUMENT", `group ${groupId}: snapshots: ${why}`);
  };
  const { intervalMs, logEntries, logBytes, keep } = resolved;
  for (const [name, value, least] of [
    ["intervalMs", intervalMs, 0],
    ["logEntries", logEntries, 0],
    ["logBytes", logBytes, 0],
    ["keep", keep, 1],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < least) {
      refuse(`${name} is ${value}: it must be a whole number of at least ${least}`);
    }
  }
  if (stateMachine.onSnapshotSave === undefined || stateMachine.onSnapshotLoad === undefined) {
    refuse("the state machine needs onSnapshotSave and onSnapshotLoad");
  }
  if (stateMachine.durableIndex !== undefined || applied !== 0) {
    refuse("they are for state in memory: leave out durableIndex and applied, or this option");
  }
  return resolved;
}
