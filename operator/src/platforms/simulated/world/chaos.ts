/** What goes wrong: one draw of the world's random source at a time. Nothing here destroys the data of a majority for ever; everything else may happen. */
import type { RheaClusterSpec } from "../../../api/index.js";
import { RESOURCES } from "../../../kube/index.js";
import { refuseEviction } from "../api-server/eviction.js";
import type { WatchEnd } from "../api-server/simulated-watch.js";
import type { Fleet } from "./fleet.js";
import { userAct } from "./user.js";
import { NAMESPACE } from "./names.js";
import type { World } from "./world.js";

const WATCHED = [
  ...["rheaclusters", "rheastores", "pods", "persistentvolumeclaims", "persistentvolumes", "nodes"],
  ...["services", "secrets", "poddisruptionbudgets"],
];

/** Does one thing, or nothing where the one drawn is not possible now. */
export function act(world: World, fleet: Fleet, first: RheaClusterSpec): void {
  const { random } = world;
  const what = random.chance(0.3)
    ? userAct(world, first)
    : random.chance(0.5)
      ? clusterFault(world)
      : operatorFault(world, fleet);
  if (what === undefined) return;
  world.tell(`-- ${what}`);
}

function clusterFault(world: World): string | undefined {
  const { random, kubelets, machines, placement, server, volumes } = world;
  const later = (fromMs: number, toMs: number, run: () => void): void =>
    void world.time.plan(random.between(fromMs, toMs), run);
  switch (random.int(12)) {
    case 0:
    case 1: {
      const name = random.pick(world.members());
      if (name === undefined || !kubelets.crash(NAMESPACE, name, random.chance(0.5) ? 137 : 1)) return undefined;
      return `${name} crashes`;
    }
    case 2:
    case 3:
    case 4: {
      const node = random.pick(machines.names().filter((each) => machines.isReachable(each)));
      if (node === undefined || machines.names().filter((each) => !machines.isReachable(each)).length >= 2)
        return undefined;
      const isDark = random.chance(0.5);
      machines.lose(node);
      kubelets.nodeLost(node, isDark);
      const isLong = random.chance(0.4);
      later(isLong ? 120_000 : 5_000, isLong ? 600_000 : 60_000, () => restoreNode(world, node));
      return `node ${node} ${isDark ? "goes dark" : "is cut off"}`;
    }
    case 5: {
      const node = random.pick(machines.names());
      if (node === undefined || machines.names().length <= 3 || !world.survivesLossOf(world.membersWithDisksOn(node)))
        return undefined;
      removeNode(world, node);
      return `node ${node} is removed for good`;
    }
    case 6: {
      // Now and then several at once, as far as every region survives it.
      const lost = new Set<string>();
      for (let tries = random.chance(0.4) ? 6 : 1; tries > 0; tries--) {
        const name = random.pick(world.members());
        if (name !== undefined && world.survivesLossOf(new Set([...lost, name]))) lost.add(name);
      }
      const gone = [...lost].filter((name) => volumes.lose({ namespace: NAMESPACE, name: `data-${name}` }));
      for (const name of gone) kubelets.crash(NAMESPACE, name, 8);
      if (gone.length === 0) return undefined;
      world.sometimes(gone.length > 1 ? "several volumes lost at once" : "volume lost");
      return `the volume of ${gone.join(", ")} is lost`;
    }
    case 7: {
      // With its pod, so that what is lost is lost now: a region could move to a store whose volume is only marked.
      const name = random.pick(world.members());
      const pod = world.pods().find(({ metadata }) => metadata?.name === name);
      if (name === undefined || !machines.isReachable(pod?.spec?.nodeName ?? "")) return undefined;
      if (!world.survivesLossOf(new Set([name]))) return undefined;
      server.delete(
        RESOURCES.persistentVolumeClaims,
        { namespace: NAMESPACE, name: `data-${name}` },
        { manager: "kubectl" },
      );
      server.delete(RESOURCES.pods, { namespace: NAMESPACE, name }, { manager: "kubectl" });
      world.sometimes("claim deleted by hand");
      return `somebody deletes the claim and the pod of ${name}`;
    }
    case 8: {
      const pod = random.pick(world.pods());
      if (pod === undefined) return undefined;
      const key = { namespace: NAMESPACE, name: pod.metadata?.name ?? "" };
      server.delete(RESOURCES.pods, key, {
        manager: "kubectl",
        ...(random.chance(0.3) ? { gracePeriodSeconds: 0 } : {}),
      });
      return `somebody deletes the pod ${key.name}`;
    }
    case 9:
      return drainNode(world);
    case 10: {
      const { pd } = placement;
      const other = random.pick([...pd.members.values()].filter(({ isVoter, isHealthy }) => isVoter && isHealthy));
      if (other === undefined || !pd.isServing || pd.leader === other.name) return undefined;
      pd.lead(other.name);
      return `PD is led by ${other.name}`;
    }
    default: {
      const store = random.pick([...placement.stores.values()].filter(({ lifecycle }) => lifecycle === "up"));
      if (store === undefined || random.chance(0.5)) return undefined;
      store.lifecycle = "draining";
      store.drainOrigin = "user";
      store.drainTotal = placement.peersOn(store.storeId);
      later(10_000, 60_000, () => {
        if (store.lifecycle === "draining" && store.drainOrigin === "user") store.lifecycle = "up";
      });
      return `a user drains store ${store.name} through PD`;
    }
  }
}

function restoreNode(world: World, node: string): void {
  if (!world.machines.restore(node)) return;
  world.tell(`-- node ${node} is back`);
  world.kubelets.nodeReturns(node);
}

