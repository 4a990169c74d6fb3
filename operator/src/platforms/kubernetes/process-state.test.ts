import assert from "node:assert/strict";
import type { PersistentVolumeClaim, Pod, StorageClass } from "../../kube/index.js";
import type { ContainerRun } from "./deps.js";
import { processState } from "./process-state.js";
import { takeTime } from "./times.js";

const WALL = Date.parse("2026-05-01T12:00:00Z");
/** The operator's monotonic clock at that moment. */
const NOW = 1_000_000;
const ago = (seconds: number) => new Date(WALL - seconds * 1000).toISOString();

type Container = Partial<NonNullable<NonNullable<Pod["status"]>["containerStatuses"]>[number]>;

interface Given {
  readonly container?: Container;
  readonly phase?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  readonly metadata?: Pod["metadata"];
  readonly claims?: readonly PersistentVolumeClaim[];
  readonly classes?: readonly StorageClass[];
  readonly outdated?: string;
  readonly runs?: Map<string, ContainerRun>;
  readonly atMs?: number;
}

function podOf({ container, phase = "Pending", conditions = [], metadata }: Given): Pod {
  const status = { name: "store", image: "rhea:1", imageID: "", ready: false, restartCount: 0, ...container };
  return {
    metadata: { name: "demo-store-0", uid: "pod-1", creationTimestamp: ago(60), ...metadata },
    spec: { containers: [{ name: "store", image: "rhea:1" }] },
    status: { phase, conditions, containerStatuses: container === undefined ? [] : [status] },
  };
}

function look(given: Given | undefined) {
  const atMs = given?.atMs ?? NOW;
  return processState({
    pod: given && podOf(given),
    clusterUid: "cluster-1",
    claims: given?.claims ?? [],
    storageClasses: given?.classes ?? [],
    outdated: given?.outdated,
    times: takeTime({ monotonicMs: () => atMs, wallMs: () => WALL + atMs - NOW }),
    runs: given?.runs ?? new Map<string, ContainerRun>(),
  });
}

const running = (startedSecondsAgo: number, restartCount = 0): Container => ({
  state: { running: { startedAt: ago(startedSecondsAgo) } },
  ...{ containerID: `c-${restartCount}`, restartCount },
});
const terminated = (exitCode: number, secondsAgo: number) => ({
  terminated: { exitCode, finishedAt: ago(secondsAgo), startedAt: ago(secondsAgo + 1) },
});
const waiting = (reason: string, message = "") => ({ waiting: { reason, message } });
const READY = [{ type: "Ready", status: "True" }];

