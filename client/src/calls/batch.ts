/** Mixed operations in one call. */
import { encodeKey, type Key, type Value } from "../keys.js";
import type { CallOptions, ReadOptions } from "../options.js";
import type { Sequence, SingleKeyCalls } from "./single-key.js";

/** One operation of a batch: a call's name with its arguments. */
export type BatchOperation =
  | { readonly type: "get"; readonly key: Key }
  | { readonly type: "containsKey"; readonly key: Key }
  | { readonly type: "put"; readonly key: Key; readonly value: Value }
  | { readonly type: "putIfAbsent"; readonly key: Key; readonly value: Value }
  | { readonly type: "getAndPut"; readonly key: Key; readonly value: Value }
  | {
      readonly type: "compareAndPut";
      readonly key: Key;
      readonly expect?: Value | undefined;
      readonly update?: Value | undefined;
    }
  | { readonly type: "delete"; readonly key: Key }
  | { readonly type: "getSequence"; readonly key: Key; readonly step?: number };

/** What an operation of a batch resolves to. */
export type BatchValue = Buffer | boolean | Sequence | undefined;

/** The batch call, as RheaClient documents it. */
export interface BatchCalls {
  /**
   * Runs operations of several kinds; results in call order, each settled on its own; not atomic. Reads and writes form groups that run
   * one after the other, in parallel within a group; a write to a key that the group has already begins a new one, so that operations on
   * the same key happen in call order.
   */
  batch(
    operations: readonly BatchOperation[],
    options?: CallOptions & ReadOptions,
  ): Promise<PromiseSettledResult<BatchValue>[]>;
}

function isRead(operation: BatchOperation): boolean {
  return operation.type === "get" || operation.type === "containsKey";
}

/** Divides into groups; within one, order does not matter. */
export function groupBatch(operations: readonly BatchOperation[]): BatchOperation[][] {
  const groups: BatchOperation[][] = [];
  let group: BatchOperation[] = [];
  let keys = new Set<string>();
  for (const operation of operations) {
    const key = encodeKey(operation.key).toString("latin1");
    const first = group[0];
    if (first !== undefined && (isRead(first) !== isRead(operation) || (!isRead(operation) && keys.has(key)))) {
      groups.push(group);
      group = [];
      keys = new Set();
    }
    group.push(operation);
    keys.add(key);
  }
  if (group.length > 0) groups.push(group);
  return groups;
}

function run(calls: SingleKeyCalls, operation: BatchOperation, options: ReadOptions | undefined): Promise<BatchValue> {
  switch (operation.type) {
    case "get":
      return calls.get(operation.key, options);
    case "containsKey":
      return calls.containsKey(operation.key, options);
    case "put":
      return calls.put(operation.key, operation.value, options).then(() => undefined);
    case "putIfAbsent":
      return calls.putIfAbsent(operation.key, operation.value, options);
    case "getAndPut":
      return calls.getAndPut(operation.key, operation.value, options);
    case "compareAndPut":
      return calls.compareAndPut(operation.key, operation.expect, operation.update, options);
    case "delete":
      return calls.delete(operation.key, options).then(() => undefined);
    case "getSequence":
      return calls.getSequence(operation.key, operation.step, options);
  }
}

/** Makes the call on top of the calls on one key. */
export function createBatchCalls(calls: SingleKeyCalls): BatchCalls {
  return {
    async batch(operations, options) {
      const results: PromiseSettledResult<BatchValue>[] = [];
      for (const group of groupBatch(operations)) {
        results.push(...(await Promise.allSettled(group.map((operation) => run(calls, operation, options)))));
      }
      return results;
    },
  };
}
