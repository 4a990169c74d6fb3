/** What a command may look like before it enters the log. Whoever passes here must never fail at apply for its form. */
import { RheaError } from "@rhea/common";
import { CommandKind, type Command } from "@rhea/proto";
import { SESSION_WINDOW } from "./session-table.js";

/** Bytes of a key at most; at least 1. */
const MAX_KEY_BYTES = 4_096;
/** Bytes of a value at most. */
const MAX_VALUE_BYTES = 6 << 20;
/** Bytes of one command at most: it must fit a message of 16 MiB with room for its envelope. */
const MAX_COMMAND_BYTES = 15 << 20;

/** Throws KEY_TOO_LARGE unless the key has 1..4096 bytes. */
export function checkKey(key: Uint8Array): void {
  if (key.length < 1 || key.length > MAX_KEY_BYTES) {
    throw new RheaError("KEY_TOO_LARGE", `a key has ${key.length} bytes; 1 to ${MAX_KEY_BYTES} are allowed`);
  }
}

function checkValue(value: Uint8Array | null, kind: string): void {
  if (value === null) throw new RheaError("INVALID_ARGUMENT", `${kind} without a value`);
  if (value.length > MAX_VALUE_BYTES) {
    throw new RheaError("VALUE_TOO_LARGE", `a value has ${value.length} bytes; at most ${MAX_VALUE_BYTES} are allowed`);
  }
}

function checkEntries(command: Command, kind: string): void {
  if (command.entries.length === 0) throw new RheaError("INVALID_ARGUMENT", `${kind} without entries`);
  for (const { key, value } of command.entries) {
    checkKey(key);
    checkValue(value, kind);
  }
}

/** Checks kind, sizes and session fields of a command of `bytes` encoded bytes. Throws the caller's error. */
export function checkCommand(command: Command, bytes: number): void {
  if (bytes > MAX_COMMAND_BYTES) {
    throw new RheaError(
      "BATCH_TOO_LARGE",
      `a command has ${bytes} bytes; at most ${MAX_COMMAND_BYTES} are allowed: split the list`,
    );
  }
  if (command.clientId.length !== 0) checkSession(command);
  switch (command.kind) {
    case CommandKind.CMD_PUT:
    case CommandKind.CMD_PUT_IF_ABSENT:
    case CommandKind.CMD_GET_AND_PUT:
      checkKey(command.key);
      checkValue(command.value, "put");
      return;
    case CommandKind.CMD_COMPARE_AND_PUT:
      checkKey(command.key);
      if (command.value !== null) checkValue(command.value, "compareAndPut");
      return;
    case CommandKind.CMD_COMPARE_AND_PUT_ALL:
      checkEntries(command, "compareAndPutAll");
      return;
    case CommandKind.CMD_PUT_LIST:
      checkEntries(command, "putList");
      return;
    case CommandKind.CMD_DELETE_LIST:
      checkEntries(command, "deleteList");
      return;
    case CommandKind.CMD_DELETE:
    case CommandKind.CMD_RESET_SEQUENCE:
      checkKey(command.key);
      return;
    case CommandKind.CMD_GET_SEQUENCE:
      checkKey(command.key);
      if (command.step < 1) throw new RheaError("INVALID_ARGUMENT", `getSequence: step ${command.step} is below 1`);
      return;
    case CommandKind.CMD_DELETE_RANGE:
      checkRange(command.key, command.endKey);
      return;
    case CommandKind.CMD_SPLIT:
      if (command.split === null) throw new RheaError("INVALID_ARGUMENT", "split without its parameters");
      checkKey(command.split.splitKey);
      return;
    case CommandKind.CMD_NOOP:
      return;
    case CommandKind.CMD_NONE:
    case CommandKind.CMD_MERGE:
    case CommandKind.CMD_LOCK:
    case CommandKind.CMD_KEEP_LEASE:
    case CommandKind.CMD_UNLOCK:
    case CommandKind.CMD_EXECUTE:
    case CommandKind.CMD_MERGE_PREPARE:
    case CommandKind.CMD_MERGE_COMMIT:
    case CommandKind.CMD_MERGE_ROLLBACK:
      break;
  }
  throw new RheaError("VERSION_UNSUPPORTED", `command kind ${command.kind} is not known to this store`);
}

/** Throws INVALID_ARGUMENT unless start < end; an empty end is the end of the keyspace. */
export function checkRange(start: Uint8Array, end: Uint8Array): void {
  if (start.length > MAX_KEY_BYTES || end.length > MAX_KEY_BYTES) {
    throw new RheaError("KEY_TOO_LARGE", `a bound of a range is over ${MAX_KEY_BYTES} bytes`);
  }
  if (end.length > 0 && Buffer.compare(start, end) >= 0) {
    throw new RheaError("INVALID_ARGUMENT", "a range needs start < end; an absent end is the end of the keyspace");
  }
}

function checkSession(command: Command): void {
  if (command.clientId.length !== 16) {
    throw new RheaError("INVALID_ARGUMENT", `a client id has ${command.clientId.length} bytes instead of 16`);
  }
  if (command.seq < command.lowestOutstanding || command.seq - command.lowestOutstanding >= SESSION_WINDOW) {
    throw new RheaError(
      "INVALID_ARGUMENT",
      `command ${command.seq} is not within ${SESSION_WINDOW} of the client's lowest outstanding ${command.lowestOutstanding}`,
    );
  }
}
