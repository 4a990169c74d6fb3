/** Applies committed entries: the only place where a region's replicated state changes by commands. */
import { RheaError, toLatin1 } from "@rhea/common";
import { Command, CommandKind, type CommandResultInit } from "@rhea/proto";
import type { CommittedEntry } from "@rhea/raft";
import { encodeApplied, encodeResult } from "../format/command-result.js";
import { decodeEntry } from "../format/entry.js";
import { DATA, namespaceRange } from "../format/keys.js";
import { decodeEnvelope, encodeEnvelope } from "../format/value-envelope.js";
import { APPLIED, decide, requireDecidable, viewedKeys, type View } from "./decide.js";
import { epochError } from "./epoch-errors.js";
import { standsAlone } from "./proposals.js";
import type { Region } from "./region.js";
import { ProposedEntry, type PendingCommand } from "./reply-sink.js";
import { applySplit } from "./split.js";

/** One command of an entry, with its caller if that is here. */
interface Application {
  readonly command: Command;
  readonly pending: PendingCommand | undefined;
}

/**
 * Applies entries in order. A promise stands for an entry that works on the engine itself; later entries wait for it. Where applying ends
 * early, by an error or because the peer is gone, whoever proposed the rest here is told: other replicas may apply it.
 */
export function applyEntries(region: Region, entries: readonly CommittedEntry[], from = 0): void | Promise<void> {
  for (let i = from; i < entries.length; i++) {
    const entry = entries[i];
    if (entry === undefined) break;
    if (region.state === "destroyed") {
      const gone = `region ${region.regionId} left store ${region.context.storeId}`;
      abandon(entries, i, new RheaError("REGION_NOT_FOUND", gone, { details: { regionId: region.regionId } }));
      break;
    }
    const fail = (error: unknown): never => {
      abandon(entries, i, RheaError.from(error));
      throw error;
    };
    let done: Promise<void> | undefined;
    try {
      if (region.fault !== undefined) throw region.fault;
      done = applyEntry(region, entry);
    } catch (error) {
      fail(error);
    }
    if (done !== undefined) return done.then(() => applyEntries(region, entries, i + 1), fail);
  }
}

function abandon(entries: readonly CommittedEntry[], from: number, cause: RheaError): void {
  const details = { ...cause.details, maybeApplied: true };
  const error = new RheaError(cause.code, cause.message, { cause, details });
  for (const { context } of entries.slice(from)) if (context instanceof ProposedEntry) context.fail(error);
}

function applyEntry(region: Region, entry: CommittedEntry): Promise<void> | undefined {
  if (entry.data.length === 0) {
    region.advance(entry.index, entry.term);
    return undefined;
  }
  const { context } = entry;
  const proposed = context instanceof ProposedEntry ? context : undefined;
  const { epoch, stamp, applications } = readEntry(entry, proposed);
  region.time.advance(stamp);
  const first = applications[0];
  if (first !== undefined && standsAlone(first.command)) return applyAlone(region, entry, epoch, first);
  if (epoch.version !== region.descriptor.epoch.version) {
    for (const { command, pending } of applications) {
      pending?.sink.error(pending.id, epochError(region, epoch, [toLatin1(command.key)]));
    }
  } else {
    const values = readAhead(region, applications);
    for (const application of applications) {
      applyUserCommand(region, application, values);
      if (proposed !== undefined) proposed.answered++;
    }
  }
  region.context.onApplied(applications.length);
  region.advance(entry.index, entry.term);
  return undefined;
}

function readEntry(
  entry: CommittedEntry,
  proposed: ProposedEntry | undefined,
): {
  epoch: { version: number; confVer: number };
  stamp: number;
  applications: readonly Application[];
} {
  if (proposed !== undefined) {
    const { stamp, version, confVer, pending } = proposed;
    return {
      epoch: { version, confVer },
      stamp,
      applications: pending.map((one) => ({ command: one.command, pending: one })),
    };
  }
  const payload = decodeEntry(entry.data, entry.index);
  return {
    epoch: { version: payload.version, confVer: payload.confVer },
    stamp: payload.stamp,
    applications: payload.commands.map((bytes) => ({ command: Command.decode(bytes), pending: undefined })),
  };
}

