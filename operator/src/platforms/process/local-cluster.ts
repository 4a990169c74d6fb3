import { InvariantError, RheaError, silentLogger, type Clock, type Logger } from "@rhea/common";
import { nodeClock } from "@rhea/common/env-node";
import { fieldsWithoutLocalEffect, resolveCluster, type DesiredCluster, type RheaCluster } from "../../api/index.js";
import { describeStep, plan, type Plan } from "../../plan/index.js";
import { createAlarm } from "./alarm.js";
import { createSourceReader, type ClusterSource, type SourceReader } from "./cluster-source.js";
import { refuseLostState, requirePlace } from "./data-dir.js";
import { layoutOf, type Layout } from "./layout.js";
import { createConditionTimes, describeCluster, type LocalStatus } from "./local-status.js";
import { lockDataDir, type DataDirLock } from "./lock.js";
import { BUILT_PROGRAMS, type Programs } from "./platform-options.js";
import { createPlatform, type Platform } from "./platform.js";
import { newState, readState, writeState, type OperatorState } from "./state-file.js";

/** Time between two looks while the cluster is not settled, and when it is. */
const BUSY_INTERVAL_MS = 250;
const SETTLED_INTERVAL_MS = 1_000;

/** How to run a local cluster. */
export interface LocalClusterOptions {
  /** Everything of the cluster lies below this directory. Made if absent. */
  readonly dataDir: string;
  /** A file, watched for changes, or a fixed cluster. */
  readonly source: ClusterSource;
  /** `default` (the default): 7400 and upwards, replaced where busy; `free`: any free ports. */
  readonly ports?: "default" | "free";
  /** Default: the built programs of this project. */
  readonly programs?: Programs;
  readonly logger?: Logger;
  /** Hears in one line each what happens. */
  readonly onEvent?: (line: string) => void;
  /** Hears every new status. */
  readonly onStatus?: (status: LocalStatus) => void;
  /** What decides. Default: {@link plan}. */
  readonly decide?: typeof plan;
}

/** A local cluster under the operator's care in this process. */
export interface LocalCluster {
  readonly dataDir: string;
  /** Never resolves; rejects when a bug has ended the care. The processes run on until {@link LocalCluster.stop}. */
  readonly failure: Promise<never>;
  status(): LocalStatus;
  /**
   * Resolves with the first status for which `holds`, of those that were looked at after this call.
   *
   * @throws {RheaError} DEADLINE_EXCEEDED naming `what` and what stands in the way
   */
  until(what: string, timeoutMs: number, holds: (status: LocalStatus) => boolean): Promise<LocalStatus>;
  /** Resolves when the cluster is Ready. */
  ready(timeoutMs: number): Promise<LocalStatus>;
  /** Sends a signal to a process as a stranger would. */
  kill(name: string, signal: NodeJS.Signals): void;
  /** Stops the stores, then PD; data stay. Idempotent. */
  stop(): Promise<void>;
  /** Lets go of the cluster; its processes run on and the next operator adopts them. Idempotent. */
  detach(): Promise<void>;
}

/**
 * Brings up a cluster of local processes and keeps reconciling: what `npm start` runs.
 *
 * @throws {RheaError} INVALID_CONFIG for a wrong cluster file (nothing is started or made), LOCKED if another process has the directory
 */
export async function startLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  const layout = layoutOf(options.dataDir);
  const reader = createSourceReader(options.source);
  requirePlace(layout);
  const first = firstReading(reader, layout); // before the lock: a wrong file leaves no trace
  const lock = lockDataDir(layout);
  try {
    const before = readState(layout);
    if (before === undefined) refuseLostState(layout);
    const state =
      before === undefined
        ? newState(nameOf(first), first)
        : {
            ...before,
            accepted: first,
            refusedFile: undefined,
            generation: before.generation + (isSame(before.accepted, first) ? 0 : 1),
          };
    await writeState(layout, state);
    return await run(options, layout, lock, reader, state);
  } catch (error) {
    lock.release();
    throw error;
  }
}

