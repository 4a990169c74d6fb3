import { deepEqual, equal } from "node:assert/strict";
import { Outbox } from "./outbox.js";

const MIB = 1024 * 1024;

describe("outbox", () => {
  it("puts heartbeats and answers into the first batch and splits messages by bytes, in order", () => {
    const outbox = new Outbox(100 * MIB);
    for (let index = 1; index <= 6; index++) outbox.addMessage({ index }, MIB);
    outbox.addHeartbeat({ groupId: 1 });
    outbox.addAck({ groupId: 2 });
    const first = outbox.takeBatch(false);
    equal(first.heartbeat?.items?.length, 1);
    equal(first.acks?.length, 1);
    deepEqual(
      first.messages?.map(({ index }) => index),
      [1, 2, 3],
    );
    const second = outbox.takeBatch(false);
    equal(second.heartbeat, undefined);
    deepEqual(
      second.messages?.map(({ index }) => index),
      [4, 5, 6],
    );
    equal(outbox.isEmpty(), true);
  });

  it("lets heartbeats overtake messages that have to wait", () => {
    const outbox = new Outbox(100 * MIB);
    outbox.addMessage({ index: 1 }, MIB);
    outbox.addHeartbeat({ groupId: 1 });
    deepEqual(outbox.takeBatch(true).messages, []);
    equal(outbox.isEmpty(), false);
    deepEqual(outbox.takeBatch(false).messages?.length, 1);
  });

  it("refuses entries over its limit, but takes votes and a single message of any size", () => {
    const outbox = new Outbox(2 * MIB);
    equal(outbox.addMessage({ index: 1 }, 3 * MIB), true);
    equal(outbox.addMessage({ index: 2 }, 1), false);
    equal(outbox.addMessage({ index: 3 }, 0), true);
    deepEqual(
      outbox.clear().map(({ index }) => index),
      [1, 3],
    );
  });
});
