import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { nodeScheduler } from "@rhea/common/env-node";
import { TestWorld, type TestStore } from "./test-store.js";

const settle = (): Promise<void> =>
  new Promise((resolve) => {
    nodeScheduler.nextTurn(resolve);
  });

describe("raft host: three stores", () => {
  let world: TestWorld;

  beforeEach(async () => {
    world = new TestWorld(settle);
    await world.start(3);
  });

  afterEach(() => {
    for (const store of world.stores) deepEqual(store.fatal, [], `${store.name} met a fatal error`);
  });

  it("elects a leader and applies what it proposes everywhere, with the context at the proposer only", async () => {
    await world.write("one");
    const leader = world.leader() as TestStore;
    for (const store of world.stores) {
      deepEqual(store.texts(), ["one"]);
      deepEqual(store.machine().contexts, store === leader ? ["one"] : []);
    }
  });
});
