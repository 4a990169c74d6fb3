/** Calls on lists of keys and on ranges. */
import { RheaError } from "@rhea/common";
import { CommandKind, ReadKind, type KeyValueInit } from "@rhea/proto";
import { checkRange, detach, encodeBound, encodeKey, encodeValue, type Key, type Value } from "../keys.js";
import type { CallOptions, ReadOptions } from "../options.js";
import { covers } from "../routing/route.js";
import { fanOut, type Piece, type RegionFailure } from "./fan-out.js";
import { commandResult, readResult, sealCommand, submit, type Kit } from "./kit.js";
import { describeFailure } from "../sending/trail.js";
import { Operation } from "../sending/operation.js";

/** Keys of one read request at most. */
const MAX_KEYS_PER_READ = 1_024;

/** A key with the value to write. */
export interface PutEntry {
  readonly key: Key;
  readonly value: Value;
}

/** A key, the value it must have (undefined: it must be absent) and the one it gets. */
export interface CompareAndPutEntry {
  readonly key: Key;
  readonly expect?: Value | undefined;
  readonly update: Value;
}

/**
 * A write over several regions of which some failed: `code` is that of the first failure, `failures` has one item per failed part. All other
 * parts were applied.
 */
export class PartialWriteError extends RheaError {
  readonly failures: readonly RegionFailure[];

  constructor(name: string, total: number, failures: readonly RegionFailure[], first: RheaError) {
    const failed = failures.reduce((sum, failure) => sum + failure.count, 0);
    const places = failures.map(({ regionId, error }) => `region ${regionId}: ${error.code}`).join(", ");
    super(first.code, `${name}: ${failed} of ${total} not confirmed (${places}): ${first.message}`, {
      details: { ...first.details, maybeApplied: failures.some(({ error }) => error.details.maybeApplied === true) },
      cause: first,
    });
    this.name = "PartialWriteError";
    this.failures = failures;
  }
}

/** The calls on several keys, as RheaClient documents them. */
export interface MultiKeyCalls {
  /** Values in the order of `keys`, undefined where a key is absent. Linearizable per key; no snapshot over all of them. */
  multiGet(keys: readonly Key[], options?: ReadOptions): Promise<(Buffer | undefined)[]>;
  /** Writes all entries, atomically per region, not across. Rejects with {@link PartialWriteError} if any part failed. */
  putAll(entries: readonly PutEntry[], options?: CallOptions): Promise<void>;
  /** Deletes all keys, atomically per region, not across. Rejects with {@link PartialWriteError} if any part failed. */
  deleteAll(keys: readonly Key[], options?: CallOptions): Promise<void>;
  /** Deletes [start, end), atomically per region, not across. An absent bound is the end of the keyspace. */
  deleteRange(start: Key | undefined, end: Key | undefined, options?: CallOptions): Promise<void>;
  /**
   * Writes all updates if all expectations hold, and says whether it did. All keys must lie in one region, else INVALID_ARGUMENT.
   * `perRegion`: decides and writes region by region instead; true only if all of them did.
   */
  compareAndPutAll(
    entries: readonly CompareAndPutEntry[],
    options?: CallOptions & { readonly perRegion?: boolean },
  ): Promise<boolean>;
}

interface KeyPiece extends Piece {
  readonly index: number;
  readonly key: Buffer;
}
interface EntryPiece extends Piece {
  readonly entry: KeyValueInit;
}

function orThrow(name: string, total: number, failures: readonly RegionFailure[]): void {
  const first = failures[0];
  if (first !== undefined) throw new PartialWriteError(name, total, failures, first.error);
}

function toPiece(entry: KeyValueInit & { readonly key: Buffer }): EntryPiece {
  return { start: entry.key.toString("latin1"), entry };
}

async function writeList(
  kit: Kit,
  name: string,
  kind: CommandKind,
  pieces: readonly EntryPiece[],
  options: CallOptions | undefined,
): Promise<boolean> {
  let isApplied = true;
  const failures = await fanOut<EntryPiece>(
    kit,
    pieces,
    {
      name,
      command: (part) => ({ kind, entries: part.map(({ entry }) => entry) }),
      onAnswer(_part, result) {
        if (!commandResult(result).applied) isApplied = false;
      },
    },
    options,
  );
  orThrow(name, pieces.length, failures);
  return isApplied;
}

