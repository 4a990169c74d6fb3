/**
 * The kubelets: pods that are bound to a node become containers, containers become processes; what ends is started again with a growing
 * back-off; what is deleted is stopped. A node that is cut off or dark does none of this until it is back.
 */
import { RESOURCES, type Pod } from "../../../kube/index.js";
import type { ApiServer } from "../api-server/api-server.js";
import type { Random } from "../world/random.js";
import type { VirtualTime } from "../world/virtual-time.js";
import type { Machines } from "./machines.js";
import { parseFlags, type SimulatedProcess, type StartProcess } from "./process.js";
import type { Volumes } from "./volumes.js";

const MANAGER = "kubelet";
const FIRST_BACKOFF_MS = 10_000;
const MAX_BACKOFF_MS = 300_000;
/** A container that ran this long starts with the first back-off again. */
const LASTING_MS = 600_000;
const RETRY_MS = 5_000;

/** A pod on a node, whether the API server still knows it or not. */
export interface Run {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  readonly claims: readonly string[];
  process: SimulatedProcess | undefined;
  startedAtMs: number;
  restarts: number;
  backoffMs: number;
  isReady: boolean;
  isStopping: boolean;
  lastExit: { readonly code: number; readonly atMs: number } | undefined;
}

/** What the world sets and hears. */
export interface KubeletSetting {
  readonly server: ApiServer;
  readonly time: VirtualTime;
  readonly random: Random;
  readonly machines: Machines;
  readonly volumes: Volumes;
  readonly start: StartProcess;
  /** Images that cannot be pulled. */
  readonly badImages: ReadonlySet<string>;
  /** Heard when a process begins, with all runs that have one. */
  readonly onStart: (run: Run) => void;
}

/** All kubelets of the world. */
export class Kubelets {
  /** By uid of the pod. */
  readonly runs = new Map<string, Run>();
  readonly #world: KubeletSetting;

  constructor(world: KubeletSetting) {
    this.#world = world;
    world.server.onChange(({ plural, type, object }) => {
      if (plural !== "pods") return;
      const pod = object as unknown as Pod;
      if (type === "DELETED") this.#onGone(pod);
      else this.#onPod(pod);
    });
  }

  /** A node is reachable again; `wasDark`: its processes ended with it. */
  nodeReturns(node: string): void {
    for (const run of [...this.runs.values()].filter((each) => each.node === node)) {
      run.process?.setReachable(true);
      const pod = this.#podOf(run);
      if (pod === undefined) this.#end(run);
      else if (pod.metadata?.deletionTimestamp !== undefined) this.#stop(run);
      else {
        this.#report(run);
        if (run.process === undefined) this.#begin(run, this.#world.random.between(500, 3_000));
      }
    }
    for (const pod of this.#world.server.list(RESOURCES.pods)) if (pod.spec?.nodeName === node) this.#onPod(pod);
  }

  /** A node cannot be reached; `isDark`: what runs on it ends there and then. */
  nodeLost(node: string, isDark: boolean): void {
    for (const run of this.runs.values()) {
      if (run.node !== node) continue;
      run.process?.setReachable(false);
      if (isDark) this.#killProcess(run);
    }
  }

  /** A node is gone for good, and all that ran on it. */
  nodeRemoved(node: string): void {
    for (const run of [...this.runs.values()].filter((each) => each.node === node)) {
      this.#killProcess(run);
      this.runs.delete(run.uid);
    }
  }

  /** Ends the process of a pod as a crash does. Returns false if it does not run. */
  crash(namespace: string, name: string, code: number): boolean {
    const run = [...this.runs.values()].find(
      (each) => each.name === name && each.namespace === namespace && each.process !== undefined,
    );
    if (run === undefined) return false;
    this.#killProcess(run);
    this.#exited(run, code);
    return true;
  }

  #podOf(run: Run): Pod | undefined {
    const pod = this.#world.server.find(RESOURCES.pods, run);
    return pod?.metadata?.uid === run.uid ? pod : undefined;
  }