describe("state of a process by its pod", () => {
  it("is stopped without a pod", () => {
    assert.deepEqual(look(undefined), { kind: "stopped" });
  });

  it("runs since the kubelet says so, when this is the first look", () => {
    assert.deepEqual(look({ phase: "Running", container: running(40), conditions: READY }), {
      ...{ kind: "running", sinceMs: NOW - 40_000, isReady: true },
    });
  });

  it("has not started in the future, whatever the node's clock says", () => {
    assert.deepEqual(look({ phase: "Running", container: running(-500) }), {
      ...{ kind: "running", sinceMs: NOW, isReady: false },
    });
  });

  it("keeps the start of a run over looks", () => {
    const runs = new Map<string, ContainerRun>();
    look({ phase: "Running", container: running(5), runs });
    const later = look({ phase: "Running", container: running(5), runs, atMs: NOW + 60_000 });
    assert.equal(later.kind === "running" && later.sinceMs, NOW - 5_000);
  });

  it("is stopping from the moment of the deletion, not from the end of its grace", () => {
    const metadata = { deletionTimestamp: ago(-20), deletionGracePeriodSeconds: 30 };
    const state = look({ phase: "Running", container: running(100), metadata });
    assert.ok(state.kind === "stopping" && state.sinceMs <= NOW && state.sinceMs >= NOW - 30_000);
  });

  it("is stopping when it belongs to an earlier cluster of the same name", () => {
    const owner = { apiVersion: "rheakv.io/v1alpha1", kind: "RheaCluster", name: "demo", uid: "cluster-0" };
    assert.equal(
      look({ phase: "Running", container: running(9), metadata: { ownerReferences: [owner] } }).kind,
      "stopping",
    );
  });

  it("tells code and signal of an end, and that the kubelet starts it again", () => {
    const state = waiting("CrashLoopBackOff");
    assert.deepEqual(look({ phase: "Running", container: { state, lastState: terminated(7, 10), restartCount: 3 } }), {
      ...{ kind: "exited", code: 7, signal: null, atMs: NOW - 10_000, failures: 3 },
      ...{ failingSinceMs: NOW - 10_000, restartsByItself: true },
    });
    const killed = look({ phase: "Running", container: { state: terminated(137, 1) } });
    assert.ok(killed.kind === "exited" && killed.signal === "SIGKILL" && killed.code === null);
  });

  it("remembers since when it fails, until a run has lasted", () => {
    const runs = new Map<string, ContainerRun>();
    const crash: Container = { state: waiting("CrashLoopBackOff"), lastState: terminated(1, 0), restartCount: 1 };
    look({ phase: "Running", container: crash, runs });
    const again = look({ phase: "Running", container: running(-10, 1), runs, atMs: NOW + 10_000 });
    assert.equal(again.kind === "running" && again.failingSinceMs, NOW);
    const lasting = look({ phase: "Running", container: running(-10, 1), runs, atMs: NOW + 60_000 });
    assert.equal(lasting.kind === "running" && lasting.failingSinceMs, undefined);
  });

  it("has ended for good when the pod has failed: nobody starts it again", () => {
    const state = look({ phase: "Failed", outdated: "image a -> b" });
    assert.ok(state.kind === "exited" && state.restartsByItself === undefined && state.outdated === "image a -> b");
  });

  const pending: readonly {
    readonly name: string;
    readonly given: Given;
    readonly cause: string;
    readonly why: RegExp;
  }[] = [
    {
      name: "no node takes it",
      given: { conditions: [{ type: "PodScheduled", status: "False", message: "0/3 nodes: Insufficient cpu." }] },
      ...{ cause: "unschedulable", why: /Insufficient cpu\).*resources/ },
    },
    {
      name: "the image cannot be pulled, in the same words for error and back-off",
      given: { container: { state: waiting("ImagePullBackOff", "Back-off pulling") } },
      ...{ cause: "image", why: /^the image rhea:1 cannot be pulled: load it/ },
    },
    {
      name: "the container cannot be made",
      given: { container: { state: waiting("CreateContainerConfigError", "secret not found") } },
      ...{ cause: "config", why: /secret not found.*kubectl describe pod demo-store-0/ },
    },
    {
      name: "there is no default StorageClass",
      given: {
        conditions: [{ type: "PodScheduled", status: "False", message: "unbound" }],
        claims: [{ metadata: { name: "data-demo-store-0" }, status: { phase: "Pending" } }],
        classes: [{ metadata: { name: "fast" }, provisioner: "x" }],
      },
      ...{ cause: "volume", why: /data-demo-store-0 names no StorageClass.*name one of fast/ },
    },
    {
      name: "its StorageClass does not exist",
      given: {
        conditions: [{ type: "PodScheduled", status: "False" }],
        claims: [{ metadata: { name: "d" }, spec: { storageClassName: "slow" }, status: { phase: "Pending" } }],
      },
      ...{ cause: "volume", why: /StorageClass slow, which does not exist/ },
    },
    {
      name: "it is being made",
      given: { container: { state: waiting("ContainerCreating") } },
      ...{ cause: "starting", why: /ContainerCreating/ },
    },
    { name: "nobody has looked at it yet", given: {}, cause: "starting", why: /wait/ },
  ];
  for (const { name, given, cause, why } of pending) {
    it(`is pending: ${name}`, () => {
      const state = look(given);
      assert.ok(state.kind === "pending", state.kind);
      assert.equal(state.cause, cause);
      assert.match(state.why, why);
      assert.equal(state.sinceMs, NOW - 60_000);
    });
  }

  it("is pending and not exited while a new image of a pod that ran before cannot be pulled", () => {
    const container = { state: waiting("ErrImagePull"), lastState: terminated(0, 30), restartCount: 1 };
    assert.equal(look({ phase: "Running", container }).kind, "pending");
  });
});
