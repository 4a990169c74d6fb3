import { deepEqual, equal } from "node:assert/strict";
import { Outbox } from "./outbox.js";

const MIB = 1024 * 1024;

describe("outbox", () => {
  it("puts heartbeats and answers into the first batch and splits messages by bytes, in order", () => {
    const outbox = new Outbox(100 * MIB);
    for (let index = 1; index <= 6; index++) outbox.addMessage({ index }, MIB);
    outbox.addHeartbeat({ groupId: 1 });
    outbox.addAck({ groupId: 2 });
    const first = outbox.takeBatch(false, 0);
    equal(first.heartbeat?.items?.length, 1);
    equal(first.acks?.length, 1);
    deepEqual(
      first.messages?.map(({ index }) => index),
      [1, 2, 3],
    );
    const second = outbox.takeBatch(false, 0);
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
    deepEqual(outbox.takeBatch(true, 0).messages, []);
    equal(outbox.isEmpty(), false);
    deepEqual(outbox.takeBatch(false, 0).messages?.length, 1);
  });

  it("bounds messages without entries by their number", () => {
    const outbox = new Outbox(100 * MIB);
    let taken = 0;
    while (outbox.addMessage({}, 0)) taken++;
    equal(taken, 65_536);
    outbox.takeBatch(false, 0);
    equal(outbox.addMessage({}, 0), true);
  });

  it("joins the answers of several heartbeats: the oldest time, and all that was found", () => {
    const outbox = new Outbox(MIB);
    outbox.answer({ sentMs: 7, compared: false, differing: [], left: [3] });
    outbox.answer({ sentMs: 5, compared: true, differing: [1], left: [3, 4] });
    deepEqual(outbox.takeBatch(true, 0).heartbeatAck, { sentMs: 5, compared: true, differing: [1], left: [3, 4] });
    equal(outbox.isEmpty(), true);
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
