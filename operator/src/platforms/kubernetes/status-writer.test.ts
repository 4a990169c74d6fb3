import assert from "node:assert/strict";
import type { ClusterMemory } from "./deps.js";
import { needsWrite, rememberWrite } from "./status-writer.js";

function memory(): Pick<ClusterMemory, "statuses"> {
  return { statuses: new Map() };
}

const status = (leaders: number, state = "Up", message?: string) => ({
  stores: [{ name: "demo-store-0", state, leaders, ...(message === undefined ? {} : { message }) }],
});

describe("writes of a status", () => {
  it("are none where the live one is equal, also for an operator that has just started", () => {
    assert.equal(needsWrite(memory(), "cluster", status(1), status(1), 0), false);
  });

  it("happen at once when something happened", () => {
    const known = memory();
    rememberWrite(known, "cluster", status(1), 0);
    assert.equal(needsWrite(known, "cluster", status(1, "Down"), status(1), 1), true);
  });

  it("take a field away that is no longer said", () => {
    const known = memory();
    rememberWrite(known, "cluster", status(1, "Up", "slow"), 0);
    assert.equal(needsWrite(known, "cluster", status(1), status(1, "Up", "slow"), 1), true);
    assert.equal(needsWrite(memory(), "cluster", status(1), status(1, "Up", "slow"), 1), true);
  });

  it("wait a little where only counts move, and are made then", () => {
    const known = memory();
    rememberWrite(known, "cluster", status(1), 0);
    assert.equal(needsWrite(known, "cluster", status(2), status(1), 1_000), false);
    assert.equal(needsWrite(known, "cluster", status(2), status(1), 5_000), true);
  });

  it("do not wait when somebody else has changed the live one", () => {
    const known = memory();
    rememberWrite(known, "cluster", status(1), 0);
    assert.equal(needsWrite(known, "cluster", status(1), status(1, "Hacked"), 1), true);
    assert.equal(needsWrite(known, "cluster", status(2), status(1, "Hacked"), 1), true);
  });

  it("are repeated as long as the live one does not show them", () => {
    const known = memory();
    rememberWrite(known, "cluster", status(1), 0);
    assert.equal(needsWrite(known, "cluster", status(1), undefined, 1), true);
  });
});
