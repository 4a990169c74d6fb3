/** What users do: they write specs, take them back, and lay hands on objects that are not theirs. */
import type { RheaClusterSpec } from "../../../api/index.js";
import { RESOURCES } from "../../../kube/index.js";
import { FLOATING_CLASS, LOCAL_CLASS } from "../nodes/volumes.js";
import { DEFAULT_IMAGE } from "./operator-process.js";
import { CLUSTER, NAMESPACE } from "./names.js";
import type { World } from "./world.js";

const MANAGER = { manager: "kubectl" };
/** A newer image that works. */
export const NEW_IMAGE = "rhea:1.1";
/** An image that no registry has. */
export const BAD_IMAGE = "rhea:typo";
/** An image whose processes end at once. */
export const BROKEN_IMAGE = "rhea:broken";

/** Draws the spec that the world begins with. */
export function drawSpec({ random }: World): RheaClusterSpec {
  const className = random.chance(0.5) ? LOCAL_CLASS : FLOATING_CLASS;
  // In some worlds regions survive the loss of two stores at once.
  const regionReplicas = random.chance(0.15) ? 5 : 3;
  const replicas = regionReplicas + (random.chance(0.6) ? 0 : 1);
  return {
    image: DEFAULT_IMAGE,
    pd: { replicas: random.chance(0.75) ? 3 : 1, storage: { size: "1Gi", className } },
    stores: {
      replicas,
      storage: { size: "10Gi", className },
      ...(random.chance(0.2) ? { logStorage: { size: "2Gi", className } } : {}),
    },
    regions: { replicas: regionReplicas },
    failover: {
      deadAfterSeconds: Math.floor(random.between(20, 90)),
      maxReplacements: 1 + random.int(regionReplicas === 5 ? 1 : 3),
    },
    tls: { enabled: false },
    ...(random.chance(0.5) ? {} : { deletionPolicy: random.chance(0.5) ? "Retain" : "Delete" }),
  };
}

/** Writes the spec. */
export function writeSpec({ server }: World, spec: RheaClusterSpec): void {
  server.apply(RESOURCES.rheaClusters, { metadata: { ...CLUSTER }, spec }, { ...MANAGER, force: true });
}

/** Reads the spec as it is now. */
export function readSpec({ server }: World): RheaClusterSpec | undefined {
  return server.find(RESOURCES.rheaClusters, CLUSTER)?.spec as RheaClusterSpec | undefined;
}

/** One thing that a user does. Returns what, or undefined if it is not possible now. */
export function userAct(world: World, first: RheaClusterSpec): string | undefined {
  const { random, server } = world;
  const spec = readSpec(world);
  if (spec === undefined) return undefined;
  const least = spec.regions?.replicas === 5 ? 5 : 3;
  const write = (what: string, change: Partial<RheaClusterSpec>): string => {
    writeSpec(world, { ...spec, ...change });
    return what;
  };
  const without = (what: string, ...keys: (keyof RheaClusterSpec)[]): string => {
    const rest = Object.fromEntries(
      Object.entries(spec).filter(([key]) => !keys.includes(key as keyof RheaClusterSpec)),
    );
    writeSpec(world, rest as unknown as RheaClusterSpec);
    return what;
  };
  const withoutAutoscale = (): RheaClusterSpec["stores"] => {
    const { autoscale: _, ...stores } = spec.stores;
    return stores;
  };
  switch (random.int(16)) {
    case 0:
    case 1:
    case 2: {
      if (spec.stores.autoscale !== undefined) return undefined; // refused by the API
      const replicas = least + random.int(4);
      return write(`wants ${replicas} stores`, { stores: { ...spec.stores, replicas } });
    }
    case 3:
    case 4:
      return write(`wants image ${NEW_IMAGE}`, { image: NEW_IMAGE });
    case 5:
      return write(`wants image ${BAD_IMAGE}`, { image: BAD_IMAGE });
    case 6:
      return write(`wants image ${BROKEN_IMAGE}`, { image: BROKEN_IMAGE });
    case 7:
    case 8:
      writeSpec(world, {
        ...first,
        stores: { ...first.stores, storage: spec.stores.storage ?? {} },
      });
      return "takes everything back";
    case 9:
      if (spec.stores.autoscale !== undefined) return write("ends autoscaling", { stores: withoutAutoscale() });
      return write("begins autoscaling", {
        stores: {
          ...spec.stores,
          autoscale: {
            minReplicas: least,
            maxReplicas: least + 2,
            targetRegionsPerStore: 1 + random.int(4),
            scaleInDelaySeconds: 30,
            cooldownSeconds: 10,
          },
        },
      });
    case 10:
      return spec.suspend === true
        ? without("resumes", "suspend")
        : random.chance(0.4)
          ? write("suspends", { suspend: true })
          : undefined;
    case 11:
      if (spec.mode !== undefined) return without("mode is Reconcile again", "mode", "pause");
      return random.chance(0.5) ? write("mode is Plan", { mode: "Plan" }) : write("mode is Paused", { mode: "Paused" });
    case 12: {
      const store = random.pick(server.list(RESOURCES.rheaStores));
      if (store === undefined) return undefined;
      const { name = "", namespace = "" } = store.metadata ?? {};
      const field = random.chance(0.5) ? "drain" : "removeFirst";
      server.patch(RESOURCES.rheaStores, { name, namespace }, { spec: { [field]: random.chance(0.7) } }, MANAGER);
      return `sets ${field} of ${name}`;
    }
    case 13: {
      const store = random.pick(server.list(RESOURCES.rheaStores));
      if (store === undefined) return undefined;
      server.delete(RESOURCES.rheaStores, { name: store.metadata?.name ?? "", namespace: NAMESPACE }, MANAGER);
      return `deletes the RheaStore ${store.metadata?.name ?? ""}`;
    }
    case 14: {
      const service = random.pick(server.list(RESOURCES.services));
      if (service === undefined) return undefined;
      const key = { name: service.metadata?.name ?? "", namespace: NAMESPACE };
      if (random.chance(0.5)) server.delete(RESOURCES.services, key, MANAGER);
      else
        server.patch(
          RESOURCES.services,
          key,
          { spec: { publishNotReadyAddresses: false, selector: { foreign: "yes" } } },
          MANAGER,
        );
      return `spoils the Service ${key.name}`;
    }
    default:
      world.placement.setting.regionTarget = Math.min(8, world.placement.setting.regionTarget + 1);
      return "writes more data";
  }
}
