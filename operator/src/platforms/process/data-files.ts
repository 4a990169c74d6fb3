import { readdirSync, renameSync, writeFileSync } from "node:fs";
import { RheaError } from "@rhea/common";
import type { Layout } from "./layout.js";
import { HOST } from "./ports.js";
import { pdAddresses } from "./process-config.js";
import type { OperatorState } from "./state-file.js";

/** Looks at a process's directory. An empty one counts as missing: there is nothing left in it to go on from. */
export function directoryState(path: string): "present" | "missing" {
  try {
    return readdirSync(path).length > 0 ? "present" : "missing";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ENOTDIR" ? "missing" : "present"; // what cannot be read is not thereby lost
  }
}

/**
 * Refuses to start a process that has served on an empty directory: it could vote twice.
 *
 * @throws {RheaError} DISK_LOST
 */
export function requireDirectory(name: string, path: string): void {
  if (directoryState(path) === "missing")
    throw new RheaError("DISK_LOST", `${name}: ${path} is gone; it is not started without it`);
}

/** Tells `rheactl` where PD is, and the stores, which it asks while PD does not answer. Renamed into place: it is read at any time. */
export function writeClusterFile(layout: Layout, state: OperatorState): void {
  const stores = state.stores.filter(({ port }) => port !== 0).map(({ port }) => addressOf(port));
  const draft = `${layout.clusterFile}.new`;
  const content = { clusterId: state.clusterId, pd: pdAddresses(state), stores, name: state.name };
  writeFileSync(draft, `${JSON.stringify(content)}\n`);
  renameSync(draft, layout.clusterFile);
}

/** The address of a process for people. */
export function addressOf(port: number): string {
  return port === 0 ? "-" : `${HOST}:${port}`;
}
