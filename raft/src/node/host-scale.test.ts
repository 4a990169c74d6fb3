import { deepEqual, equal, ok } from "node:assert/strict";
import { settle } from "./test-settle.js";
import { TestWorld } from "./test-store.js";

const COUNT = 1_000;

describe("raft host: a thousand groups in one process", () => {
  it("elect, write, survive the restart of a process and of all, and rest", async () => {
    const world = new TestWorld(settle);
    const groups = Array.from({ length: COUNT }, (_, i) => 1_000 + i);
    await world.start(3, groups);

    /** Lets time pass in large steps: looking at all groups after every event would cost more than the groups. */
    const until = async (what: string, condition: () => boolean): Promise<void> => {
      for (let waitedMs = 0; !condition(); waitedMs += 100) {
        ok(waitedMs < 30_000, `${what}: not within 30 s`);
        await world.time.run(100);
      }
    };
    const open = () => world.stores.filter(({ isOpen }) => isOpen);
    const areLed = (): boolean => open().reduce((sum, { host }) => sum + host.stats().leaders, 0) === COUNT;
    const rest = (): boolean => open().every(({ host }) => host.stats().quietGroups === COUNT);
    const writeToAll = async (text: string): Promise<void> => {
      for (const groupId of groups) {
        const leader = world.leader(groupId);
        ok(leader, `group ${groupId} has a leader`);
        leader.node(groupId).apply({ data: Buffer.from(text) });
      }
      await until(`"${text}" everywhere`, () =>
        open().every((store) => groups.every((groupId) => store.texts(groupId).includes(text))),
      );
    };

    await until("all led", areLed);
    const appends = world.stores.map(({ log }) => log.stats().appends);
    await writeToAll("one");
    for (const [i, { log }] of world.stores.entries()) {
      const frames = log.stats().appends - (appends[i] ?? 0);
      ok(frames < 50, `${frames} appends for ${COUNT} writes: groups of a turn share one`);
    }
    await until("all rest", rest);

    world.store(2).kill();
    await until("all led by two", areLed);
    await writeToAll("two");
    await world.store(2).open();
    await until("the restarted store has it all", () =>
      groups.every((groupId) => world.store(2).texts(groupId).includes("two")),
    );

    for (const store of world.stores) store.kill();
    for (const store of world.stores) await store.open();
    await until("all led again", areLed);
    await writeToAll("three");
    await until("all rest again", rest);
    for (const store of world.stores) {
      for (const groupId of groups) deepEqual(store.texts(groupId), ["one", "two", "three"]);
      deepEqual(store.fatal, []);
    }
    equal(
      world
        .store(1)
        .host.describe()
        .split("\n")
        .filter((line) => line.startsWith("group ")).length,
      500,
    );
    ok(
      world
        .store(1)
        .host.describe()
        .includes(`and ${COUNT - 500} groups more`),
    );
  }).timeout(120_000);
});
