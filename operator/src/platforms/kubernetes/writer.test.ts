import assert from "node:assert/strict";
import { RheaError } from "@rhea/common";
import { RESOURCES, type KubeClient } from "../../kube/index.js";
import { createWriter } from "./writer.js";

describe("deleting an object", () => {
  const pod = { metadata: { name: "demo-pd-0", namespace: "ns", uid: "u1", resourceVersion: "7" } };

  const remove = async (answer: () => Promise<unknown>) => {
    const asked: unknown[] = [];
    const kube = {
      delete: (_resource: unknown, _key: unknown, options: { readonly preconditions?: object }) => {
        asked.push(options.preconditions);
        return answer();
      },
    } as unknown as KubeClient;
    const expectations = { observeWrite: () => undefined } as unknown as Parameters<
      typeof createWriter
    >[0]["expectations"];
    const writer = createWriter({ kube, expectations, isLeader: () => true }, "ns/demo", undefined);
    return { isGone: await writer.remove(RESOURCES.pods, pod), asked };
  };

  it("asks for exactly what was seen", async () => {
    const { isGone, asked } = await remove(() => Promise.resolve("gone"));
    assert.deepEqual([isGone, asked], [true, [{ uid: "u1", resourceVersion: "7" }]]);
  });

  it("does not count as done where the object has changed: the pod may run by now", async () => {
    const { isGone } = await remove(() => Promise.reject(new RheaError("KUBE_CONFLICT", "changed")));
    assert.equal(isGone, false);
  });
});