  #onPod(pod: Pod): void {
    const { uid = "", name = "", namespace = "", deletionTimestamp } = pod.metadata ?? {};
    const node = pod.spec?.nodeName;
    if (node === undefined || !this.#world.machines.isReachable(node)) return;
    let run = this.runs.get(uid);
    if (run === undefined) {
      if (deletionTimestamp !== undefined) {
        this.#world.time.plan(200, () => this.#finishIfSame(namespace, name, uid, node));
        return;
      }
      const claims = (pod.spec?.volumes ?? []).flatMap(
        ({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? [],
      );
      run = {
        ...{ uid, name, namespace, node, claims, process: undefined, startedAtMs: 0, restarts: 0 },
        ...{ backoffMs: FIRST_BACKOFF_MS, isReady: false, isStopping: false, lastExit: undefined },
      };
      this.runs.set(uid, run);
      this.#begin(run, this.#world.random.between(200, 2_500));
    } else if (deletionTimestamp !== undefined) this.#stop(run);
  }

  #finishIfSame(namespace: string, name: string, uid: string, node: string): void {
    if (!this.#world.machines.isReachable(node)) return;
    const pod = this.#world.server.find(RESOURCES.pods, { namespace, name });
    if (pod?.metadata?.uid === uid) this.#world.server.remove(RESOURCES.pods, { namespace, name }, MANAGER);
  }

  /** The object is gone: what runs without one is ended, as soon as its kubelet hears of it. */
  #onGone(pod: Pod): void {
    const run = this.runs.get(pod.metadata?.uid ?? "");
    if (run === undefined || !this.#world.machines.isReachable(run.node)) return;
    this.#world.time.plan(this.#world.random.between(50, 1_000), () => {
      if (this.#world.machines.isReachable(run.node)) this.#end(run);
    });
  }

  #end(run: Run): void {
    this.#killProcess(run);
    this.runs.delete(run.uid);
  }

  #stop(run: Run): void {
    if (run.isStopping) return;
    run.isStopping = true;
    const { time, random, server, machines } = this.#world;
    const grace = (this.#podOf(run)?.metadata?.deletionGracePeriodSeconds ?? 30) * 1000;
    time.plan(Math.min(grace, random.between(200, 3_000)), () => {
      if (!machines.isReachable(run.node)) {
        run.isStopping = false; // the node was lost meanwhile: once it is back it looks again
        return;
      }
      this.#end(run);
      if (this.#podOf(run) !== undefined) server.remove(RESOURCES.pods, run, MANAGER);
    });
  }

  #killProcess(run: Run): void {
    const { process } = run;
    run.process = undefined;
    run.isReady = false;
    process?.kill();
  }

