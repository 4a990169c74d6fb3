import type { Clock } from "@rhea/common";
import type { Condition } from "../../api/index.js";
import { describeBlocked, type Plan, type ProcessState } from "../../plan/index.js";
import type { Layout } from "./layout.js";
import { addressOf } from "./data-files.js";
import type { Platform } from "./platform.js";
import { pdAddresses } from "./process-config.js";

/** A process for people. */
export interface ProcessRow {
  readonly name: string;
  readonly role: "pd" | "store";
  /** As in `status.stores` and `status.pd.list`; Stopped, Stopping or Down for what does not run. */
  readonly state: string;
  readonly pid: number | undefined;
  readonly address: string;
  readonly statusAddress: string;
  readonly regions: number | undefined;
  readonly leaders: number | undefined;
  readonly dataPath: string;
  readonly logPath: string;
}

/** Everything about a local cluster. */
export interface LocalStatus {
  readonly name: string;
  readonly dataDir: string;
  /** PD's addresses, for clients. */
  readonly pd: readonly string[];
  readonly isReady: boolean;
  /** As `status` of a RheaCluster. */
  readonly cluster: Omit<Plan["status"], "conditions"> & { readonly conditions: readonly Condition[] };
  readonly processes: readonly ProcessRow[];
  /** What is wrong or held back, one line each; a refused cluster file first. */
  readonly problems: readonly string[];
}

/** Gives conditions the time since when they hold. */
export interface ConditionTimes {
  stamp(conditions: Plan["status"]["conditions"]): readonly Condition[];
}

/** Makes a keeper of condition times. */
export function createConditionTimes(clock: Clock): ConditionTimes {
  const since = new Map<string, { readonly status: string; readonly time: string }>();
  return {
    stamp: (conditions) =>
      conditions.map((condition) => {
        const before = since.get(condition.type);
        const time = before?.status === condition.status ? before.time : new Date(clock.wallMs()).toISOString();
        since.set(condition.type, { status: condition.status, time });
        return { ...condition, lastTransitionTime: time };
      }),
  };
}

/** Puts a plan's status and the processes together. */
export function describeCluster(
  platform: Platform,
  layout: Layout,
  { status, blocked }: Plan,
  times: ConditionTimes,
  problems: readonly string[],
): LocalStatus {
  const conditions = times.stamp(status.conditions);
  const { state, supervisor } = platform;
  const pdRows = state.pds.map((entry): ProcessRow => {
    const member = status.pd.list.find(({ name }) => name === entry.name);
    const process = supervisor.state(entry.name);
    return {
      name: entry.name,
      role: "pd",
      state: member === undefined || process.kind !== "running" ? stateWord(process) : member.state,
      pid: supervisor.identity(entry.name)?.pid,
      address: addressOf(entry.port),
      statusAddress: addressOf(entry.statusPort),
      regions: undefined,
      leaders: undefined,
      dataPath: layout.pdDir(entry.name),
      logPath: layout.logFile(entry.name),
    };
  });
  const storeRows = state.stores.map((entry): ProcessRow => {
    const store = status.stores.find(({ name }) => name === entry.name);
    const process = supervisor.state(entry.name);
    return {
      name: entry.name,
      role: "store",
      state: store === undefined || process.kind === "stopped" ? stateWord(process) : store.state,
      pid: supervisor.identity(entry.name)?.pid,
      address: addressOf(entry.port),
      statusAddress: addressOf(entry.statusPort),
      regions: store?.regions,
      leaders: store?.leaders,
      dataPath: layout.storeDir(entry.name),
      logPath: layout.logFile(entry.name),
    };
  });
  return {
    name: state.name,
    dataDir: layout.root,
    pd: pdAddresses(state),
    isReady: conditions.some(({ type, status: value }) => type === "Ready" && value === "True"),
    cluster: { ...status, conditions },
    processes: [...pdRows, ...storeRows],
    problems: [
      ...(state.refusedFile === undefined ? [] : [`the cluster file is not taken over: ${state.refusedFile}`]),
      ...problems,
      ...blocked.map(describeBlocked),
    ],
  };
}

function stateWord(state: ProcessState): string {
  switch (state.kind) {
    case "pending":
      return "Pending";
    case "running":
      return "Starting";
    case "stopping":
      return "Stopping";
    case "stopped":
      return "Stopped";
    case "exited":
      return "Down";
  }
}
