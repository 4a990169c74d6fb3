import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { RheaError, type Clock } from "@rhea/common";
import type { ProcessState } from "../../plan/index.js";
import { isRunning, startTokenOf, type ProcessIdentity } from "./process-identity.js";

/** A run of this length ends a row of failures. */
const LASTING_RUN_MS = 30_000;
/** A log file above this is set aside when its process starts. */
const LOG_LIMIT_BYTES = 16 * 2 ** 20;
const POLL_MS = 100;

/** How to start a process. */
export interface Command {
  /** A main for this Node. */
  readonly script: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Gets standard output and error, appended. */
  readonly logFile: string;
}

/** Starts, watches and stops processes, each under a name. Decides nothing: what runs is the plan's business. */
export interface Supervisor {
  /** The state of a process; one that it has never heard of is stopped. */
  state(name: string): ProcessState;
  /** The running process of a name. */
  identity(name: string): ProcessIdentity | undefined;
  /**
   * Starts a process that outlives this one. Does nothing if it runs.
   *
   * @throws {RheaError} UNAVAILABLE if it cannot even be started
   */
  start(name: string, command: Command): Promise<ProcessIdentity>;
  /** Takes over a process that an earlier operator started `ageMs` ago. Returns false if it is gone. */
  adopt(name: string, identity: ProcessIdentity, ageMs: number): boolean;
  /** Asks a process to stop and kills it after `graceMs`; resolves when it is gone. */
  stop(name: string, graceMs: number): Promise<void>;
  /** Sends a signal as a stranger would: the end counts as a failure. */
  kill(name: string, signal: NodeJS.Signals): void;
  /** Forgets everything about a name that does not run. */
  forget(name: string): void;
  /** Stops watching; processes run on. */
  close(): void;
}

interface Entry {
  state: ProcessState;
  identity: ProcessIdentity | undefined;
  /** Whether it is our child, whose end is told with its exit code; the others are polled. */
  isChild: boolean;
  failures: number;
  failingSinceMs: number | undefined;
  readonly waiters: (() => void)[];
}

/**
 * Makes a supervisor.
 *
 * @param onEnd called after every end that nobody asked for
 */
export function createSupervisor(clock: Clock, onEnd: (name: string, state: ProcessState) => void): Supervisor {
  const entries = new Map<string, Entry>();
  const entryOf = (name: string): Entry => {
    let entry = entries.get(name);
    if (entry === undefined) {
      entry = {
        state: { kind: "stopped" },
        identity: undefined,
        isChild: false,
        failures: 0,
        failingSinceMs: undefined,
        waiters: [],
      };
      entries.set(name, entry);
    }
    return entry;
  };

  const ended = (name: string, entry: Entry, code: number | null, signal: string | null) => {
    const now = clock.monotonicMs();
    const before = entry.state;
    entry.identity = undefined;
    if (before.kind === "stopping") {
      entry.state = { kind: "stopped" };
      entry.failures = 0;
      entry.failingSinceMs = undefined;
    } else {
      const lasted = before.kind === "running" && now - before.sinceMs >= LASTING_RUN_MS;
      entry.failures = lasted ? 1 : entry.failures + 1;
      entry.failingSinceMs = lasted ? now : (entry.failingSinceMs ?? now);
      const { failures, failingSinceMs } = entry;
      entry.state = { kind: "exited", code, signal, atMs: now, failures, failingSinceMs };
    }
    for (const waiter of entry.waiters.splice(0)) waiter();
    if (entry.state.kind === "exited") onEnd(name, entry.state);
  };

  const poll = setInterval(() => {
    for (const [name, entry] of entries) {
      if (entry.identity !== undefined && !entry.isChild && !isRunning(entry.identity)) ended(name, entry, null, null);
    }
  }, POLL_MS);

  const running = (entry: Entry, identity: ProcessIdentity, isChild: boolean, sinceMs: number) => {
    entry.identity = identity;
    entry.isChild = isChild;
    entry.state = { kind: "running", sinceMs };
  };

  return {
    state(name) {
      const entry = entries.get(name);
      if (entry === undefined) return { kind: "stopped" };
      const { state, failingSinceMs } = entry;
      if (state.kind !== "running" || failingSinceMs === undefined) return state;
      return clock.monotonicMs() - state.sinceMs >= LASTING_RUN_MS ? state : { ...state, failingSinceMs };
    },
    identity: (name) => entries.get(name)?.identity,
    async start(name, command) {
      const entry = entryOf(name);
      if (entry.identity !== undefined) return entry.identity;
      const identity = await spawnDetached(name, command, (code, signal) => ended(name, entry, code, signal));
      running(entry, identity, true, clock.monotonicMs());
      return identity;
    },
    adopt(name, identity, ageMs) {
      if (!isRunning(identity)) return false;
      running(entryOf(name), identity, false, clock.monotonicMs() - Math.max(0, ageMs));
      return true;
    },
    async stop(name, graceMs) {
      const entry = entryOf(name);
      if (entry.identity === undefined) {
        entry.state = { kind: "stopped" };
        entry.failures = 0;
        entry.failingSinceMs = undefined;
        return;
      }
      const { identity } = entry;
      const gone = new Promise<void>((resolve) => entry.waiters.push(resolve));
      if (entry.state.kind !== "stopping") {
        entry.state = { kind: "stopping", sinceMs: clock.monotonicMs() };
        signalIfRunning(identity, "SIGTERM");
      }
      const timer = setTimeout(() => signalIfRunning(identity, "SIGKILL"), graceMs);
      await gone;
      clearTimeout(timer);
    },
    kill(name, signal) {
      const identity = entries.get(name)?.identity;
      if (identity !== undefined) signalIfRunning(identity, signal);
    },
    forget(name) {
      if (entries.get(name)?.identity === undefined) entries.delete(name);
    },
    close: () => clearInterval(poll),
  };
}

function signalIfRunning(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isRunning(identity)) return; // the number may belong to someone else by now
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function spawnDetached(
  name: string,
  command: Command,
  onEnd: (code: number | null, signal: string | null) => void,
): Promise<ProcessIdentity> {
  const log = openLog(command.logFile);
  try {
    const child = spawn(process.execPath, [command.script, ...command.args], {
      detached: true, // a session of its own: Ctrl-C in a terminal reaches the operator alone
      stdio: ["ignore", log, log],
      env: command.env,
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", (cause) =>
        reject(new RheaError("UNAVAILABLE", `${name} cannot be started: ${cause.message}`, { cause })),
      );
    });
    child.on("error", () => undefined); // a failed signal; the end of a process comes as `exit`
    const pid = child.pid ?? 0;
    const startToken = startTokenOf(pid) ?? "";
    child.once("exit", (code, signal) => onEnd(code, signal));
    child.unref();
    return { pid, startToken };
  } finally {
    closeSync(log);
  }
}

function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_LIMIT_BYTES) renameSync(path, `${path}.1`);
  return openSync(path, "a");
}