  /** Tries to start the container after a while, and again until it runs. */
  #begin(run: Run, delayMs: number): void {
    this.#world.time.plan(delayMs, () => {
      if (!this.runs.has(run.uid) || run.isStopping || run.process !== undefined) return;
      if (!this.#world.machines.isReachable(run.node)) return;
      const pod = this.#podOf(run);
      if (pod === undefined || pod.metadata?.deletionTimestamp !== undefined) return;
      const obstacle = this.#obstacle(run, pod);
      if (obstacle === undefined) this.#start(run, pod);
      else {
        this.#report(run, obstacle);
        this.#begin(run, RETRY_MS);
      }
    });
  }

  #obstacle(run: Run, pod: Pod): { readonly reason: string; readonly message: string } | undefined {
    const { server, volumes, badImages } = this.#world;
    for (const claim of run.claims) {
      const why = volumes.refusalOfMount(run.namespace, claim, run, this.runs.values());
      if (why !== undefined) return { reason: "ContainerCreating", message: why };
    }
    for (const { secret } of pod.spec?.volumes ?? []) {
      const name = secret?.secretName;
      if (name === undefined || secret?.optional === true) continue;
      if (server.find(RESOURCES.secrets, { namespace: run.namespace, name }) === undefined) {
        return { reason: "ContainerCreating", message: `secret "${name}" not found` };
      }
    }
    const image = pod.spec?.containers[0]?.image ?? "";
    if (badImages.has(image)) {
      return { reason: "ImagePullBackOff", message: `Back-off pulling image "${image}": not found` };
    }
    return undefined;
  }

  #start(run: Run, pod: Pod): void {
    const { time, volumes, start, onStart } = this.#world;
    const container = pod.spec?.containers[0];
    run.startedAtMs = time.nowMs;
    const process: SimulatedProcess = start({
      component: pod.metadata?.labels?.["app.kubernetes.io/component"] === "pd" ? "pd" : "store",
      name: run.name,
      namespace: run.namespace,
      flags: parseFlags([...(container?.command ?? []), ...(container?.args ?? [])]),
      image: container?.image ?? "",
      volumes: run.claims.map((claim) => volumes.contentOf(run.namespace, claim)),
      exit: (code) => {
        if (run.process !== process) return;
        this.#killProcess(run);
        this.#exited(run, code);
      },
      setReady: (isReady) => {
        if (run.process !== process || run.isReady === isReady) return;
        run.isReady = isReady;
        this.#report(run);
      },
    });
    run.process = process;
    onStart(run);
    this.#report(run);
  }

  #exited(run: Run, code: number): void {
    const { time } = this.#world;
    if (time.nowMs - run.startedAtMs >= LASTING_MS) run.backoffMs = FIRST_BACKOFF_MS;
    run.lastExit = { code, atMs: time.nowMs };
    run.restarts++;
    if (run.isStopping || !this.#world.machines.isReachable(run.node)) return;
    this.#report(run);
    this.#begin(run, run.restarts === 1 ? 1_000 : run.backoffMs);
    if (run.restarts > 1) run.backoffMs = Math.min(MAX_BACKOFF_MS, run.backoffMs * 2);
  }

  /** Writes the pod's status, as far as the node can. */
  #report(run: Run, obstacle?: { readonly reason: string; readonly message: string }): void {
    const { server, time, machines } = this.#world;
    if (!machines.isReachable(run.node) || this.#podOf(run) === undefined) return;
    const isRunning = run.process !== undefined;
    const waiting = obstacle ?? { reason: "CrashLoopBackOff", message: "back-off restarting failed container" };
    const at = (ms: number): string =>
      new Date(Date.parse("2023-11-14T22:13:20Z") + ms).toISOString().replace(/\.\d+Z$/, "Z");
    server.amend(RESOURCES.pods, run, MANAGER, (pod) => {
      const now = time.timestamp();
      const container = pod.spec?.containers[0];
      const conditions = (pod.status?.conditions ?? []).filter(({ type }) => type === "PodScheduled");
      const condition = (type: string, value: boolean): object => {
        const status = value ? "True" : "False";
        const before = pod.status?.conditions?.find((each) => each.type === type);
        return { type, status, lastTransitionTime: before?.status === status ? before.lastTransitionTime : now };
      };
      return {
        status: {
          phase: isRunning || run.restarts > 0 ? "Running" : "Pending",
          podIP: `10.0.0.${(Number(run.uid.slice(-4)) % 250) + 1}`,
          hostIP: "192.168.0.1",
          startTime: pod.status?.startTime ?? now,
          conditions: [
            ...conditions,
            condition("Initialized", true),
            condition("ContainersReady", run.isReady),
            condition("Ready", run.isReady),
          ],
          containerStatuses: [
            {
              name: container?.name ?? "",
              image: container?.image ?? "",
              imageID: container?.image ?? "",
              ready: run.isReady,
              started: isRunning,
              restartCount: run.restarts,
              state: isRunning ? { running: { startedAt: at(run.startedAtMs) } } : { waiting },
              lastState:
                run.lastExit === undefined
                  ? {}
                  : {
                      terminated: {
                        ...{ exitCode: run.lastExit.code, reason: run.lastExit.code === 0 ? "Completed" : "Error" },
                        ...{
                          startedAt: at(Math.min(run.startedAtMs, run.lastExit.atMs)),
                          finishedAt: at(run.lastExit.atMs),
                        },
                      },
                    },
            },
          ],
        },
      };
    });
  }
}
