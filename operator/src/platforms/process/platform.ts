import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { Admin } from "@rhea/client";
import { connectAdmin } from "@rhea/client/env-node";
import { RheaError, type Clock } from "@rhea/common";
import type { DesiredCluster } from "../../api/index.js";
import type { Action, Observed, PdView, ProcessState } from "../../plan/index.js";
import type { Layout } from "./layout.js";
import { readPdView } from "../pd-view.js";
import { HOST, pickPort } from "./ports.js";
import { describeDifference, pdAddresses, pdConfig, pdSettings, storeConfig, storeSettings } from "./process-config.js";
import { findByArgument } from "./process-identity.js";
import { writeState, type OperatorState, type ProcessEntry, type StoreEntry } from "./state-file.js";
import { createSupervisor, type Supervisor } from "./supervisor.js";

const PROJECT = fileURLToPath(new URL("../../../../", import.meta.url));
const VIEW_TIMEOUT_MS = 800;
const ACTION_TIMEOUT_MS = 5_000;
/** SIGTERM lets a store hand its leaders over; after this it is killed. */
const STOP_GRACE_MS = 15_000;

/** The programs that are run. */
export interface Programs {
  readonly store: string;
  readonly pd: string;
}

/** The built programs of this project. */
export const BUILT_PROGRAMS: Programs = {
  store: `${PROJECT}store/dist/bin/rhea-store.js`,
  pd: `${PROJECT}pd/dist/bin/rhea-pd.js`,
};

/** What a platform is made of. */
export interface PlatformOptions {
  readonly layout: Layout;
  readonly state: OperatorState;
  /** `default`: 7400 and upwards, with a free one where such a port is busy; `free`: any free ones. */
  readonly ports: "default" | "free";
  readonly programs: Programs;
  readonly clock: Clock;
  /** Hears, in one line, what people may want to know. */
  readonly onEvent: (line: string) => void;
  /** Called when a process ended. */
  readonly onEnd: () => void;
  /** Writes nothing, for a look from another process. Default false. */
  readonly isReadOnly?: boolean;
}

/** Local processes as a platform of the operator: reads off what is there, and does what the plan says. */
export interface Platform {
  readonly state: OperatorState;
  readonly supervisor: Supervisor;
  /** Takes over the processes of an earlier operator. */
  adopt(): void;
  /** Looks at processes and directories, and asks PD if it runs. Never fails: what does not answer is absent. */
  observe(desired: DesiredCluster): Promise<Observed>;
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
  let admin: { readonly address: string; readonly calls: Admin } | undefined;
  let view: { readonly value: PdView; readonly atMs: number } | undefined;
  const supervisor = createSupervisor(clock, (name, ended) => {
    if (ended.kind === "exited") onEvent(`${name} ${describeExit(ended)}; its log: ${layout.logFile(name)}`);
    options.onEnd();
  });

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

  const adminCalls = (): Admin => {
    const address = pdAddresses(state)[0] ?? "";
    if (admin?.address !== address) {
      admin?.calls.close();
      admin = {
        address,
        calls: connectAdmin({ pd: [address], clusterId: state.clusterId, timeoutMs: ACTION_TIMEOUT_MS }),
      };
    }
    return admin.calls;
  };
  const dropAdmin = () => {
    admin?.calls.close();
    admin = undefined;
  };

  const refreshView = async () => {
    if (supervisor.state(state.pd.name).kind !== "running") return;
    const atMs = clock.monotonicMs();
    try {
      view = { value: await readPdView(adminCalls(), VIEW_TIMEOUT_MS), atMs };
    } catch {
      dropAdmin(); // a fresh connection does not wait out the back-off of a broken one; the age of the view tells the rest
      return;
    }
    const known = new Set(view.value.stores.map(({ name }) => name));
    const fresh = state.stores.filter(({ name, initialised }) => !initialised && known.has(name));
    if (state.pd.initialised && fresh.length === 0) return;
    await update({
      pd: { ...state.pd, initialised: true },
      stores: state.stores.map((entry) => (known.has(entry.name) ? { ...entry, initialised: true } : entry)),
    });
  };

  const processOf = (entry: ProcessEntry, wanted: Readonly<Record<string, string>>): ProcessState => {
    const now = supervisor.state(entry.name);
    const outdated = now.kind === "running" ? describeDifference(entry.settings, wanted) : undefined;
    return now.kind === "running" && outdated !== undefined ? { ...now, outdated } : now;
  };

