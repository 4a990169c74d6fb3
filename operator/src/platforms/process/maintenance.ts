import { existsSync, rmSync } from "node:fs";
import { RheaError } from "@rhea/common";
import { nodeClock } from "@rhea/common/env-node";
import { resolveCluster } from "../../api/index.js";
import { plan } from "../../plan/index.js";
import { layoutOf } from "./layout.js";
import { createConditionTimes, describeCluster, type LocalStatus } from "./local-status.js";
import { lockDataDir, lockHolder } from "./lock.js";
import { BUILT_PROGRAMS } from "./platform-options.js";
import { createPlatform } from "./platform.js";
import { isRunning } from "./process-identity.js";
import { readState } from "./state-file.js";

const STOP_TIMEOUT_MS = 60_000;
const POLL_MS = 100;

/** A cluster as seen from another process. */
export interface Inspection {
  readonly status: LocalStatus;
  /** The process whose operator runs the directory, if one does. */
  readonly operatorPid: number | undefined;
}

/** Looks at a data directory without touching it; undefined if no cluster was ever started there. */
export async function inspectLocalCluster(dataDir: string): Promise<Inspection | undefined> {
  const layout = layoutOf(dataDir);
  const state = readState(layout);
  if (state === undefined) return undefined;
  const clock = nodeClock;
  const silent = () => undefined;
  const platform = createPlatform({
    layout,
    state,
    ports: "default",
    programs: BUILT_PROGRAMS,
    clock,
    onEvent: silent,
    onEnd: silent,
    isReadOnly: true,
  });
  try {
    platform.adopt();
    const desired = resolveCluster(state.accepted, state.generation);
    const decided = plan(await platform.observe(desired), desired, clock.monotonicMs());
    const operatorPid = lockHolder(layout)?.pid;
    const shown = operatorPid === undefined ? { ...decided, status: { ...decided.status, plan: [] } } : decided; // nobody acts
    return { status: describeCluster(platform, layout, shown, createConditionTimes(clock), []), operatorPid };
  } finally {
    platform.close();
  }
}

/**
 * Stops whatever runs on a data directory: asks its operator, or, where none runs, does it itself. Returns the number of processes that
 * were running.
 *
 * @throws {RheaError} DEADLINE_EXCEEDED if the operator does not end
 */
export async function stopLocalCluster(dataDir: string, onEvent: (line: string) => void): Promise<number> {
  const layout = layoutOf(dataDir);
  const state = readState(layout);
  if (state === undefined) return 0;
  const runs = [...state.pds, ...state.stores].filter(
    ({ process }) => process !== undefined && isRunning(process),
  ).length;
  const holder = lockHolder(layout);
  if (holder !== undefined) {
    onEvent(`asks process ${holder.pid} to stop`);
    process.kill(holder.pid, "SIGTERM");
    const deadline = nodeClock.monotonicMs() + STOP_TIMEOUT_MS;
    while (isRunning(holder)) {
      if (nodeClock.monotonicMs() > deadline) {
        throw new RheaError(
          "DEADLINE_EXCEEDED",
          `process ${holder.pid} has not ended within ${STOP_TIMEOUT_MS / 1000} s`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
  const lock = lockDataDir(layout);
  const platform = createPlatform({
    layout,
    state: readState(layout) ?? state,
    ports: "default",
    programs: BUILT_PROGRAMS,
    clock: nodeClock,
    onEvent: () => undefined,
    onEnd: () => undefined,
  });
  try {
    platform.adopt();
    await platform.stopAll();
  } finally {
    platform.close();
    lock.release();
  }
  return runs;
}

/**
 * Stops a cluster and deletes its data directory. Returns false if there is none.
 *
 * @throws {RheaError} INVALID_ARGUMENT for a directory that is not a cluster's: it is not deleted
 */
export async function resetLocalCluster(dataDir: string, onEvent: (line: string) => void): Promise<boolean> {
  const layout = layoutOf(dataDir);
  if (!existsSync(layout.root)) return false;
  if (!existsSync(layout.stateFile)) {
    throw new RheaError(
      "INVALID_ARGUMENT",
      `${layout.root} has no ${layout.stateFile}: it is not a cluster's data directory`,
    );
  }
  await stopLocalCluster(dataDir, onEvent);
  rmSync(layout.root, { recursive: true, force: true });
  return true;
}
