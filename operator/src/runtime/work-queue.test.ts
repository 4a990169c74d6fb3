import assert from "node:assert/strict";
import { InvariantError, RheaError, silentLogger } from "@rhea/common";
import { turn, VirtualTime } from "../kube/virtual-time.js";
import { createController } from "./controller.js";
import { createRuntimeMetrics } from "./metrics.js";
import { createWorkQueue, type WorkQueue } from "./work-queue.js";

describe("work queue", () => {
  let time: VirtualTime;
  let queue: WorkQueue;

  beforeEach(() => {
    time = new VirtualTime();
    queue = createWorkQueue({ clock: time.clock, scheduler: time.scheduler });
  });

  it("holds a key once and hands keys out in order", async () => {
    for (const key of ["a", "b", "a", "c", "b"]) queue.add(key);
    assert.equal(queue.depth, 3);
    assert.deepEqual([await queue.take(), await queue.take(), await queue.take()], ["a", "b", "c"]);
  });

  it("keeps a key that is added while it is worked on for after", async () => {
    queue.add("a");
    const key = await queue.take();
    assert.equal(key, "a");
    queue.add("a");
    queue.add("a");
    assert.equal(queue.depth, 0, "one taker at a time");
    queue.done("a");
    assert.equal(queue.depth, 1);
    assert.equal(await queue.take(), "a");
    queue.done("a");
    assert.equal(queue.depth, 0);
  });

  it("wakes one taker per key", async () => {
    const taken: (string | undefined)[] = [];
    const takers = [1, 2].map(async () => taken.push(await queue.take()));
    queue.add("a");
    await turn();
    assert.deepEqual(taken, ["a"]);
    queue.close();
    await Promise.all(takers);
    assert.deepEqual(taken, ["a", undefined]);
  });

  it("counts the earliest of several delays", async () => {
    queue.addAfter("a", 5_000);
    queue.addAfter("a", 1_000);
    queue.addAfter("a", 9_000);
    await time.advance(999);
    assert.equal(queue.depth, 0);
    await time.advance(1);
    assert.equal(queue.depth, 1);
    await time.advance(10_000);
    assert.deepEqual([queue.depth, queue.delayed], [1, 0]);
  });

  it("doubles the delay of a key that fails, up to a minute, until it is forgotten", async () => {
    const delays: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      queue.addRateLimited("a");
      delays.push(...time.delays);
      await time.advance(60_000);
    }
    assert.deepEqual(delays.slice(0, 4), [100, 200, 400, 800]);
    assert.equal(delays.at(-1), 60_000);
    assert.equal(queue.retries("a"), 12);
    queue.forget("a");
    queue.addRateLimited("a");
    assert.deepEqual(time.delays, [100]);
  });

  it("takes nothing after it is closed, and refuses done without take", async () => {
    queue.add("a");
    queue.addAfter("b", 10);
    queue.close();
    queue.add("c");
    queue.addAfter("d", 10);
    assert.equal(await queue.take(), undefined);
    assert.deepEqual(time.delays, []);
    assert.throws(() => queue.done("a"), InvariantError);
  });
});

describe("controller", () => {
  it("repeats what fails with the queue's back-off or the error's wait, and shows it in the metrics", async () => {
    const time = new VirtualTime();
    const metrics = createRuntimeMetrics();
    const queue = createWorkQueue({
      clock: time.clock,
      scheduler: time.scheduler,
      metrics: metrics.queue("rheacluster"),
    });
    const seen: number[] = [];
    const outcomes = [
      new RheaError("UNAVAILABLE", "no PD"),
      new RheaError("SERVER_BUSY", "later", { details: { retryAfterMs: 3_000 } }),
      { requeueAfterMs: 10_000 },
      {},
    ];
    const controller = createController({
      name: "rheacluster",
      queue,
      clock: time.clock,
      logger: silentLogger,
      metrics,
      reconcile: async () => {
        seen.push(time.clock.monotonicMs());
        const outcome = outcomes.shift();
        if (outcome === undefined || outcome instanceof Error) throw outcome ?? new Error("too often");
        return outcome;
      },
    });
    controller.start();
    queue.add("ns/demo");
    await time.advance(60_000);
    assert.deepEqual(seen, [0, 100, 3_100, 13_100]);
    const text = await metrics.registry.metrics();
    for (const expected of [
      'controller_runtime_reconcile_total{controller="rheacluster",result="error"} 2',
      'controller_runtime_reconcile_total{controller="rheacluster",result="requeue_after"} 1',
      'controller_runtime_reconcile_total{controller="rheacluster",result="success"} 1',
      'controller_runtime_reconcile_errors_total{controller="rheacluster"} 2',
      'workqueue_adds_total{name="rheacluster"} 4',
      'workqueue_retries_total{name="rheacluster"} 1',
      'workqueue_depth{name="rheacluster"} 0',
      'workqueue_work_duration_seconds_count{name="rheacluster"} 4',
    ]) {
      assert(text.includes(expected), `${expected}\n${text}`);
    }
    await controller.close();
  });

  it("works on several keys at a time but never twice on one, and waits for them when it closes", async () => {
    const time = new VirtualTime();
    const queue = createWorkQueue({ clock: time.clock, scheduler: time.scheduler });
    const now = new Map<string, number>();
    let most = 0;
    let ended = 0;
    const controller = createController({
      name: "c",
      queue,
      clock: time.clock,
      logger: silentLogger,
      workers: 3,
      reconcile: async (key) => {
        now.set(key, (now.get(key) ?? 0) + 1);
        assert.equal(now.get(key), 1, key);
        most = Math.max(most, [...now.values()].filter((count) => count > 0).length);
        await new Promise<void>((resolve) => time.scheduler.setTimer(50, resolve));
        now.set(key, 0);
        ended += 1;
        return {};
      },
    });
    controller.start();
    for (let i = 0; i < 40; i += 1) {
      queue.add(`k${i % 5}`);
      await time.advance(20);
    }
    assert.equal(most, 3);
    queue.add("last");
    await turn();
    const before = ended;
    const closing = controller.close();
    await time.advance(100);
    await closing;
    assert(ended > before);
  });
});
