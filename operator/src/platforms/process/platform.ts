import { rmSync } from "node:fs";
import { sep } from "node:path";
import type { Admin } from "@rhea/client";
import { connectAdmin } from "@rhea/client/env-node";
import { RheaError } from "@rhea/common";
import type { DesiredCluster } from "../../api/index.js";
import type { Action, AutoscaleMemory, Observed, PdView, ProcessState } from "../../plan/index.js";
import { directoryState, requireDirectory, writeClusterFile } from "./data-files.js";
import { createLauncher } from "./launcher.js";
import { readPdView } from "../pd-view.js";
import type { PlatformOptions } from "./platform-options.js";
import { describeDifference, pdAddresses, pdConfig, storeConfig, storeSettings } from "./process-config.js";
import { findByArgument } from "./process-identity.js";
import { writeState, type OperatorState, type PdEntry, type ProcessEntry, type StoreEntry } from "./state-file.js";
import { createSupervisor, type Supervisor } from "./supervisor.js";

const VIEW_TIMEOUT_MS = 800;
const ACTION_TIMEOUT_MS = 5_000;
/** SIGTERM lets a store hand its leaders over; after this it is killed. */
const STOP_GRACE_MS = 15_000;

/** Local processes as a platform of the operator: reads off what is there, and does what the plan says. */
export interface Platform {
  readonly state: OperatorState;
  readonly supervisor: Supervisor;
  /** Takes over the processes of an earlier operator. */
  adopt(): void;
  /** Looks at processes and directories, and asks PD if it runs. Never fails: what does not answer is absent. */
  observe(desired: DesiredCluster): Promise<Observed>;
  /** Keeps what the autoscaler wants to find at the next look. */
  remember(autoscale: AutoscaleMemory | undefined): void;
  /** @throws {RheaError} what PD or the machine answered */
  execute(action: Action, desired: DesiredCluster): Promise<void>;
  /** Changes the memory of the data directory, durably. */
  update(change: Partial<OperatorState>): Promise<void>;
  /** Stops the stores, then PD. */
  stopAll(): Promise<void>;
  /** Lets go of everything; processes run on. */
  close(): void;
}

