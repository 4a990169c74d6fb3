/** What a pod tells of its process. Pure but for the memory of runs, which the caller keeps. */
import type { PersistentVolumeClaim, Pod, StorageClass } from "../../kube/index.js";
import type { ProcessState } from "../../plan/index.js";
import { isOfAnother } from "./cluster-objects.js";
import type { ContainerRun } from "./deps.js";
import { findProblem } from "./pending.js";
import type { Times } from "./times.js";

/** A run of this length ends a row of failures. */
const LASTING_RUN_MS = 30_000;
const SIGNALS: Readonly<Record<number, string>> = { 130: "SIGINT", 137: "SIGKILL", 139: "SIGSEGV", 143: "SIGTERM" };

/** What a process is judged by. */
export interface ProcessFacts {
  /** Undefined: there is none. */
  readonly pod: Pod | undefined;
  /** uid of the RheaCluster: a pod of an earlier one of the same name is on its way out. */
  readonly clusterUid: string;
  /** The claims that the pod mounts, as far as they exist. */
  readonly claims: readonly PersistentVolumeClaim[];
  readonly storageClasses: readonly StorageClass[];
  /** In words, what differs from what is wanted. */
  readonly outdated: string | undefined;
  readonly times: Times;
  /** Runs by uid of the pod; this function keeps it up to date. */
  readonly runs: Map<string, ContainerRun>;
}

type ContainerStatus = NonNullable<NonNullable<Pod["status"]>["containerStatuses"]>[number];
type Terminated = NonNullable<NonNullable<ContainerStatus["state"]>["terminated"]>;

/** Reads off the state of a process. */
export function processState(facts: ProcessFacts): ProcessState {
  const { pod, times } = facts;
  if (pod === undefined) return { kind: "stopped" };
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, creationTimestamp } = pod.metadata ?? {};
  if (deletionTimestamp !== undefined || isOfAnother(pod, facts.clusterUid)) {
    const end = times.since(deletionTimestamp) ?? times.nowMs;
    return { kind: "stopping", sinceMs: Math.min(times.nowMs, end - deletionGracePeriodSeconds * 1000) };
  }
  const outdated = facts.outdated === undefined ? {} : { outdated: facts.outdated };
  const container = pod.status?.containerStatuses?.[0];
  const phase = pod.status?.phase;
  if (phase === "Failed" || phase === "Succeeded") return { ...ended(facts, pod, container), ...outdated };
  if (container?.state?.running !== undefined) return { ...running(facts, pod, container), ...outdated };
  const last = container?.state?.terminated ?? container?.lastState?.terminated;
  const problem = findProblem(pod, facts.claims, facts.storageClasses);
  const isStartingAgain = last !== undefined && (problem === undefined || problem.cause === "starting");
  if (isStartingAgain) return { ...ended(facts, pod, container), ...outdated, restartsByItself: true };
  return {
    kind: "pending",
    sinceMs: times.since(creationTimestamp) ?? times.nowMs,
    ...(problem ?? { cause: "starting" as const, why: "its container is being started: wait" }),
    ...outdated,
  };
}

/** The ready condition of a pod. */
function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
}

function running(facts: ProcessFacts, pod: Pod, container: ContainerStatus): ProcessState & { kind: "running" } {
  const { times, runs } = facts;
  const uid = pod.metadata?.uid ?? "";
  const id = `${container.containerID ?? ""}#${container.restartCount}`;
  const before = runs.get(uid);
  const told = times.since(container.state?.running?.startedAt) ?? times.nowMs;
  // When this look is the first, what the kubelet says; when the start was watched, our own clock, which needs no trust in another's.
  const sinceMs = before === undefined ? told : before.id === id ? before.sinceMs : Math.max(told, times.nowMs - 2_000);
  const hasLasted = times.nowMs - sinceMs >= LASTING_RUN_MS;
  const failingSinceMs = hasLasted ? undefined : failingSince(facts, before, container.lastState?.terminated);
  runs.set(uid, { id, sinceMs, failingSinceMs });
  return {
    kind: "running",
    sinceMs,
    isReady: isReady(pod),
    ...(failingSinceMs === undefined ? {} : { failingSinceMs }),
  };
}

function ended(
  facts: ProcessFacts,
  pod: Pod,
  container: ContainerStatus | undefined,
): ProcessState & { kind: "exited" } {
  const { times, runs } = facts;
  const uid = pod.metadata?.uid ?? "";
  const last = container?.state?.terminated ?? container?.lastState?.terminated;
  const before = runs.get(uid);
  const atMs = times.since(last?.finishedAt) ?? times.nowMs;
  const hadLasted =
    before !== undefined && before.failingSinceMs === undefined && atMs - before.sinceMs >= LASTING_RUN_MS;
  const failingSinceMs = (hadLasted ? undefined : failingSince(facts, before, last)) ?? atMs;
  runs.set(uid, { id: `ended#${container?.restartCount ?? 0}`, sinceMs: before?.sinceMs ?? atMs, failingSinceMs });
  const code = last?.exitCode ?? null;
  const signal = code === null ? null : (SIGNALS[code] ?? null);
  return {
    kind: "exited",
    code: signal === null ? code : null,
    signal,
    atMs,
    failures: Math.max(1, hadLasted ? 1 : (container?.restartCount ?? 0)),
    failingSinceMs,
  };
}

function failingSince(
  { times }: ProcessFacts,
  before: ContainerRun | undefined,
  last: Terminated | undefined,
): number | undefined {
  return before?.failingSinceMs ?? times.since(last?.finishedAt);
}
