/** One simulated Kubernetes with one Rhea in it: everything but the operators. */
import { RESOURCES, type PersistentVolumeClaim, type Pod } from "../../../kube/index.js";
import { ApiServer } from "../api-server/api-server.js";
import { startControllers } from "../nodes/controllers.js";
import { Kubelets, type Run } from "../nodes/kubelet.js";
import { Machines } from "../nodes/machines.js";
import { Volumes } from "../nodes/volumes.js";
import { Placement } from "../placement/placement.js";
import type { SimStore } from "../placement/model.js";
import { NAMESPACE, SYSTEM } from "./names.js";
import { createRandom, type Random } from "./random.js";
import { createVirtualTime, type VirtualTime } from "./virtual-time.js";

/** See the file's header. */
export class World {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly server: ApiServer;
  readonly machines: Machines;
  readonly volumes: Volumes;
  readonly kubelets: Kubelets;
  readonly placement: Placement;
  readonly badImages = new Set<string>();
  readonly crashingImages = new Map<string, number>();
  /** What must never happen and did. */
  readonly violations: string[] = [];
  /** How often each rare case happened. */
  readonly marks = new Map<string, number>();
  /** uids of pods that the operator took away without waiting for their end, on nodes that can be reached. */
  readonly forced = new Set<string>();
  /** From then on nothing goes wrong any more. */
  isHealed = false;
  readonly #trace: ((line: string) => void) | undefined;

  constructor(seed: number, trace?: (line: string) => void) {
    this.#trace = trace;
    this.random = createRandom(seed);
    this.time = createVirtualTime();
    const { time, random } = this;
    this.server = new ApiServer(() => time.timestamp());
    const { server } = this;
    for (const name of [NAMESPACE, SYSTEM])
      server.create(RESOURCES.namespaces, { metadata: { name } }, { manager: "user" });
    this.machines = new Machines(server, time);
    this.volumes = new Volumes(server, time, (node) => this.machines.lostForMs(node));
    this.placement = new Placement({
      ...{ time, random, regionTarget: 3, crashingImages: this.crashingImages },
      onViolation: (what) => this.violation(what),
    });
    this.kubelets = new Kubelets({
      ...{ server, time, random, machines: this.machines, volumes: this.volumes, start: this.placement.start },
      badImages: this.badImages,
      onStart: (run) => this.#checkSharing(run),
    });
    startControllers({ server, time, random, machines: this.machines, volumes: this.volumes, podsPerNode: 12 });
  }

  /** Writes a line of the story. */
  tell(line: string): void {
    this.#trace?.(`${(this.time.nowMs / 1000).toFixed(3).padStart(9)}  ${line}`);
  }

  /** Whether the story is being written. */
  get isTracing(): boolean {
    return this.#trace !== undefined;
  }

  /** Notes that a rare case happened. */
  sometimes(name: string): void {
    this.marks.set(name, (this.marks.get(name) ?? 0) + 1);
    this.tell(`-- sometimes: ${name}`);
  }

  /** Notes what must never happen. */
  violation(what: string): void {
    this.violations.push(`at ${(this.time.nowMs / 1000).toFixed(1)} s: ${what}`);
    this.tell(`!! ${what}`);
  }

  /** Whether all volumes of a store or member are there and hold its identity. `willStay`: and none of them is being deleted. */
  hasData(name: string, willStay = false): boolean {
    const key = (volume: string) => ({ namespace: NAMESPACE, name: `${volume}-${name}` });
    const data = this.server.find(RESOURCES.persistentVolumeClaims, key("data"));
    const log = this.server.find(RESOURCES.persistentVolumeClaims, key("log"));
    const holds = (claim: PersistentVolumeClaim): boolean =>
      this.volumes.identityIn(claim) === name && !(willStay && claim.metadata?.deletionTimestamp !== undefined);
    return data !== undefined && holds(data) && (log === undefined || holds(log));
  }

  /** Whether the loss of some members' data for ever leaves every region and PD a majority of data. */
  survivesLossOf(names: ReadonlySet<string>): boolean {
    const holds = ({ name }: SimStore): boolean => !names.has(name) && this.hasData(name, true);
    if (this.placement.regionsWithoutData(holds).length > 0) return false;
    const voters = [...this.placement.pd.members.values()].filter(({ isVoter }) => isVoter);
    return voters.filter(({ name }) => !names.has(name) && this.hasData(name, true)).length * 2 > voters.length;
  }

  /** Names of members whose volumes are disks of the node. */
  membersWithDisksOn(node: string): Set<string> {
    return new Set(
      this.volumes.localVolumesOn(node).map(({ metadata }) => (metadata?.name ?? "").replace(/^(data|log)-/, "")),
    );
  }

  /** Names of stores and PD members whose objects or data exist. */
  members(): string[] {
    const stores = [...this.placement.stores.values()].filter(({ lifecycle }) => lifecycle !== "tombstone");
    return [...stores, ...this.placement.pd.members.values()].map(({ name }) => name);
  }

  /** Pods of the cluster. */
  pods(): Pod[] {
    return this.server.list(RESOURCES.pods).filter(({ metadata }) => metadata?.namespace === NAMESPACE);
  }

  /**
   * Two pods on one claim are a violation unless somebody else tore the older one's object away by force: then its process still ends, and its lock
   * on the directory holds the new one back.
   */
  #checkSharing(run: Run): void {
    for (const other of this.kubelets.runs.values()) {
      if (other === run || other.process === undefined || other.namespace !== run.namespace) continue;
      const shared = run.claims.find(
        (claim) => other.claims.includes(claim) && this.volumes.holds(run.namespace, claim, other),
      );
      if (shared === undefined) continue;
      const isThere = this.server.find(RESOURCES.pods, other)?.metadata?.uid === other.uid;
      if (isThere || this.forced.has(other.uid)) {
        this.violation(`two pods run on the claim ${shared}: uid ${other.uid} and ${run.uid}`);
      }
    }
  }
}
