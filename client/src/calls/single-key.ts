/** Calls on one key. Each costs one promise: no timer, no closure beyond the seal, nothing awaited in between. */
import { RheaError } from "@rhea/common";
import { CommandKind, ReadKind, type KvResult } from "@rhea/proto";
import { detach, encodeKey, encodeValue, type Key, type Value } from "../keys.js";
import type { CallOptions, ReadOptions } from "../options.js";
import { Operation } from "../sending/operation.js";
import { commandResult, readResult, sealCommand, submit, type CommandBody, type Kit } from "./kit.js";

/** A block of sequence numbers: [start, end). */
export interface Sequence {
  readonly start: number;
  readonly end: number;
}

type Decode<T> = (result: KvResult, operation: Operation) => T;

const decodeNothing: Decode<void> = (result) => {
  if (result.commandResult.length > 0) commandResult(result);
};
const decodePrevious: Decode<Buffer | undefined> = (result) => {
  const { value } = commandResult(result);
  return value === null ? undefined : detach(value);
};
const decodeApplied: Decode<boolean> = (result) => commandResult(result).applied;
const decodeSequence: Decode<Sequence> = (result) => {
  const { sequenceStart, sequenceEnd } = commandResult(result);
  return { start: sequenceStart, end: sequenceEnd };
};
const decodeValue: Decode<Buffer | undefined> = (result) => {
  const { value } = readResult(result);
  return value === null ? undefined : detach(value);
};
const decodeExists: Decode<boolean> = (result) => readResult(result).exists;
const decodeLatest: Decode<number> = (result) => readResult(result).sequence;

/** What a write is made of, as the caller gave it. */
interface WriteInput {
  readonly name: string;
  readonly kind: CommandKind;
  readonly value?: Value | undefined;
  readonly expect?: Value | undefined;
  readonly step?: number;
}

/** The calls on one key, as RheaClient documents them. */
export interface SingleKeyCalls {
  /** Returns the value, undefined if the key is absent. */
  get(key: Key, options?: ReadOptions): Promise<Buffer | undefined>;
  containsKey(key: Key, options?: ReadOptions): Promise<boolean>;
  put(key: Key, value: Value, options?: CallOptions): Promise<void>;
  /** Writes only if the key is absent. Returns the value that stood there, undefined if the write took place. */
  putIfAbsent(key: Key, value: Value, options?: CallOptions): Promise<Buffer | undefined>;
  /** Writes and returns the previous value, undefined if there was none. */
  getAndPut(key: Key, value: Value, options?: CallOptions): Promise<Buffer | undefined>;
  /**
   * Writes `update` if the value equals `expect`; returns whether it did. `expect` undefined: only if the key is absent. `update`
   * undefined: delete.
   */
  compareAndPut(
    key: Key,
    expect: Value | undefined,
    update: Value | undefined,
    options?: CallOptions,
  ): Promise<boolean>;
  /** Deletes the key; fine if it is absent. */
  delete(key: Key, options?: CallOptions): Promise<void>;
  /**
   * Takes `step` (1 to 2^53-1, default 1) numbers: [start, end), rising over all clients. Sequences have a namespace of their own and saturate at
   * 2^53-1 instead of wrapping: then the block is shorter than asked for, in the end empty.
   */
  getSequence(key: Key, step?: number, options?: CallOptions): Promise<Sequence>;
  /** Returns the next number that {@link SingleKeyCalls.getSequence} would give, without taking it. */
  getLatestSequence(key: Key, options?: ReadOptions): Promise<number>;
  /** Starts the sequence anew at 0. */
  resetSequence(key: Key, options?: CallOptions): Promise<void>;
}

function checkStep(step: number): number {
  if (Number.isSafeInteger(step) && step >= 1) return step;
  throw new RheaError("INVALID_ARGUMENT", `getSequence: step ${step} given, a whole number in 1..2^53-1 is needed`);
}

/** Makes the calls. None is an async function: that would cost a second promise and three turns of the microtask queue. */
export function createSingleKeyCalls(kit: Kit): SingleKeyCalls {
  const seal = (operation: Operation): void => sealCommand(kit, operation, operation.context as CommandBody);

  const write = <T>(key: Key, input: WriteInput, decode: Decode<T>, options: CallOptions | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const { name, kind, value, expect, step } = input;
      if (value === undefined && "value" in input && kind !== CommandKind.CMD_COMPARE_AND_PUT) {
        throw new RheaError(
          "INVALID_ARGUMENT",
          `${name}: no value given; an empty one is "", and delete removes a key`,
        );
      }
      const bytes = encodeKey(key);
      const context: CommandBody = {
        kind,
        key: bytes,
        value: value === undefined ? undefined : encodeValue(value),
        expect: expect === undefined ? undefined : encodeValue(expect),
        step,
      };
      const routeKey = bytes.toString("latin1");
      submit(kit, new Operation({ name, routeKey, seal, context, decode, resolve, reject }), options);
    });

  const read = <T>(
    name: string,
    kind: ReadKind,
    key: Key,
    decode: Decode<T>,
    options: ReadOptions | undefined,
  ): Promise<T> =>
    new Promise((resolve, reject) => {
      const bytes = encodeKey(key);
      const routeKey = bytes.toString("latin1");
      const stale = options?.readOnlySafe === false;
      const request = { kind, key: bytes, stale };
      submit(kit, new Operation({ name, routeKey, read: request, isStale: stale, decode, resolve, reject }), options);
    });

  return {
    get: (key, options) => read("get", ReadKind.READ_GET, key, decodeValue, options),
    containsKey: (key, options) => read("containsKey", ReadKind.READ_CONTAINS_KEY, key, decodeExists, options),
    put: (key, value, options) => write(key, { name: "put", kind: CommandKind.CMD_PUT, value }, decodeNothing, options),
    putIfAbsent: (key, value, options) =>
      write(key, { name: "putIfAbsent", kind: CommandKind.CMD_PUT_IF_ABSENT, value }, decodePrevious, options),
    getAndPut: (key, value, options) =>
      write(key, { name: "getAndPut", kind: CommandKind.CMD_GET_AND_PUT, value }, decodePrevious, options),
    compareAndPut: (key, expect, value, options) =>
      write(
        key,
        { name: "compareAndPut", kind: CommandKind.CMD_COMPARE_AND_PUT, expect, value },
        decodeApplied,
        options,
      ),
    delete: (key, options) => write(key, { name: "delete", kind: CommandKind.CMD_DELETE }, decodeNothing, options),
    async getSequence(key, step = 1, options) {
      const input = { name: "getSequence", kind: CommandKind.CMD_GET_SEQUENCE, step: checkStep(step) };
      return write(key, input, decodeSequence, options);
    },
    getLatestSequence: (key, options) =>
      read("getLatestSequence", ReadKind.READ_LATEST_SEQUENCE, key, decodeLatest, options),
    resetSequence: (key, options) =>
      write(key, { name: "resetSequence", kind: CommandKind.CMD_RESET_SEQUENCE }, decodeNothing, options),
  };
}
