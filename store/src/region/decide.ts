/**
 * What each user command does, as pure functions: a view of the state and a command give a result and the changes. They run on every
 * replica at the same place of the log and must not look at anything else.
 */
import { RheaError, toLatin1 } from "@rhea/common";
import { CommandKind, type Command, type CommandResultInit, type KeyValue } from "@rhea/proto";
import { DATA, SEQUENCES } from "../format/keys.js";

/** Reads the value under an engine key as it is before the command; throws CORRUPTION on a bad checksum. */
export type View = (key: string) => Buffer | undefined;

/** A write: engine key and new value, undefined to delete. */
export interface Change {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** What a command comes to. */
export interface Decision {
  readonly result: CommandResultInit;
  readonly changes: readonly Change[];
}

const NO_CHANGES: readonly Change[] = [];
const NO_KEYS: readonly string[] = [];
/** The result of a command that has nothing more to say; told by identity, so that its encoding can take the short way. */
export const APPLIED: CommandResultInit = { applied: true };
const NOT_APPLIED: Decision = { result: { applied: false }, changes: NO_CHANGES };

/**
 * Decides a user command other than deleteRange (which works on the engine itself). Throws VERSION_UNSUPPORTED for a kind that is not
 * known here: the peer must stop rather than guess.
 */
export function decide(view: View, command: Command): Decision {
  const key = DATA + toLatin1(command.key);
  switch (command.kind) {
    case CommandKind.CMD_PUT:
      return { result: APPLIED, changes: [{ key, value: valueOf(command) }] };
    case CommandKind.CMD_PUT_IF_ABSENT: {
      const before = view(key);
      if (before !== undefined) return { result: { applied: false, value: before }, changes: NO_CHANGES };
      return { result: APPLIED, changes: [{ key, value: valueOf(command) }] };
    }
    case CommandKind.CMD_GET_AND_PUT:
      return {
        result: { applied: true, value: view(key) ?? null },
        changes: [{ key, value: valueOf(command) }],
      };
    case CommandKind.CMD_COMPARE_AND_PUT:
      if (!matches(view(key), command.expect)) return NOT_APPLIED;
      return { result: APPLIED, changes: [{ key, value: command.value ?? undefined }] };
    case CommandKind.CMD_COMPARE_AND_PUT_ALL:
      for (const entry of command.entries) {
        if (!matches(view(DATA + toLatin1(entry.key)), entry.expect)) return NOT_APPLIED;
      }
      return { result: APPLIED, changes: command.entries.map(toPut) };
    case CommandKind.CMD_PUT_LIST:
      return { result: APPLIED, changes: command.entries.map(toPut) };
    case CommandKind.CMD_DELETE:
      return { result: APPLIED, changes: [{ key, value: undefined }] };
    case CommandKind.CMD_DELETE_LIST:
      return {
        result: APPLIED,
        changes: command.entries.map((entry) => ({ key: DATA + toLatin1(entry.key), value: undefined })),
      };
    case CommandKind.CMD_GET_SEQUENCE:
      return takeSequence(view, SEQUENCES + toLatin1(command.key), command.step);
    case CommandKind.CMD_RESET_SEQUENCE:
      return { result: APPLIED, changes: [{ key: SEQUENCES + toLatin1(command.key), value: undefined }] };
    case CommandKind.CMD_NOOP:
      return { result: APPLIED, changes: NO_CHANGES };
    default:
      throw unknownKind(command);
  }
}

/** The kinds that {@link decide} knows. */
const DECIDED_KINDS: ReadonlySet<CommandKind> = new Set([
  CommandKind.CMD_PUT,
  CommandKind.CMD_PUT_IF_ABSENT,
  CommandKind.CMD_GET_AND_PUT,
  CommandKind.CMD_COMPARE_AND_PUT,
  CommandKind.CMD_COMPARE_AND_PUT_ALL,
  CommandKind.CMD_PUT_LIST,
  CommandKind.CMD_DELETE,
  CommandKind.CMD_DELETE_LIST,
  CommandKind.CMD_GET_SEQUENCE,
  CommandKind.CMD_RESET_SEQUENCE,
  CommandKind.CMD_NOOP,
]);

/** Throws VERSION_UNSUPPORTED for a kind that {@link decide} does not know. */
export function requireDecidable(command: Command): void {
  if (!DECIDED_KINDS.has(command.kind)) throw unknownKind(command);
}

/** The engine keys whose values {@link decide} looks at. */
export function viewedKeys(command: Command): readonly string[] {
  switch (command.kind) {
    case CommandKind.CMD_PUT_IF_ABSENT:
    case CommandKind.CMD_GET_AND_PUT:
    case CommandKind.CMD_COMPARE_AND_PUT:
      return [DATA + toLatin1(command.key)];
    case CommandKind.CMD_COMPARE_AND_PUT_ALL:
      return command.entries.map((entry) => DATA + toLatin1(entry.key));
    case CommandKind.CMD_GET_SEQUENCE:
      return [SEQUENCES + toLatin1(command.key)];
    default:
      return NO_KEYS;
  }
}

function unknownKind({ kind }: Command): RheaError {
  return new RheaError("VERSION_UNSUPPORTED", `command kind ${kind} is not known to this store; upgrade it`);
}

/** Reads a stored sequence: the next number it gives out. */
export function decodeSequence(value: Buffer | undefined): number {
  return value === undefined ? 0 : value.readDoubleLE(0);
}

function valueOf(command: Command): Uint8Array {
  return command.value ?? Buffer.alloc(0);
}

function toPut(entry: KeyValue): Change {
  return { key: DATA + toLatin1(entry.key), value: entry.value };
}

/** No expectation means: the key must be absent. */
function matches(present: Buffer | undefined, expect: Uint8Array | null): boolean {
  if (present === undefined || expect === null) return present === undefined && expect === null;
  return present.equals(expect);
}

/** Gives [n, n + step), less at the end of the numbers: a sequence saturates, it never wraps. */
function takeSequence(view: View, key: string, step: number): Decision {
  const start = decodeSequence(view(key));
  const end = Math.min(start + step, Number.MAX_SAFE_INTEGER);
  const value = Buffer.alloc(8);
  value.writeDoubleLE(end, 0);
  return { result: { applied: true, sequenceStart: start, sequenceEnd: end }, changes: [{ key, value }] };
}
