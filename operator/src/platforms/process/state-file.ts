import { mkdirSync, readFileSync } from "node:fs";
import { RheaError, replaceFile } from "@rhea/common";
import { nodeDisk } from "@rhea/common/env-node";
import type { RheaCluster } from "../../api/index.js";
import type { Layout } from "./layout.js";
import type { ProcessIdentity } from "./process-identity.js";

/** 1 had one PD member, under the key `pd`. */
const FORMAT = 2;

/** What is kept of a process across runs of the operator. */
export interface ProcessEntry {
  readonly name: string;
  readonly port: number;
  readonly statusPort: number;
  /** Whether it has ever served: from then on an empty directory is a lost disk. */
  readonly initialised: boolean;
  /** The process that was started last, gone or not. */
  readonly process?: ProcessIdentity & { readonly startedAt: number };
  /** The settings it was started with that a user can change. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A PD member's entry. */
export interface PdEntry extends ProcessEntry {
  readonly ordinal: number;
}

/** A store's entry. */
export interface StoreEntry extends ProcessEntry {
  readonly ordinal: number;
  readonly drainedByOperator: boolean;
}

/** The operator's memory of a data directory. All else is read from PD and from the processes. */
export interface OperatorState {
  readonly format: number;
  readonly clusterId: number;
  readonly name: string;
  /** Counts the cluster files that were accepted. */
  readonly generation: number;
  /** The cluster as it was accepted last: what the transition rules compare with. */
  readonly accepted: RheaCluster;
  /** Why the cluster file as it is now is not taken over; absent if it is. For a look from another process. */
  readonly refusedFile?: string | undefined;
  /** Ordinals are never used again, so this only rises. */
  readonly nextOrdinal: number;
  /** The same for PD members. */
  readonly nextPdOrdinal: number;
  readonly pds: readonly PdEntry[];
  readonly stores: readonly StoreEntry[];
}

/** Makes the state of a data directory that has none yet. */
export function newState(name: string, accepted: RheaCluster): OperatorState {
  return {
    format: FORMAT,
    clusterId: 1,
    name,
    generation: 1,
    accepted,
    nextOrdinal: 0,
    nextPdOrdinal: 0,
    pds: [],
    stores: [],
  };
}

/**
 * Reads the state; undefined in a new directory.
 *
 * @throws {RheaError} CORRUPTION if it cannot be read, VERSION_UNSUPPORTED if a later version wrote it
 */
export function readState(layout: Layout): OperatorState | undefined {
  let text: string;
  try {
    text = readFileSync(layout.stateFile, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const state = withMembers(parse(text, layout.stateFile));
  if (state.format === FORMAT) {
    if (isComplete(state)) return state;
    throw corrupt(layout.stateFile, "is not a cluster's state");
  }
  throw new RheaError(
    "VERSION_UNSUPPORTED",
    `${layout.stateFile} has format ${state.format}, this version reads ${FORMAT}: use the version that wrote it`,
  );
}

function parse(text: string, file: string): Partial<OperatorState> & { readonly format: number } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw corrupt(file, "is not JSON", cause);
  }
  if (typeof value === "object" && value !== null && "format" in value && typeof value.format === "number") {
    return value as Partial<OperatorState> & { readonly format: number };
  }
  throw corrupt(file, "has no format number");
}

/** Reads a state of format 1 as one of this format. */
function withMembers(
  state: Partial<OperatorState> & { readonly format: number; readonly pd?: ProcessEntry },
): typeof state {
  if (state.format !== 1) return state;
  const { pd, ...rest } = state;
  return { ...rest, format: FORMAT, nextPdOrdinal: 1, pds: pd === undefined ? [] : [{ ...pd, ordinal: 0 }] };
}

/** Whether everything is there that decides about names, processes and directories: a guess in its place could start a store on nothing. */
function isComplete(state: Partial<OperatorState>): state is OperatorState {
  const { name, clusterId, generation, accepted, nextOrdinal, nextPdOrdinal, pds, stores } = state;
  return (
    typeof name === "string" &&
    name !== "" &&
    [clusterId, generation, nextOrdinal, nextPdOrdinal].every(Number.isSafeInteger) &&
    typeof accepted === "object" &&
    (accepted as unknown) !== null &&
    [pds, stores].every(
      (entries) => Array.isArray(entries) && entries.every((entry: Partial<PdEntry> | null) => isEntry(entry)),
    )
  );
}

function isEntry(entry: Partial<PdEntry> | null): boolean {
  return (
    typeof entry?.name === "string" && Number.isSafeInteger(entry.ordinal) && typeof entry.initialised === "boolean"
  );
}

function corrupt(file: string, what: string, cause?: unknown): RheaError {
  return new RheaError("CORRUPTION", `${file} ${what}: restore it, or start over with npm start -- --reset`, {
    details: { file },
    cause,
  });
}

/** Writes the state durably. */
export async function writeState(layout: Layout, state: OperatorState): Promise<void> {
  mkdirSync(layout.operatorDir, { recursive: true });
  await replaceFile(nodeDisk, layout.operatorDir, "state.json", Buffer.from(JSON.stringify(state, undefined, 2)));
}
