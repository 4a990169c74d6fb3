import assert from "node:assert/strict";
import { EMPTY_BYTES } from "@rhea/common";
import { LOCAL_APPEND_THREAD, makeMessage } from "../core/index.js";
import type { Entry, EntryType, HardState } from "../core/types.js";
import type { GroupLog, LogRecord } from "../log/api.js";
import { StagedSlot } from "./staged-slot.js";
import { StoreOrders } from "./store-orders.js";

const entry = (index: number, type: EntryType = "normal"): Entry => ({ term: 2, index, type, data: EMPTY_BYTES });

describe("a group's orders to store", () => {
  const order = (orders: StoreOrders, entries: readonly Entry[], hardState?: HardState): readonly LogRecord[] => {
    const records: LogRecord[] = [];
    const { term, vote, commit } = hardState ?? { term: 0, vote: 0, commit: 0 };
    const message = makeMessage({
      type: "storageAppend",
      to: LOCAL_APPEND_THREAD,
      from: 1,
      entries,
      term,
      vote,
      commit,
    });
    orders.take("group", message, { records, awaited: [] });
    return records;
  };
  const ordersOf = (hardState: HardState): StoreOrders =>
    new StoreOrders({ groupId: 7, hardState } as GroupLog, new StagedSlot(() => undefined));
  const kinds = (records: readonly LogRecord[]): string[] => records.map(({ kind }) => kind);

  it("writes nothing for a commit index alone", () => {
    const orders = ordersOf({ term: 2, vote: 1, commit: 4 });
    assert.deepEqual(order(orders, [], { term: 2, vote: 1, commit: 9 }), []);
    assert.ok(orders.isIdle);
    assert.deepEqual(kinds(order(orders, [entry(10)])), ["entries"]);
    assert.equal(orders.isIdle, false);
  });

  it("stores the newest commit index with a membership change: the change before it is committed, after a restart too", () => {
    const orders = ordersOf({ term: 2, vote: 1, commit: 4 });
    order(orders, [], { term: 2, vote: 1, commit: 24 });
    const [, hardState] = order(orders, [entry(27, "confChangeV2")]);
    assert.deepEqual(hardState, { kind: "hardState", groupId: 7, hardState: { term: 2, vote: 1, commit: 24 } });
    // It is stored by now: the next entry needs it no more.
    assert.deepEqual(kinds(order(orders, [entry(28)])), ["entries"]);
  });

  it("stores a new term or vote at once", () => {
    const orders = ordersOf({ term: 2, vote: 1, commit: 4 });
    assert.deepEqual(kinds(order(orders, [], { term: 3, vote: 0, commit: 4 })), ["hardState"]);
    assert.deepEqual(kinds(order(orders, [], { term: 3, vote: 2, commit: 4 })), ["hardState"]);
    assert.deepEqual(kinds(order(orders, [], { term: 3, vote: 2, commit: 5 })), []);
  });
});