function firstReading(reader: SourceReader, layout: Layout): RheaCluster {
  const before = readState(layout);
  const reading = reader.read(before?.accepted);
  if (reading.kind === "refused") throw new RheaError("INVALID_CONFIG", reading.message);
  if (reading.kind === "unchanged")
    throw new RheaError("INTERNAL", "the first reading of a cluster cannot be unchanged");
  refuseOtherName(reading.cluster, before);
  return reading.cluster;
}

function refuseOtherName(cluster: RheaCluster, before: OperatorState | undefined): void {
  if (before === undefined || nameOf(cluster) === before.name) return;
  throw new RheaError(
    "INVALID_CONFIG",
    `metadata.name is ${nameOf(cluster)}, but the data directory belongs to cluster ${before.name}: give the name back, or choose another --data-dir`,
  );
}

const nameOf = (cluster: RheaCluster) => cluster.metadata?.name ?? "";
const isSame = (a: RheaCluster, b: RheaCluster) => JSON.stringify(a) === JSON.stringify(b);

async function run(
  options: LocalClusterOptions,
  layout: Layout,
  lock: DataDirLock,
  reader: SourceReader,
  state: OperatorState,
): Promise<LocalCluster> {
  const logger = options.logger ?? silentLogger;
  const { decide = plan } = options;
  const clock: Clock = nodeClock;
  const times = createConditionTimes(clock);
  const alarm = createAlarm();
  const tell = (line: string) => {
    logger.log("info", line);
    options.onEvent?.(line);
  };
  const platform = createPlatform({
    layout,
    state,
    ports: options.ports ?? "default",
    programs: options.programs ?? BUILT_PROGRAMS,
    clock,
    onEvent: tell,
    onEnd: () => alarm.ring(),
  });
  platform.adopt();
  tellOfOtherFields(state.accepted, tell);
  const listeners = new Set<(status: LocalStatus, look: number) => void>();
  const memory: LoopMemory = { failures: new Map() };
  let desired = resolveCluster(state.accepted, state.generation);
  let current: LocalStatus | undefined;
  let isClosing = false;
  /** Counts the looks that were begun. */
  let looks = 0;

  const publish = (decided: Plan, look: number) => {
    current = describeCluster(platform, layout, decided, times, [...memory.failures.values()]);
    options.onStatus?.(current);
    for (const listener of [...listeners]) listener(current, look);
  };

  const reconcile = async () => {
    const look = ++looks;
    desired = await takeOverFile(reader, platform, desired, tell);
    const observed = await platform.observe(desired);
    const decided = decide(observed, desired, clock.monotonicMs());
    platform.remember(decided.autoscale);
    publish(decided, look);
    if (decided.mode === "Reconcile" && decided.actions.length > 0) {
      await executeAll(decided, platform, desired, memory, tell, () => isClosing);
      publish(decided, look); // with the processes and ports that are there now
    }
    return decided;
  };

  const loop = async () => {
    let failure: string | undefined;
    while (!isClosing) {
      let isBusy = true;
      try {
        const { actions } = await reconcile();
        isBusy = actions.length > 0 || current?.isReady !== true;
        failure = undefined;
      } catch (error) {
        // A full disk, say: what cannot be written down now may be later. Only a bug ends the care.
        if (error instanceof InvariantError) throw error;
        const { message } = RheaError.from(error);
        if (message !== failure) tell(`cannot look after the cluster, tries again: ${message}`);
        failure = message;
      }
      await alarm.wait(isBusy ? BUSY_INTERVAL_MS : SETTLED_INTERVAL_MS);
    }
  };
  await reconcile();
  const looping = loop();
  const failure = new Promise<never>((_, reject) => {
    looping.catch(reject);
  });
  failure.catch((error: unknown) => tell(`the operator has stopped: ${RheaError.from(error).message}`));

  let ending: Promise<void> | undefined;
  const end = (stopProcesses: boolean) => {
    ending ??= (async () => {
      isClosing = true;
      alarm.ring();
      try {
        await looping;
      } finally {
        if (stopProcesses) await platform.stopAll();
        platform.close();
        lock.release();
      }
    })();
    return ending;
  };
  const status = () => {
    if (current === undefined) throw new RheaError("INTERNAL", "the cluster has no status yet");
    return current;
  };
  const until: LocalCluster["until"] = (what, timeoutMs, holds) =>
    new Promise((resolve, reject) => {
      const finish = () => {
        clearTimeout(timer);
        listeners.delete(listener);
      };
      const begun = looks;
      const listener = (next: LocalStatus, look: number) => {
        if (look <= begun || !holds(next)) return;
        finish();
        resolve(next);
      };
      const timer = setTimeout(() => {
        finish();
        reject(
          new RheaError("DEADLINE_EXCEEDED", `${what}: not within ${timeoutMs / 1000} s: ${describeState(status())}`),
        );
      }, timeoutMs);
      looping.catch((error: unknown) => {
        finish();
        reject(RheaError.from(error));
      });
      listeners.add(listener);
      alarm.ring();
    });
  return {
    dataDir: layout.root,
    failure,
    status,
    until,
    ready: (timeoutMs) => until("the cluster is Ready", timeoutMs, ({ isReady }) => isReady),
    kill: (name, signal) => platform.supervisor.kill(name, signal),
    stop: () => end(true),
    detach: () => end(false),
  };
}