function removeNode(world: World, node: string): void {
  for (const claim of world.volumes.localVolumesOn(node)) world.volumes.destroyContent(claim);
  world.kubelets.nodeRemoved(node);
  world.machines.remove(node);
  world.sometimes("node removed");
}

/** `kubectl drain`: evicts what the budgets allow, tries again, gives up after a while. */
function drainNode(world: World): string | undefined {
  const { machines, random, server, time } = world;
  const node = random.pick(machines.names().filter((each) => machines.isReachable(each)));
  if (node === undefined) return undefined;
  machines.setCordoned(node, true);
  const endMs = time.nowMs + random.between(30_000, 240_000);
  const step = (): void => {
    if (time.nowMs > endMs || world.isHealed || !machines.names().includes(node)) {
      if (machines.names().includes(node)) machines.setCordoned(node, false);
      world.tell(`-- node ${node} is uncordoned`);
      return;
    }
    for (const { metadata, spec } of world.pods()) {
      if (spec?.nodeName !== node || metadata?.deletionTimestamp !== undefined) continue;
      const key = { namespace: NAMESPACE, name: metadata?.name ?? "" };
      if (refuseEviction(server, key) !== undefined) world.sometimes("eviction refused");
      else {
        world.tell(`-- ${key.name} is evicted`);
        server.delete(RESOURCES.pods, key, { manager: "kubectl" });
      }
    }
    time.plan(5_000, step);
  };
  step();
  return `node ${node} is drained`;
}

function operatorFault(world: World, fleet: Fleet): string | undefined {
  const { random, server, time } = world;
  const operator = random.pick(fleet.running());
  if (operator === undefined) return undefined;
  const { faults, pdFaults, client, process, id } = operator;
  const after = (fromMs: number, toMs: number, run: () => void): void =>
    void time.plan(random.between(fromMs, toMs), run);
  switch (random.int(12)) {
    case 0:
      operator.kill();
      return `operator ${id} is killed`;
    case 1:
    case 2:
    case 3: {
      const stage = random.chance(0.5) ? "before" : "after";
      operator.killIn = { writes: 1 + random.int(8), stage };
      return `operator ${id} will be killed ${stage} its write ${operator.killIn.writes} from now`;
    }
    case 4: {
      const durationMs = random.between(2_000, 40_000);
      process.pause(durationMs);
      return `operator ${id} stands still for ${Math.round(durationMs / 1000)} s`;
    }
    case 5: {
      const plural = random.pick(WATCHED) ?? "pods";
      faults.watchLagMs.set(plural, random.between(500, 20_000));
      after(10_000, 90_000, () => faults.watchLagMs.delete(plural));
      return `operator ${id} hears late of ${plural}`;
    }
    case 6: {
      const how = random.pick<WatchEnd>(["end", "cut", "gone", "silent"]) ?? "cut";
      const plural = random.chance(0.5) ? undefined : random.pick(WATCHED);
      if (client.endWatches(how, plural) === 0) return undefined;
      if (how === "silent") world.sometimes("watch silent");
      return `operator ${id}: watches of ${plural ?? "all kinds"}: ${how}`;
    }
    case 7:
      faults.failureRate = random.between(0.05, 0.5);
      after(5_000, 60_000, () => (faults.failureRate = 0));
      return `operator ${id}: ${Math.round(faults.failureRate * 100)} % of its calls fail`;
    case 8:
      faults.conflictRate = random.between(0.1, 0.6);
      after(5_000, 60_000, () => (faults.conflictRate = 0));
      return `operator ${id}: conflicts`;
    case 9:
      pdFaults.failureRate = random.between(0.1, 0.5);
      pdFaults.latencyMs = [1, random.between(10, 3_000)];
      after(5_000, 60_000, () => {
        pdFaults.failureRate = 0;
        pdFaults.latencyMs = [1, 10];
      });
      return `operator ${id}: calls to PD fail and take long`;
    case 10: {
      const isPd = random.chance(0.4);
      (isPd ? pdFaults : faults).isPartitioned = true;
      if (!isPd) client.endWatches("silent");
      after(5_000, 60_000, () => ((isPd ? pdFaults : faults).isPartitioned = false));
      return `operator ${id} is cut off from ${isPd ? "PD" : "the API server"}`;
    }
    default:
      server.compact();
      client.endWatches("cut");
      return "the API server forgets its history";
  }
}

/** Ends all faults that last. */
export function heal(world: World, fleet: Fleet): void {
  world.isHealed = true;
  for (const node of world.machines.names()) {
    restoreNode(world, node);
    world.machines.setCordoned(node, false);
  }
  for (const { faults, pdFaults } of fleet.running()) {
    faults.failureRate = 0;
    faults.conflictRate = 0;
    faults.isPartitioned = false;
    faults.watchLagMs.clear();
    pdFaults.failureRate = 0;
    pdFaults.isPartitioned = false;
    pdFaults.latencyMs = [1, 10];
  }
  for (const operator of fleet.running()) operator.killIn = undefined;
  for (const store of world.placement.stores.values()) {
    if (store.lifecycle === "draining" && store.drainOrigin === "user") store.lifecycle = "up";
  }
  for (const { metadata } of world.server.list(RESOURCES.rheaStores)) {
    const key = { name: metadata?.name ?? "", namespace: NAMESPACE };
    world.server.patch(RESOURCES.rheaStores, key, { spec: { drain: null, removeFirst: null } }, { manager: "kubectl" });
  }
}
