import type { MemberRecord, ProcessState } from "./observed.js";

/** A process may take this long to be heard by PD before it counts as silent. */
export const START_GRACE_MS = 20_000;
/** Exit code of DISK_LOST and STALE_IDENTITY in the error table. */
const EXIT_DISK_LOST = 7;

/** In words, what of its settings is not as wanted. */
export function outdatedOf(process: ProcessState): string | undefined {
  return "outdated" in process ? process.outdated : undefined;
}

/** Says how the disk is known to be lost; undefined if it is not. */
export function diskLossOf({ process, initialised, directory }: MemberRecord): string | undefined {
  if (process.kind === "exited" && process.code === EXIT_DISK_LOST) {
    return `it exited with code ${EXIT_DISK_LOST}: its identity is lost or outdated`;
  }
  return initialised && directory === "missing" ? "its directory is gone" : undefined;
}

/** Says that its host is lost; undefined if it is not. */
export function hostLossOf({ host }: MemberRecord): string | undefined {
  if (host === undefined || host.state === "ready") return undefined;
  return `its host ${host.name} is ${host.state === "gone" ? "gone" : "not ready"}`;
}

/** Says that it has been failing for `deadAfterMs`; undefined if it has not. */
export function failureOf({ process }: MemberRecord, deadAfterMs: number, now: number): string | undefined {
  if (!("failingSinceMs" in process) || now - process.failingSinceMs < deadAfterMs) return undefined;
  return `it has been failing for longer than ${seconds(deadAfterMs)}`;
}

/** Says in words why a process does not run. */
export function describeEnd({ process }: Pick<MemberRecord, "process">): string {
  switch (process.kind) {
    case "pending":
      return process.why;
    case "stopped":
      return "it is stopped";
    case "stopping":
      return "it is stopping";
    case "running":
      return "it runs";
    case "exited": {
      if (process.signal !== null) return `it was ended by ${process.signal}`;
      return process.code === null ? "it ended" : `it exited with code ${process.code}`;
    }
  }
}

/** Formats a duration for people: tenths below ten seconds. */
export function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}