  /** Gives an entry ports that can be listened on now, the same as before where possible. */
  const withPorts = async <T extends ProcessEntry>(entry: T, first: number): Promise<T> => {
    const others = [state.pd, ...state.stores].filter(({ name }) => name !== entry.name);
    const taken = new Set(others.flatMap(({ port, statusPort }) => [port, statusPort]));
    const pick = async (before: number, usual: number, what: string) => {
      const wanted = before !== 0 ? before : options.ports === "default" ? usual : 0;
      const port = await pickPort(wanted === 0 ? [] : [wanted], taken);
      if (wanted !== 0 && port !== wanted) {
        onEvent(`port ${wanted} is in use: ${entry.name} takes ${port} for its ${what}`);
      }
      taken.add(port);
      return port;
    };
    const port = await pick(entry.port, first, "clients");
    return { ...entry, port, statusPort: await pick(entry.statusPort, first + 1, "status") };
  };

  const run = async (name: string, script: string, config: string) => {
    const configFile = layout.configFile(name);
    mkdirSync(dirname(configFile), { recursive: true });
    writeFileSync(configFile, config);
    const identity = await supervisor.start(name, {
      script,
      args: ["--config", configFile],
      env: childEnvironment(),
      logFile: layout.logFile(name),
    });
    return { ...identity, startedAt: clock.wallMs() };
  };

  const startPd = async (desired: DesiredCluster) => {
    if (state.pd.initialised) requireDirectory(state.pd.name, layout.pdDir(state.pd.name));
    await update({ pd: await withPorts(state.pd, 7400) });
    const process = await run(state.pd.name, programs.pd, pdConfig(layout, state, desired));
    await update({ pd: { ...state.pd, process, settings: pdSettings(desired) } });
    writeClusterFile(layout, state);
  };

  const startStore = async (name: string, desired: DesiredCluster) => {
    const entry = entryOf(name);
    if (entry.initialised) requireDirectory(name, layout.storeDir(name));
    await updateStore(name, await withPorts(entry, 7410 + 10 * entry.ordinal));
    const process = await run(name, programs.store, storeConfig(layout, state, entryOf(name), desired));
    await updateStore(name, { process, settings: storeSettings(state, desired) });
    writeClusterFile(layout, state);
  };

  const deleteStore = async (name: string) => {
    const directory = layout.storeDir(name);
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
    await update({ stores: state.stores.filter((entry) => entry.name !== name) });
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
      for (const entry of [state.pd, ...state.stores]) {
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
        pds: [
          {
            name: state.pd.name,
            ordinal: 0,
            initialised: state.pd.initialised,
            process: processOf(state.pd, pdSettings(desired)),
            directory: directoryState(layout.pdDir(state.pd.name)),
          },
        ],
        nextPdOrdinal: 1,
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
    async execute(action, desired) {
      switch (action.kind) {
        case "startPd":
          return startPd(desired);
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
          await adminCalls().evictLeaders(action.storeId, { ...origin, release: true });
          return;
        case "addPd":
        case "removePdMember":
        case "deletePd":
        case "transferPdLeader":
          throw new RheaError("INTERNAL", `${action.kind}: a local cluster has one PD member`);
      }
    },
    async stopAll() {
      await Promise.all(state.stores.map(({ name }) => supervisor.stop(name, STOP_GRACE_MS)));
      await supervisor.stop(state.pd.name, STOP_GRACE_MS);
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

/** An empty directory counts as missing: there is nothing left in it to go on from. */
function directoryState(path: string): "present" | "missing" {
  try {
    return readdirSync(path).length > 0 ? "present" : "missing";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ENOTDIR" ? "missing" : "present"; // what cannot be read is not thereby lost
  }
}

/** A process that has served is never started on an empty directory: it could vote twice. */
function requireDirectory(name: string, path: string): void {
  if (directoryState(path) === "missing")
    throw new RheaError("DISK_LOST", `${name}: ${path} is gone; it is not started without it`);
}

/** The environment of this process, without settings of Rhea's own: a process gets those from its file alone. */
function childEnvironment(): Record<string, string | undefined> {
  const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith("RHEA_"));
  return { ...Object.fromEntries(inherited), UV_THREADPOOL_SIZE: "16" };
}

/** Tells `rheactl` where PD is, and the stores, which it asks while PD does not answer. Renamed into place: it is read at any time. */
function writeClusterFile(layout: Layout, state: OperatorState): void {
  const stores = state.stores.filter(({ port }) => port !== 0).map(({ port }) => addressOf(port));
  const pd = state.pd.port === 0 ? [] : pdAddresses(state);
  const draft = `${layout.clusterFile}.new`;
  writeFileSync(draft, `${JSON.stringify({ clusterId: state.clusterId, pd, stores, name: state.name })}\n`);
  renameSync(draft, layout.clusterFile);
}

/** The address of a process for people. */
export function addressOf(port: number): string {
  return port === 0 ? "-" : `${HOST}:${port}`;
}
