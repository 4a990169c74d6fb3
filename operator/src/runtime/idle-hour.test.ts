import assert from "node:assert/strict";
import { silentLogger } from "@rhea/common";
import { createInformer, RESOURCES, type KubeClient, type KubeObject } from "../kube/index.js";
import { VirtualTime } from "../kube/virtual-time.js";
import { createController } from "./controller.js";
import { createEventRecorder } from "./event-recorder.js";
import { createExpectations } from "./expectations.js";
import { createWorkQueue } from "./work-queue.js";

const HOUR_MS = 3_600_000;

describe("an idle hour", () => {
  it("makes no write, one list per kind, and a watch per kind every five to ten minutes", async () => {
    const time = new VirtualTime();
    const { clock, scheduler, rng } = time;
    let version = 100;
    const calls = { lists: 0, watches: 0, writes: 0 };
    const sleep = (ms: number, signal: AbortSignal | undefined): Promise<void> =>
      new Promise((resolve) => {
        const end = (): void => {
          timer.cancel();
          signal?.removeEventListener("abort", end);
          resolve();
        };
        const timer = scheduler.setTimer(ms, end);
        signal?.addEventListener("abort", end);
      });
    const write = async (): Promise<never> => {
      calls.writes += 1;
      throw new Error("no write is due");
    };
    /** An API server where nothing happens: a bookmark a minute, and an end when the client asked for it. */
    const client: Pick<KubeClient, "list" | "watch" | "create" | "mergePatch" | "apply"> = {
      async list(resource) {
        calls.lists += 1;
        const item = { metadata: { namespace: "ns", name: "demo", uid: resource.plural, resourceVersion: "90" } };
        return { items: [item as never], resourceVersion: String(version) };
      },
      async *watch(_resource, { timeoutSeconds, signal }) {
        calls.watches += 1;
        for (let left = timeoutSeconds; left > 0 && signal?.aborted !== true; left -= 60) {
          await sleep(Math.min(60, left) * 1_000, signal);
          version += 1;
          yield { type: "BOOKMARK", object: { metadata: { resourceVersion: String(version) } } as never };
        }
      },
      create: write,
      mergePatch: write,
      apply: write,
    };

    const queue = createWorkQueue({ clock, scheduler });
    const kinds = [RESOURCES.rheaClusters, RESOURCES.rheaStores, RESOURCES.pods, RESOURCES.nodes, RESOURCES.services];
    const informers = kinds.map((resource) =>
      createInformer<KubeObject>({
        client,
        resource,
        clock,
        scheduler,
        rng,
        logger: silentLogger,
        onChange: () => queue.add("ns/demo"),
      }),
    );
    const expectations = createExpectations({ clock, logger: silentLogger });
    const recorder = createEventRecorder({
      client,
      clock,
      scheduler,
      logger: silentLogger,
      controller: "c",
      instance: "i",
    });
    let reconciles = 0;
    const controller = createController({
      name: "rheacluster",
      queue,
      clock,
      logger: silentLogger,
      reconcile: async (key) => {
        reconciles += 1;
        assert.equal(expectations.satisfied(key, informers).kind, "satisfied");
        return { requeueAfterMs: 60_000 };
      },
    });
    for (const informer of informers) informer.start();
    await Promise.all(informers.map((informer) => informer.synced()));
    controller.start();
    await time.advance(HOUR_MS);

    assert.equal(calls.writes, 0);
    assert.equal(calls.lists, kinds.length);
    assert(calls.watches >= kinds.length * 6 && calls.watches <= kinds.length * 13, `${calls.watches} watches`);
    assert(reconciles >= 60 && reconciles <= 62, `${reconciles} reconciles`);
    await controller.close();
    await recorder.close();
    await Promise.all(informers.map((informer) => informer.close()));
    assert.deepEqual(time.delays, [], "no timer is left");
  });
});
