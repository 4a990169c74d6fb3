import assert from "node:assert/strict";
import { PENDING_CLEAR_RANGE } from "../format/keys.js";
import { Overlay } from "../overlay/overlay.js";
import { openTurnMarkers } from "../overlay/turn-markers.js";
import { createFakeKv } from "../testing/fake-kv.js";
import { PendingClears } from "./pending-clears.js";

async function settle(): Promise<void> {
  for (let i = 0; i < 100; i++) await Promise.resolve();
}

describe("pending clears", () => {
  it("frees a range only once no record of the clear is left, so that none can hit what comes next", async () => {
    const kv = createFakeKv({ da: "1", dz: "2" });
    const { markers } = await openTurnMarkers(kv);
    const fail = (error: Error): void => assert.ifError(error);
    const overlay = new Overlay({ kv, markers, maxBytes: 1 << 20, onFailed: fail });
    const clears = new PendingClears(kv, overlay, fail);
    const records = (): Promise<readonly unknown[]> => kv.iterate(PENDING_CLEAR_RANGE).next(10);
    clears.add({ start: "a", end: "m" });
    overlay.endTurn();
    const clearRange = kv.clearRange.bind(kv);
    // Another region's batch is on its way when the range is empty.
    kv.clearRange = async (start, end) => {
      await clearRange(start, end);
      if (!start.startsWith("d")) return;
      kv.hold();
      overlay.put("dy", Buffer.from("3"));
      overlay.endTurn();
    };
    const state = { isFree: false };
    const finished = clears.finish({ start: "b", end: "c" }).then(() => (state.isFree = true));
    await settle();
    assert.equal(kv.get("da"), undefined);
    assert.equal((await records()).length, 1);
    assert.equal(state.isFree, false);
    kv.release();
    await finished;
    assert.deepEqual(await records(), []);
    assert.equal(clears.size, 0);
  });
});