/** Makes the platform of a data directory that this process has locked. */
export function createPlatform(options: PlatformOptions): Platform {
  const { layout, programs, clock, onEvent } = options;
  let { state } = options;
  let admin: { readonly addresses: string; readonly calls: Admin } | undefined;
  let autoscale: AutoscaleMemory | undefined;
  let view: { readonly value: PdView; readonly atMs: number } | undefined;
  const supervisor = createSupervisor(clock, (name, ended) => {
    if (ended.kind === "exited") onEvent(`${name} ${describeExit(ended)}; its log: ${layout.logFile(name)}`);
    options.onEnd();
  });

  const launcher = createLauncher(options, supervisor);

  const update = async (change: Partial<OperatorState>) => {
    state = { ...state, ...change };
    if (options.isReadOnly !== true) await writeState(layout, state);
  };
  const updateStore = (name: string, change: Partial<StoreEntry>) =>
    update({ stores: state.stores.map((entry) => (entry.name === name ? { ...entry, ...change } : entry)) });
  const entryOf = (name: string): StoreEntry => {
    const entry = state.stores.find((candidate) => candidate.name === name);
    if (entry === undefined) throw new RheaError("NOT_FOUND", `store ${name} has no record in ${layout.stateFile}`);
    return entry;
  };

  const updatePd = (name: string, change: Partial<PdEntry>) =>
    update({ pds: state.pds.map((entry) => (entry.name === name ? { ...entry, ...change } : entry)) });
  const pdEntryOf = (name: string): PdEntry => {
    const entry = state.pds.find((candidate) => candidate.name === name);
    if (entry === undefined) throw new RheaError("NOT_FOUND", `PD member ${name} has no record in ${layout.stateFile}`);
    return entry;
  };

  const adminCalls = (): Admin => {
    const pd = pdAddresses(state);
    const addresses = pd.join(",");
    if (admin?.addresses !== addresses) {
      admin?.calls.close();
      admin = { addresses, calls: connectAdmin({ pd, clusterId: state.clusterId, timeoutMs: ACTION_TIMEOUT_MS }) };
    }
    return admin.calls;
  };
  const dropAdmin = () => {
    admin?.calls.close();
    admin = undefined;
  };

  const refreshView = async () => {
    if (!state.pds.some(({ name }) => supervisor.state(name).kind === "running")) return;
    const atMs = clock.monotonicMs();
    try {
      view = { value: await readPdView(adminCalls(), VIEW_TIMEOUT_MS), atMs };
    } catch {
      dropAdmin(); // a fresh connection does not wait out the back-off of a broken one; the age of the view tells the rest
      return;
    }
    const known = new Set(view.value.stores.map(({ name }) => name));
    const voters = new Set(view.value.members.flatMap(({ name, isVoter }) => (isVoter ? [name] : [])));
    const isFresh = ({ name, initialised }: ProcessEntry) => !initialised && (known.has(name) || voters.has(name));
    if (![...state.pds, ...state.stores].some(isFresh)) return;
    await update({
      pds: state.pds.map((entry) => (voters.has(entry.name) ? { ...entry, initialised: true } : entry)),
      stores: state.stores.map((entry) => (known.has(entry.name) ? { ...entry, initialised: true } : entry)),
    });
  };

  const processOf = (entry: ProcessEntry, wanted: Readonly<Record<string, string>>): ProcessState => {
    const now = supervisor.state(entry.name);
    const outdated = now.kind === "running" ? describeDifference(entry.settings, wanted) : undefined;
    return now.kind === "running" && outdated !== undefined ? { ...now, outdated } : now;
  };

  const startPd = async (name: string, isFirst: boolean, desired: DesiredCluster) => {
    const entry = pdEntryOf(name);
    if (entry.initialised) requireDirectory(name, layout.pdDir(name));
    await updatePd(name, await launcher.withPorts(state, entry, 7400 + 2 * (entry.ordinal % 5)));
    const process = await launcher.run(name, programs.pd, pdConfig(layout, state, pdEntryOf(name), desired, isFirst));
    await updatePd(name, { process, settings: {} });
    writeClusterFile(layout, state);
  };

  const startStore = async (name: string, desired: DesiredCluster) => {
    const entry = entryOf(name);
    if (entry.initialised) requireDirectory(name, layout.storeDir(name));
    await updateStore(name, await launcher.withPorts(state, entry, 7410 + 10 * entry.ordinal));
    const process = await launcher.run(name, programs.store, storeConfig(layout, state, entryOf(name), desired));
    await updateStore(name, { process, settings: storeSettings(state, desired) });
    writeClusterFile(layout, state);
  };

  const deleteFiles = (name: string, directory: string) => {
    if (!directory.startsWith(layout.root + sep))
      throw new RheaError("INTERNAL", `${directory} lies outside ${layout.root}`);
    const running = supervisor.identity(name);
    if (running !== undefined)
      throw new RheaError(
        "OPERATION_REFUSED",
        `${name} still runs as process ${running.pid}: its data are not deleted`,
      );
    rmSync(directory, { recursive: true, force: true });
    rmSync(layout.configFile(name), { force: true });
    supervisor.forget(name);
  };

  const deleteStore = async (name: string) => {
    deleteFiles(name, layout.storeDir(name));
    await update({ stores: state.stores.filter((entry) => entry.name !== name) });
    writeClusterFile(layout, state);
  };

  const deletePd = async (name: string) => {
    deleteFiles(name, layout.pdDir(name));
    await update({ pds: state.pds.filter((entry) => entry.name !== name) });
    writeClusterFile(layout, state);
  };

  const stopInBackground = (name: string) => {
    supervisor.stop(name, STOP_GRACE_MS).then(options.onEnd, (error: unknown) => {
      onEvent(`${name} could not be stopped: ${RheaError.from(error).message}`);
    });
  };

  const origin = { origin: "operator" } as const;
  return {
    get state() {
      return state;
    },
    supervisor,
    update,
    adopt() {
      for (const entry of [...state.pds, ...state.stores]) {
        const { process } = entry;
        const ageMs = process === undefined ? 0 : clock.wallMs() - process.startedAt;
        if (process !== undefined && supervisor.adopt(entry.name, process, ageMs)) {
          onEvent(`${entry.name} runs already as process ${process.pid}`);
          continue;
        }
        const orphan = findByArgument(layout.configFile(entry.name));
        if (orphan !== undefined && supervisor.adopt(entry.name, orphan, 0)) {
          onEvent(`${entry.name} runs already as process ${orphan.pid}`);
        }
      }
    },
    async observe(desired) {
      await refreshView();
      return {
        pds: state.pds.map((entry) => ({
          name: entry.name,
          ordinal: entry.ordinal,
          initialised: entry.initialised,
          process: processOf(entry, {}),
          directory: directoryState(layout.pdDir(entry.name)),
        })),
        nextPdOrdinal: state.nextPdOrdinal,
        ...(autoscale === undefined ? {} : { autoscale }),
        wallMs: clock.wallMs(),
        stores: state.stores.map((entry) => ({
          name: entry.name,
          ordinal: entry.ordinal,
          initialised: entry.initialised,
          drainedByOperator: entry.drainedByOperator,
          wantsDrain: false,
          removeFirst: false,
          process: processOf(entry, storeSettings(state, desired)),
          directory: directoryState(layout.storeDir(entry.name)),
        })),
        nextOrdinal: state.nextOrdinal,
        view: view === undefined ? undefined : { ...view.value, ageMs: clock.monotonicMs() - view.atMs },
      };
    },
    remember(next) {
      autoscale = next;
    },
    async execute(action, desired) {
      switch (action.kind) {
        case "addPd": {
          const { name, ordinal, isFirst } = action;
          const entry: PdEntry = { name, ordinal, port: 0, statusPort: 0, initialised: false };
          await update({ nextPdOrdinal: Math.max(state.nextPdOrdinal, ordinal + 1), pds: [...state.pds, entry] });
          return startPd(name, isFirst, desired);
        }
        case "startPd":
          return startPd(action.name, action.isFirst, desired);
        case "removePdMember":
          return adminCalls().removeMember(action.name, origin);
        case "deletePd":
          return deletePd(action.name);
        case "transferPdLeader":
          return adminCalls().transferPdLeader(action.toName, origin);
        case "addStore": {
          const { name, ordinal } = action;
          const entry: StoreEntry = {
            name,
            ordinal,
            port: 0,
            statusPort: 0,
            initialised: false,
            drainedByOperator: false,
          };
          await update({ nextOrdinal: Math.max(state.nextOrdinal, ordinal + 1), stores: [...state.stores, entry] });
          return startStore(name, desired);
        }
        case "startStore":
          return startStore(action.name, desired);
        case "stopProcess":
        case "restartProcess": // once it has stopped, the plan starts it
          stopInBackground(action.name);
          return;
        case "drainStore":
          await updateStore(action.name, { drainedByOperator: true });
          await adminCalls().drainStore(action.storeId, origin);
          return;
        case "cancelDrain":
          await adminCalls().cancelDrain(action.storeId, origin);
          return updateStore(action.name, { drainedByOperator: false });
        case "removeStore":
          await adminCalls().removeStore(action.storeId, { ...origin, force: action.force });
          return;
        case "deleteStore":
          return deleteStore(action.name);
        case "replacePeer":
          await adminCalls().addOperation({
            kind: "replace-peer",
            regionId: action.regionId,
            fromStoreId: action.fromStoreId,
            storeId: action.toStoreId,
            origin: "operator",
            reason: action.reason,
          });
          return;
        case "reportDiskLost":
          await adminCalls().reportDiskLost(action.storeId, { ...origin, reason: action.reason });
          return;
        case "setClusterConfig":
          await adminCalls().setClusterConfig(action.config);
          return;
        case "evictLeaders":
          await adminCalls().evictLeaders(action.storeId, { ...origin, ttlMs: action.ttlMs });
          return;
        case "releaseLeaders":
          await adminCalls().releaseLeaders(action.storeId, origin);
          return;
      }
    },
    async stopAll() {
      await Promise.all(state.stores.map(({ name }) => supervisor.stop(name, STOP_GRACE_MS)));
      const leader = view?.value.members.find(({ isLeader }) => isLeader)?.name;
      const followers = state.pds.filter(({ name }) => name !== leader);
      await Promise.all(followers.map(({ name }) => supervisor.stop(name, STOP_GRACE_MS)));
      if (leader !== undefined) await supervisor.stop(leader, STOP_GRACE_MS);
      rmSync(layout.clusterFile, { force: true });
    },
    close() {
      supervisor.close();
      dropAdmin();
    },
  };
}

function describeExit(ended: Extract<ProcessState, { kind: "exited" }>): string {
  if (ended.signal !== null) return `was ended by ${ended.signal}`;
  return ended.code === null ? "ended" : `exited with code ${ended.code}`;
}