function compareInOneRegion(
  kit: Kit,
  pieces: readonly EntryPiece[],
  options: CallOptions | undefined,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const operation = new Operation({
      name: "compareAndPutAll",
      routeKey: pieces[0]?.start ?? "",
      seal: (sealed) =>
        sealCommand(kit, sealed, {
          kind: CommandKind.CMD_COMPARE_AND_PUT_ALL,
          entries: pieces.map(({ entry }) => entry),
        }),
      span: {
        fits: (route) => pieces.every(({ start }) => covers(route, start)),
        divide: (divided) => {
          divided.identity?.session.end(divided.identity.seq);
          const why =
            "its keys lie in several regions, and it is atomic within one only; perRegion: true decides region by region";
          reject(describeFailure(divided, "INVALID_ARGUMENT", why));
        },
      },
      decode: (result) => commandResult(result).applied,
      resolve,
      reject,
    });
    submit(kit, operation, options);
  });
}

/** Makes the calls. */
export function createMultiKeyCalls(kit: Kit): MultiKeyCalls {
  return {
    async multiGet(keys, options) {
      const pieces: KeyPiece[] = keys.map((given, index) => {
        const key = encodeKey(given);
        return { index, key, start: key.toString("latin1") };
      });
      const values = new Array<Buffer | undefined>(keys.length).fill(undefined);
      const stale = options?.readOnlySafe === false;
      const failures = await fanOut<KeyPiece>(
        kit,
        pieces,
        {
          name: "multiGet",
          isStale: stale,
          maxPieces: MAX_KEYS_PER_READ,
          read: (part) => ({ kind: ReadKind.READ_MULTI_GET, keys: part.map(({ key }) => key), stale }),
          onAnswer(part, result) {
            const found = new Map<string, Buffer>();
            for (const { key, value } of readResult(result).entries) {
              found.set(Buffer.from(key).toString("latin1"), detach(value));
            }
            for (const { index, start } of part) values[index] = found.get(start);
          },
        },
        options,
      );
      if (failures[0] !== undefined) throw failures[0].error;
      return values;
    },
    async putAll(entries, options) {
      const pieces = entries.map(({ key, value }) => toPiece({ key: encodeKey(key), value: encodeValue(value) }));
      await writeList(kit, "putAll", CommandKind.CMD_PUT_LIST, pieces, options);
    },
    async deleteAll(keys, options) {
      const pieces = keys.map((key) => toPiece({ key: encodeKey(key) }));
      await writeList(kit, "deleteAll", CommandKind.CMD_DELETE_LIST, pieces, options);
    },
    async deleteRange(start, end, options) {
      const range = { start: encodeBound(start).toString("latin1"), end: encodeBound(end).toString("latin1") };
      checkRange(range.start, range.end);
      const failures = await fanOut<Required<Piece>>(
        kit,
        [range],
        {
          name: "deleteRange",
          cut: (_piece, from, to) => ({ start: from, end: to }),
          command: ([part]) => ({
            kind: CommandKind.CMD_DELETE_RANGE,
            key: Buffer.from(part?.start ?? "", "latin1"),
            endKey: Buffer.from(part?.end ?? "", "latin1"),
          }),
          onAnswer: (_part, result) => void commandResult(result),
        },
        options,
      );
      orThrow("deleteRange", failures.length, failures);
    },
    async compareAndPutAll(entries, options) {
      const pieces = entries.map(({ key, expect, update }) =>
        toPiece({
          key: encodeKey(key),
          expect: expect === undefined ? undefined : encodeValue(expect),
          value: encodeValue(update),
        }),
      );
      if (pieces.length === 0) return true;
      if (options?.perRegion !== true) return compareInOneRegion(kit, pieces, options);
      return writeList(kit, "compareAndPutAll", CommandKind.CMD_COMPARE_AND_PUT_ALL, pieces, options);
    },
  };
}
