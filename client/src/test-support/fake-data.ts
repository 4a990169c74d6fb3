/** What the scripted stores keep: the meaning of commands and reads on a plain map. */
import { fromLatin1, toLatin1 } from "@rhea/common";
import {
  CommandKind,
  ReadKind,
  type Command,
  type CommandResultInit,
  type Read,
  type ReadResultInit,
} from "@rhea/proto";

/** Keys are Latin-1. */
export interface FakeData {
  readonly values: Map<string, Uint8Array>;
  readonly sequences: Map<string, number>;
}

/** Entries of a page where the request names no limit. */
const PAGE_LIMIT = 100;

/** Keys that must lie in the addressed region. */
export function touchedKeys(command: Command | undefined, read: Read | null): string[] {
  if (command !== undefined) {
    const { entries, key, kind } = command;
    return entries.length > 0 || kind === CommandKind.CMD_PUT_LIST
      ? entries.map((entry) => toLatin1(entry.key))
      : [toLatin1(key)];
  }
  if (read === null) return [];
  if (read.kind === ReadKind.READ_REVERSE_SCAN) return [];
  return read.keys.length > 0 ? read.keys.map(toLatin1) : [toLatin1(read.key)];
}

function isEqual(current: Uint8Array | undefined, expect: Uint8Array | null): boolean {
  if (current === undefined || expect === null) return current === undefined && expect === null;
  return Buffer.compare(current, expect) === 0;
}

/** Applies a command. */
export function executeCommand(data: FakeData, command: Command): CommandResultInit {
  const { values, sequences } = data;
  const key = toLatin1(command.key);
  const current = values.get(key);
  const value = command.value ?? new Uint8Array();
  switch (command.kind) {
    case CommandKind.CMD_PUT:
    case CommandKind.CMD_GET_AND_PUT:
      values.set(key, value);
      return { value: current, applied: true };
    case CommandKind.CMD_PUT_IF_ABSENT:
      if (current === undefined) values.set(key, value);
      return { value: current, applied: current === undefined };
    case CommandKind.CMD_COMPARE_AND_PUT: {
      const applied = isEqual(current, command.expect);
      if (applied && command.value === null) values.delete(key);
      else if (applied) values.set(key, value);
      return { applied };
    }
    case CommandKind.CMD_COMPARE_AND_PUT_ALL: {
      const applied = command.entries.every((entry) => isEqual(values.get(toLatin1(entry.key)), entry.expect));
      if (applied) for (const entry of command.entries) values.set(toLatin1(entry.key), entry.value);
      return { applied };
    }
    case CommandKind.CMD_PUT_LIST:
      for (const entry of command.entries) values.set(toLatin1(entry.key), entry.value);
      return { applied: true };
    case CommandKind.CMD_DELETE:
      values.delete(key);
      return { applied: true };
    case CommandKind.CMD_DELETE_LIST:
      for (const entry of command.entries) values.delete(toLatin1(entry.key));
      return { applied: true };
    case CommandKind.CMD_DELETE_RANGE: {
      const end = toLatin1(command.endKey);
      for (const each of [...values.keys()]) if (each >= key && (end === "" || each < end)) values.delete(each);
      return { applied: true };
    }
    case CommandKind.CMD_GET_SEQUENCE: {
      const start = sequences.get(key) ?? 0;
      sequences.set(key, start + command.step);
      return { sequenceStart: start, sequenceEnd: start + command.step };
    }
    case CommandKind.CMD_RESET_SEQUENCE:
      sequences.delete(key);
      return {};
    default:
      return { error: { code: "VERSION_UNSUPPORTED", message: `command ${command.kind}` } };
  }
}

/** Serves a read within a region's range. */
export function executeRead(
  data: FakeData,
  read: Read | null,
  region: { readonly start: string; readonly end: string },
): ReadResultInit {
  if (read === null) return {};
  const key = toLatin1(read.key);
  switch (read.kind) {
    case ReadKind.READ_GET:
      return { value: data.values.get(key) };
    case ReadKind.READ_CONTAINS_KEY:
      return { exists: data.values.has(key) };
    case ReadKind.READ_LATEST_SEQUENCE:
      return { sequence: data.sequences.get(key) ?? 0 };
    case ReadKind.READ_MULTI_GET:
      return {
        entries: read.keys.flatMap((each) => {
          const value = data.values.get(toLatin1(each));
          return value === undefined ? [] : [{ key: each, value }];
        }),
      };
    case ReadKind.READ_SCAN:
    case ReadKind.READ_REVERSE_SCAN: {
      const end = toLatin1(read.endKey);
      if (key < region.start || (region.end !== "" && (end === "" || end > region.end))) {
        throw new Error(`scan [${key}, ${end}) leaves region [${region.start}, ${region.end})`);
      }
      const inRange = [...data.values.keys()].filter((each) => each >= key && (end === "" || each < end)).sort();
      if (read.kind === ReadKind.READ_REVERSE_SCAN) inRange.reverse();
      const limit = read.limit === 0 ? PAGE_LIMIT : Math.min(read.limit, PAGE_LIMIT);
      const entries = inRange.slice(0, limit).map((each) => ({
        key: fromLatin1(each),
        value: read.keysOnly ? new Uint8Array() : (data.values.get(each) ?? new Uint8Array()),
      }));
      return { entries, more: inRange.length > limit };
    }
    default:
      return {};
  }
}
