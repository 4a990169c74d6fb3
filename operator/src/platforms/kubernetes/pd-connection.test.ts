import assert from "node:assert/strict";
import { RheaError, silentLogger } from "@rhea/common";
import { RESOURCES } from "../../kube/index.js";
import { labelsOf } from "../../specs/index.js";
import { memoryOf, type PdCalls, type PdTarget } from "./deps.js";
import { pollPd } from "./pd-connection.js";
import { makeFixture } from "./platform-fixture.js";

/** A PD with one running pod, which fails as `failWith` says. */
function makePd() {
  const fixture = makeFixture({ tls: { enabled: false } });
  const state: Record<string, object> = { running: {} };
  const setPod = (now: object) => {
    fixture.put(RESOURCES.pods, {
      metadata: { name: "demo-pd-0", namespace: "ns", labels: labelsOf({ name: "demo" }, "pd", "demo-pd-0") },
      spec: { containers: [] },
      status: {
        containerStatuses: [{ name: "pd", ready: true, restartCount: 0, image: "rhea:1", imageID: "", state: now }],
      },
    });
  };
  setPod(state);
  let nowMs = 0;
  let failure: RheaError | undefined;
  const answers = {
    clusterInfo: () =>
      failure === undefined
        ? Promise.resolve({ bootstrapped: false, members: [], config: null })
        : Promise.reject(failure),
    stores: () => Promise.resolve([]),
    operations: () => Promise.resolve([]),
    close: () => undefined,
  };
  const memory = memoryOf(new Map(), "ns/demo", "cluster-1");
  const deps = {
    caches: fixture.caches,
    clock: { monotonicMs: () => nowMs, wallMs: () => nowMs },
    connectPd: () => answers as unknown as PdCalls,
    logger: silentLogger,
  };
  return {
    setPod,
    /** Asks a second later. */
    async poll(error?: RheaError): Promise<string | undefined> {
      nowMs += 1_000;
      failure = error;
      await pollPd(deps, fixture.objects(), memory);
      return memory.pdError?.text;
    },
  };
}

const unavailable = (message: string) => new RheaError("UNAVAILABLE", message);

describe("what keeps PD from answering", () => {
  it("is told as code and words in one line, of which the time that ran out is none, and goes with an answer", async () => {
    const pd = makePd();
    const cause = unavailable("demo-pd-0:7400: no connection:\n  ECONNREFUSED");
    const outer = new RheaError("DEADLINE_EXCEEDED", "no answer within 1500 ms, 7 attempts", { cause });
    assert.equal(await pd.poll(outer), "UNAVAILABLE: demo-pd-0:7400: no connection: ECONNREFUSED");
    assert.equal(await pd.poll(), undefined);
  });

  it("keeps its words while only numbers change, and while members fail each in its own way", async () => {
    const pd = makePd();
    const first = await pd.poll(unavailable("demo-pd-0 (10.1.2.3): silent for 1.5 s"));
    for (let i = 1; i < 20; i++) {
      const other = i % 3 === 0 ? new RheaError("PD_NOT_LEADER", "no leader") : undefined;
      assert.equal(await pd.poll(other ?? unavailable(`demo-pd-${i} (10.1.22.${i}): silent for ${i} s`)), first);
    }
  });

  it("becomes another once the first has not been met for a while", async () => {
    const pd = makePd();
    await pd.poll(unavailable("refused"));
    const told = new Set<string | undefined>();
    for (let i = 0; i < 30; i++) told.add(await pd.poll(unavailable("certificate has expired")));
    assert.deepEqual([...told], ["UNAVAILABLE: refused", "UNAVAILABLE: certificate has expired"]);
  });

  it("is cut where it is long, and not told of pods that do not run", async () => {
    const pd = makePd();
    const text = await pd.poll(unavailable("x".repeat(1_000)));
    assert.equal(text?.length, 200);
    pd.setPod({ waiting: {} });
    assert.equal(await pd.poll(unavailable("y")), undefined);
  });
});

describe("the member of PD that is asked", () => {
  /** Three members whose pods are ready or not; `dead` ones never answer. Returns who was asked first, poll by poll. */
  async function firstAsked(ready: readonly boolean[], dead: readonly number[], polls: number) {
    const fixture = makeFixture({ tls: { enabled: false } });
    for (const [ordinal, isReady] of ready.entries()) {
      const name = `demo-pd-${ordinal}`;
      fixture.put(RESOURCES.pods, {
        metadata: { name, namespace: "ns", labels: labelsOf({ name: "demo" }, "pd", name) },
        spec: { containers: [] },
        status: {
          conditions: [{ type: "Ready", status: isReady ? "True" : "False" }],
          containerStatuses: [
            { name: "pd", ready: isReady, restartCount: 0, image: "rhea:1", imageID: "", state: { running: {} } },
          ],
        },
      });
    }
    const asked: string[] = [];
    const memory = memoryOf(new Map(), "ns/demo", "cluster-1");
    let nowMs = 0;
    const deps = {
      caches: fixture.caches,
      clock: { monotonicMs: () => nowMs, wallMs: () => nowMs },
      connectPd: ({ addresses }: PdTarget) => {
        const name = addresses[0]?.split(".", 1)[0] ?? "";
        asked.push(name);
        const isDead = dead.some((ordinal) => name === `demo-pd-${ordinal}`);
        const info = { bootstrapped: false, members: [], config: null };
        return {
          clusterInfo: () => (isDead ? Promise.reject(unavailable("silent")) : Promise.resolve(info)),
          members: () => Promise.resolve([]),
          stores: () => Promise.resolve([]),
          operations: () => Promise.resolve([]),
          close: () => undefined,
        } as unknown as PdCalls;
      },
      logger: silentLogger,
    };
    for (let poll = 0; poll < polls; poll++) {
      nowMs += 1_000;
      await pollPd(deps, fixture.objects(), memory);
    }
    return { asked, hasView: memory.view !== undefined };
  }

  it("is one whose pod is ready", async () => {
    const { asked } = await firstAsked([false, true, true], [0], 1);
    assert.deepEqual(asked, ["demo-pd-1"]);
  });

  it("is another one after each failure, so that one on a silent node keeps nobody from the others", async () => {
    const { asked, hasView } = await firstAsked([true, true, true], [0, 1], 3);
    assert.deepEqual(asked, ["demo-pd-0", "demo-pd-1", "demo-pd-2"]);
    assert.equal(hasView, true);
  });
});
