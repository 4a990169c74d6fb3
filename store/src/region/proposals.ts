/** From accepted commands to raft entries: one entry per region and turn. */
import { RheaError, isInRange, toLatin1 } from "@rhea/common";
import { CommandKind, type Command } from "@rhea/proto";
import type { TurnTask } from "../engine/turn-queue.js";
import type { Epoch } from "../format/descriptor.js";
import { encodeEntry } from "../format/entry.js";
import { epochError, keyError, notLeaderError } from "./epoch-errors.js";
import { checkCommand } from "./limits.js";
import type { Region } from "./region.js";
import { ProposedEntry, type PendingCommand } from "./reply-sink.js";

/** Milliseconds that a client is asked to wait when the store cannot take more. */
const BUSY_RETRY_MS = 50;
const DISK_FULL_RETRY_MS = 5_000;
/** What this version writes; PD's feature level may one day hold it lower. */
const FEATURE_LEVEL = 1;

/** Commands of one region that wait for the end of the turn. */
export class ProposalQueue implements TurnTask {
  readonly #region: Region;
  #pending: PendingCommand[] = [];

  constructor(region: Region) {
    this.#region = region;
  }

  /** Takes a command in, or answers at once why not. `epoch`: as the client knows it, undefined for the process's own. */
  submit(pending: PendingCommand, epoch: Epoch | undefined): void {
    const refusal = this.#refusal(pending, epoch);
    if (refusal !== undefined) {
      pending.sink.error(pending.id, refusal);
      return;
    }
    this.#pending.push(pending);
    if (this.#pending.length === 1) this.#region.context.turns.schedule(this);
  }

  /** Proposes what the turn brought. */
  runTurn(): void {
    const all = this.#pending;
    this.#pending = [];
    const { entryBytes } = this.#region.context.limits;
    let group: PendingCommand[] = [];
    let bytes = 0;
    for (const pending of all) {
      const isAlone = standsAlone(pending.command);
      if (group.length > 0 && (isAlone || bytes + pending.bytes.length > entryBytes)) {
        this.#propose(group);
        group = [];
        bytes = 0;
      }
      group.push(pending);
      bytes += pending.bytes.length;
      if (!isAlone) continue;
      this.#propose(group);
      group = [];
      bytes = 0;
    }
    if (group.length > 0) this.#propose(group);
  }

  /** Answers everything that waits. */
  failAll(error: RheaError): void {
    const all = this.#pending;
    this.#pending = [];
    for (const { id, sink } of all) sink.error(id, error);
  }

  #propose(pending: readonly PendingCommand[]): void {
    const region = this.#region;
    const { epoch } = region.descriptor;
    const context = new ProposedEntry(region.time.now(), epoch, pending);
    try {
      const data = encodeEntry({
        stamp: context.stamp,
        version: epoch.version,
        confVer: epoch.confVer,
        featureLevel: FEATURE_LEVEL,
        commands: pending.map(({ bytes }) => bytes),
      });
      region.requireNode().apply({ data, context });
    } catch (error) {
      const refusal = RheaError.from(error);
      const answer = refusal.code === "NOT_LEADER" ? notLeaderError(region) : refusal;
      for (const { id, sink } of pending) sink.error(id, answer);
    }
  }

  #refusal(pending: PendingCommand, epoch: Epoch | undefined): RheaError | undefined {
    const region = this.#region;
    const { command } = pending;
    try {
      checkCommand(command, pending.bytes.length);
    } catch (error) {
      return RheaError.from(error);
    }
    if (!region.isLeader) return notLeaderError(region);
    const present = region.descriptor.epoch;
    const keys = keysOf(command);
    if (epoch !== undefined && epoch.version !== present.version) return epochError(region, epoch, keys);
    for (const key of keys) {
      if (!isInRange(key, region.descriptor.start, region.descriptor.end)) return keyError(region, key);
    }
    if (command.kind === CommandKind.CMD_DELETE_RANGE && !isEndInRegion(region, command)) {
      return keyError(region, toLatin1(command.endKey));
    }
    if (region.context.overlay.isFull) {
      return new RheaError(
        "SERVER_BUSY",
        `store ${region.context.storeId}: the key-value engine is behind; retry later`,
        {
          details: { regionId: region.regionId, retryAfterMs: BUSY_RETRY_MS },
        },
      );
    }
    if (region.context.isDiskFull && needsSpace(command)) {
      return new RheaError(
        "DISK_FULL",
        `store ${region.context.storeId}: too little free space; reads and deletes still work`,
        {
          details: { regionId: region.regionId, retryAfterMs: DISK_FULL_RETRY_MS },
        },
      );
    }
    return undefined;
  }
}

/** Whether a command makes the store larger: a full one goes on deleting and changing members. */
function needsSpace(command: Command): boolean {
  switch (command.kind) {
    case CommandKind.CMD_DELETE:
    case CommandKind.CMD_DELETE_LIST:
    case CommandKind.CMD_DELETE_RANGE:
    case CommandKind.CMD_RESET_SEQUENCE:
    case CommandKind.CMD_NOOP:
    case CommandKind.CMD_SPLIT:
      return false;
    default:
      return true;
  }
}

/** deleteRange works on the engine itself, a split ends the version that the entry's other commands were checked for. */
export function standsAlone(command: Command): boolean {
  return command.kind === CommandKind.CMD_DELETE_RANGE || command.kind === CommandKind.CMD_SPLIT;
}

function isEndInRegion(region: Region, command: Command): boolean {
  const { end } = region.descriptor;
  return end === "" || (command.endKey.length > 0 && toLatin1(command.endKey) <= end);
}

function keysOf(command: Command): string[] {
  switch (command.kind) {
    case CommandKind.CMD_COMPARE_AND_PUT_ALL:
    case CommandKind.CMD_PUT_LIST:
    case CommandKind.CMD_DELETE_LIST:
      return command.entries.map((entry) => toLatin1(entry.key));
    case CommandKind.CMD_SPLIT:
    case CommandKind.CMD_NOOP:
      return [];
    default:
      return [toLatin1(command.key)];
  }
}