interface LoopMemory {
  /** Actions that failed when they were tried last, by description. */
  failures: Map<string, string>;
}

/** Takes over a changed cluster file; a wrong one leaves the old cluster wanted. */
async function takeOverFile(
  reader: SourceReader,
  platform: Platform,
  desired: DesiredCluster,
  tell: (line: string) => void,
): Promise<DesiredCluster> {
  const { accepted, generation } = platform.state;
  const reading = reader.read(accepted);
  if (reading.kind === "unchanged") return desired;
  const refusal = reading.kind === "refused" ? reading.message : refusalOfName(reading.cluster, platform.state);
  if (refusal !== platform.state.refusedFile) await platform.update({ refusedFile: refusal });
  if (refusal !== undefined || reading.kind === "refused") {
    tell(`the cluster file is not taken over: ${refusal ?? ""}`);
    return desired;
  }
  if (isSame(accepted, reading.cluster)) return desired;
  await platform.update({ accepted: reading.cluster, generation: generation + 1 });
  tell(`the cluster file has changed: generation ${generation + 1}`);
  tellOfOtherFields(reading.cluster, tell);
  return resolveCluster(reading.cluster, generation + 1);
}

/** One file serves here and on Kubernetes; what it says to Kubernetes alone is not passed over in silence. */
function tellOfOtherFields(cluster: RheaCluster, tell: (line: string) => void): void {
  const fields = fieldsWithoutLocalEffect(cluster);
  if (fields.length > 0) tell(`fields that act on Kubernetes only: ${fields.join(", ")}`);
}

function refusalOfName(cluster: RheaCluster, state: OperatorState): string | undefined {
  try {
    refuseOtherName(cluster, state);
    return undefined;
  } catch (error) {
    return RheaError.from(error).message;
  }
}

async function executeAll(
  decided: Plan,
  platform: Platform,
  desired: DesiredCluster,
  memory: LoopMemory,
  tell: (line: string) => void,
  isClosing: () => boolean,
): Promise<void> {
  const failures = new Map<string, string>();
  for (const action of decided.actions) {
    if (isClosing()) return;
    const what = describeStep(action);
    try {
      await platform.execute(action, desired);
      tell(`${what}: ${action.reason} (${action.proof})`);
    } catch (error) {
      const { code, message } = RheaError.from(error);
      const line = `${what}: ${code}: ${message}`;
      if (memory.failures.get(what) !== line) tell(line);
      failures.set(what, line);
    }
  }
  memory.failures = failures;
}

function describeState({ cluster, problems }: LocalStatus): string {
  const ready = cluster.conditions.find(({ type }) => type === "Ready");
  return [ready?.message ?? "", ...cluster.plan.map(({ action }) => action), ...problems].join("; ");
}
