import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";

/**
 * A process and not merely its number: numbers are used again, so the time of its start goes with it. `startToken` is comparable on
 * one machine only, and only for equality.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startToken: string;
}

/** Tells when a process started, or undefined if there is none of this number or it is a zombie. Linux and macOS. */
export function startTokenOf(pid: number): string | undefined {
  return process.platform === "linux" ? linuxToken(pid) : psToken(pid);
}

function linuxToken(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // the name before it may hold anything
    const [state] = fields;
    const startedTicks = fields[19];
    if (state === "Z" || state === "X" || startedTicks === undefined) return undefined;
    return `${bootId()}:${startedTicks}`;
  } catch {
    return undefined; // no such process
  }
}

let knownBootId: string | undefined;

/** Ticks count from the machine's start, so its start is part of the token. */
function bootId(): string {
  knownBootId ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return knownBootId;
}

function psToken(pid: number): string | undefined {
  try {
    const line = execFileSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8" }).trim();
    const [state = "Z"] = line.split(/\s+/, 1);
    return state.startsWith("Z") ? undefined : line.slice(state.length).trim();
  } catch {
    return undefined; // ps exits with 1 when there is no such process
  }
}

/** Whether exactly this process still runs. */
export function isRunning(identity: ProcessIdentity): boolean {
  return startTokenOf(identity.pid) === identity.startToken;
}

/**
 * Finds a running process whose command line has `argument` as one of its words: a child that was started but whose number could not be
 * written down before its operator ended.
 */
export function findByArgument(argument: string): ProcessIdentity | undefined {
  for (const { pid, words } of process.platform === "linux" ? linuxCommands() : psCommands()) {
    if (pid === process.pid || !words.includes(argument)) continue;
    const startToken = startTokenOf(pid);
    if (startToken !== undefined) return { pid, startToken };
  }
  return undefined;
}

function linuxCommands(): readonly { readonly pid: number; readonly words: readonly string[] }[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      return [{ pid: Number(name), words: readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0") }];
    } catch {
      return []; // it has ended meanwhile, or belongs to someone else
    }
  });
}

function psCommands(): readonly { readonly pid: number; readonly words: readonly string[] }[] {
  const lines = execFileSync("ps", ["-axww", "-o", "pid=,command="], { encoding: "utf8" }).split("\n");
  return lines.map((line) => {
    const [pid = "", ...words] = line.trim().split(" ");
    return { pid: Number(pid), words };
  });
}