/** Values as they were before the entry, by engine key; only of keys that the entry has not written yet. */
type ReadAhead = Map<string, Buffer | undefined>;

/**
 * Makes sure that every command of an entry can be applied before the first one is: whoever replays an entry that failed here (with a newer
 * version, or a disk that reads well again) must not find half of it done. Throws VERSION_UNSUPPORTED, CORRUPTION.
 */
function readAhead(region: Region, applications: readonly Application[]): ReadAhead {
  const values: ReadAhead = new Map();
  for (const { command } of applications) {
    requireDecidable(command);
    if (applications.length === 1) break;
    for (const key of viewedKeys(command)) if (!values.has(key)) values.set(key, readApplied(region, key));
  }
  return values;
}

function readApplied(region: Region, key: string): Buffer | undefined {
  const envelope = region.context.overlay.get(key);
  return envelope === undefined ? undefined : decodeEnvelope(key, envelope);
}

function applyUserCommand(region: Region, { command, pending }: Application, values: ReadAhead): void {
  if (answeredFromSession(region, command, pending)) return;
  const view: View = (key) => (values.has(key) ? values.get(key) : readApplied(region, key));
  const { result, changes } = decide(view, command);
  if (changes.length > 0) region.revision++;
  for (const { key, value } of changes) {
    values.delete(key);
    if (value === undefined) {
      region.context.overlay.put(key, undefined);
      region.load.delete(key.length);
    } else {
      const envelope = encodeEnvelope(key, value, region.revision);
      region.context.overlay.put(key, envelope);
      region.load.put(key.length + envelope.length);
    }
  }
  finish(region, command, pending, result);
}

/** Answers a retry with the first attempt's result. */
function answeredFromSession(region: Region, command: Command, pending: PendingCommand | undefined): boolean {
  if (command.clientId.length === 0) return false;
  const known = region.sessions.lookup(command);
  if (known.kind === "new") return false;
  if (known.kind === "duplicate") pending?.sink.command(pending.id, known.result);
  else pending?.sink.error(pending.id, sessionExpired(region, command));
  return true;
}

/** Encodes, remembers and answers a command's result. */
function finish(
  region: Region,
  command: Command,
  pending: PendingCommand | undefined,
  result: CommandResultInit,
): void {
  const { revision } = region;
  const bytes = result === APPLIED ? encodeApplied(revision) : encodeResult({ ...result, revision });
  if (command.clientId.length > 0) region.sessions.record(command, bytes);
  pending?.sink.command(pending.id, bytes);
}

function sessionExpired(region: Region, command: Command): RheaError {
  return new RheaError(
    "SESSION_EXPIRED",
    `region ${region.regionId}: command ${command.seq} is older than what is remembered of its client; its outcome is unknown`,
    { details: { regionId: region.regionId, maybeApplied: true } },
  );
}

async function applyAlone(
  region: Region,
  entry: CommittedEntry,
  epoch: { version: number; confVer: number },
  application: Application,
): Promise<void> {
  const { command, pending } = application;
  const isSplit = command.kind === CommandKind.CMD_SPLIT;
  const present = region.descriptor.epoch;
  const isCurrent = epoch.version === present.version && (!isSplit || epoch.confVer === present.confVer);
  region.context.onApplied(1);
  if (!isCurrent) {
    pending?.sink.error(pending.id, epochError(region, epoch, [toLatin1(command.key)]));
    region.advance(entry.index, entry.term);
    return;
  }
  if (answeredFromSession(region, command, pending)) {
    region.advance(entry.index, entry.term);
    return;
  }
  if (isSplit) {
    await applySplit(region, entry, command, pending);
    return;
  }
  await region.runExclusive(async () => {
    const { start, end } = namespaceRange(DATA, toLatin1(command.key), toLatin1(command.endKey));
    await region.context.kv.clearRange(start, end);
  });
  region.revision++;
  region.load.invalidate();
  finish(region, command, pending, APPLIED);
  region.advance(entry.index, entry.term);
}
