import assert from "node:assert/strict";
import { RheaError, silentLogger } from "@rhea/common";
import type { KubeEvent, KubeObject } from "../kube/index.js";
import { VirtualTime } from "../kube/virtual-time.js";
import { createEventRecorder, type EventInput, type EventRecorder } from "./event-recorder.js";

const CLUSTER: KubeObject = {
  apiVersion: "rheakv.io/v1alpha1",
  kind: "RheaCluster",
  metadata: { namespace: "ns", name: "demo", uid: "u1", resourceVersion: "7" },
};

function event(note: string, regarding = CLUSTER): EventInput {
  return { regarding, type: "Normal", reason: "ScalingOut", action: "CreateStore", note };
}

describe("event recorder", () => {
  let time: VirtualTime;
  let created: KubeEvent[];
  let patched: { readonly name: string; readonly patch: { series?: { count?: number } } }[];
  let failure: RheaError | undefined;
  let hasEnded: boolean;
  let recorder: EventRecorder;

  beforeEach(() => {
    time = new VirtualTime();
    created = [];
    patched = [];
    failure = undefined;
    hasEnded = false;
    recorder = createEventRecorder({
      client: {
        create: async (_resource, object) => {
          if (failure !== undefined) throw failure;
          created.push(object as KubeObject as KubeEvent);
          return object;
        },
        mergePatch: async (_resource, { name }, patch) => {
          if (hasEnded) throw new RheaError("KUBE_NOT_FOUND", "gone");
          if (failure !== undefined) throw failure;
          patched.push({ name, patch });
          return {} as never;
        },
      },
      clock: time.clock,
      scheduler: time.scheduler,
      logger: silentLogger,
      controller: "rheakv.io/operator",
      instance: "operator-0",
    });
  });

  it("writes one object for a repeated event and its count once a minute", async () => {
    for (let i = 0; i < 100; i += 1) {
      recorder.record(event("store 4 of 5"));
      await time.advance(1_000);
    }
    assert.equal(created.length, 1);
    assert.equal(created[0]?.regarding?.uid, "u1");
    assert.equal(created[0].eventTime, "2026-01-01T00:00:00.000000Z");
    assert.equal(patched.length, 1);
    await recorder.close();
    assert.deepEqual(
      patched.map(({ name, patch }) => [name, patch.series?.count]),
      [
        [created[0].metadata?.name, 60],
        [created[0].metadata?.name, 100],
      ],
    );
  });

  it("begins anew after six quiet minutes, and for another note", async () => {
    recorder.record(event("one"));
    recorder.record(event("two"));
    await time.advance(361_000);
    recorder.record(event("one"));
    await recorder.flush();
    assert.equal(created.length, 3);
    assert.equal(new Set(created.map(({ metadata }) => metadata?.name)).size, 3);
    assert.equal(patched.length, 0, "nothing was repeated");
  });

  it("gives each object 25 new events and one more every five minutes", async () => {
    for (let i = 0; i < 100; i += 1) recorder.record(event(`note ${i}`));
    recorder.record(event("note", { ...CLUSTER, metadata: { ...CLUSTER.metadata, name: "other" } }));
    await recorder.flush();
    assert.equal(created.length, 26);
    await time.advance(600_000);
    for (let i = 0; i < 10; i += 1) recorder.record(event(`later ${i}`));
    await recorder.flush();
    assert.equal(created.length, 28);
  });

  it("never fails its caller, and writes again when the API server is back", async () => {
    failure = new RheaError("UNAVAILABLE", "no API server");
    recorder.record(event("one"));
    await recorder.flush();
    failure = undefined;
    await time.advance(10_000);
    recorder.record(event("one"));
    await time.advance(60_000);
    assert.equal(created.length, 1);
    assert.equal(created[0]?.series?.count, 2);
  });

  it("makes the event again when the old one has ended", async () => {
    recorder.record(event("one"));
    await recorder.flush();
    hasEnded = true;
    recorder.record(event("one"));
    await time.advance(61_000);
    assert.equal(patched.length, 0);
    assert.deepEqual(
      created.map(({ series }) => series?.count),
      [undefined, 2],
    );
  });

  it("cuts long notes and writes nothing when nothing happens", async () => {
    recorder.record(event("x".repeat(3_000)));
    await recorder.flush();
    assert.equal(created[0]?.note?.length, 1_024);
    await time.advance(3_600_000);
    assert.equal(created.length + patched.length, 1);
    assert.deepEqual(time.delays, []);
  });
});
