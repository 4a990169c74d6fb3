/** The nodes and their controller: a node that is not heard of is marked, tainted, and its pods are marked for deletion; they are gone when it is back, or for good. */
import { RESOURCES, type Pod } from "../../../kube/index.js";
import type { ApiServer } from "../api-server/api-server.js";
import type { VirtualTime } from "../world/virtual-time.js";

const MANAGER = "node-controller";
/** node-monitor-grace-period. */
const GRACE_MS = 40_000;
const UNREACHABLE = "node.kubernetes.io/unreachable";
/** Pods of a node that is no more are collected after this. */
const POD_GC_MS = 30_000;

interface Machine {
  readonly name: string;
  state: "up" | "lost" | "removed";
  /** Counts comings and goings, so that what was planned for one absence does not hit the next. */
  epoch: number;
  lostAtMs: number;
}

/** The nodes of the world. */
export class Machines {
  readonly #server: ApiServer;
  readonly #time: VirtualTime;
  readonly #machines = new Map<string, Machine>();

  constructor(server: ApiServer, time: VirtualTime) {
    this.#server = server;
    this.#time = time;
  }

  /** Adds a ready node. */
  add(name: string, zone: string): void {
    this.#machines.set(name, { name, state: "up", epoch: 0, lostAtMs: 0 });
    const labels = { "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone };
    this.#server.create(RESOURCES.nodes, { metadata: { name, labels }, spec: {} }, { manager: "kubelet" });
    this.#mark(name, "True");
  }

  /** Names of nodes that have not been removed. */
  names(): string[] {
    return [...this.#machines.values()].filter(({ state }) => state !== "removed").map(({ name }) => name);
  }

  /** Whether the node is there and its kubelet talks to the API server. */
  isReachable(name: string): boolean {
    return this.#machines.get(name)?.state === "up";
  }

  /** For how long the node has not been reachable, ms; 0 if it is. */
  lostForMs(name: string): number {
    const machine = this.#machines.get(name);
    if (machine === undefined || machine.state === "removed") return Infinity;
    return machine.state === "up" ? 0 : this.#time.nowMs - machine.lostAtMs;
  }

  /** Cuts a node off, or turns it off. */
  lose(name: string): void {
    const machine = this.#machines.get(name);
    if (machine?.state !== "up") return;
    machine.state = "lost";
    machine.lostAtMs = this.#time.nowMs;
    const epoch = ++machine.epoch;
    this.#time.plan(GRACE_MS, () => {
      if (machine.epoch === epoch) this.#unreachable(machine, epoch);
    });
  }

  /** Brings a lost node back. Returns whether it was lost. */
  restore(name: string): boolean {
    const machine = this.#machines.get(name);
    if (machine?.state !== "lost") return false;
    machine.state = "up";
    machine.epoch++;
    this.#mark(name, "True");
    return true;
  }

  /** Takes a node away for good. */
  remove(name: string): void {
    const machine = this.#machines.get(name);
    if (machine === undefined || machine.state === "removed") return;
    machine.state = "removed";
    machine.epoch++;
    this.#server.remove(RESOURCES.nodes, { name }, "user");
    this.#time.plan(POD_GC_MS, () => {
      for (const pod of this.#podsOf(name)) this.#server.remove(RESOURCES.pods, keyOf(pod), "pod-gc");
    });
  }

  /** Closes or opens a node for new pods. */
  setCordoned(name: string, isCordoned: boolean): void {
    this.#server.amend(RESOURCES.nodes, { name }, "user", () => ({
      spec: { unschedulable: isCordoned ? true : null },
    }));
  }

  #podsOf(node: string): Pod[] {
    return this.#server.list(RESOURCES.pods).filter(({ spec }) => spec?.nodeName === node);
  }

  #unreachable(machine: Machine, epoch: number): void {
    this.#mark(machine.name, "Unknown");
    for (const pod of this.#podsOf(machine.name)) {
      this.#server.amend(RESOURCES.pods, keyOf(pod), MANAGER, ({ status }) => ({
        status: {
          conditions: (status?.conditions ?? []).map((condition) =>
            condition.type === "Ready"
              ? { ...condition, status: "False", lastTransitionTime: this.#time.timestamp() }
              : condition,
          ),
        },
      }));
      const toleration = pod.spec?.tolerations?.find(
        ({ key, effect }) =>
          (key === UNREACHABLE || key === undefined) && (effect === "NoExecute" || effect === undefined),
      );
      const seconds = toleration === undefined ? 0 : toleration.tolerationSeconds;
      if (seconds === undefined) continue; // tolerated for ever
      this.#time.plan(seconds * 1000, () => {
        if (machine.epoch !== epoch) return;
        const now = this.#server.find(RESOURCES.pods, keyOf(pod));
        if (now?.metadata?.uid !== pod.metadata?.uid) return;
        this.#server.delete(RESOURCES.pods, keyOf(pod), { manager: MANAGER });
      });
    }
  }

  #mark(name: string, ready: "True" | "Unknown"): void {
    const taints =
      ready === "True" ? null : ["NoSchedule", "NoExecute"].map((effect) => ({ key: UNREACHABLE, effect }));
    const lastTransitionTime = this.#time.timestamp();
    this.#server.amend(RESOURCES.nodes, { name }, MANAGER, () => ({
      spec: { taints },
      status: { conditions: [{ type: "Ready", status: ready, lastTransitionTime }] },
    }));
  }
}

function keyOf({ metadata }: Pod): { readonly name: string; readonly namespace: string } {
  return { name: metadata?.name ?? "", namespace: metadata?.namespace ?? "" };
}
