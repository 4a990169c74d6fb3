/** Planted bugs: what one operator says and is told is bent on the way, as if its code were wrong. They show what the simulation notices. */
import { RESOURCES, type KubeClient, type KubeObject, type WatchEvent } from "../../../kube/index.js";
import type { PdCalls } from "../../kubernetes/index.js";
import { CLUSTER, NAMESPACE } from "./names.js";

/** A planted bug; README.md has the table. */
export type Mutation =
  | "deletesVolumesEarly"
  | "noReplacementCap"
  | "forgetsOrdinals"
  | "blindToQuorum"
  | "killsAtOnce"
  | "writesSpec"
  | "restless";

const ORDINAL = "rheakv.io/next-ordinal";

/** Bends the calls to the API server. */
export function bendClient(client: KubeClient, mutation: Mutation | undefined): KubeClient {
  switch (mutation) {
    case "noReplacementCap":
      return bendReads(client, "rheaclusters", (object) => {
        const { spec } = object as { spec?: { failover?: object } };
        return { ...object, spec: { ...spec, failover: { ...spec?.failover, maxReplacements: 100 } } } as KubeObject;
      });
    case "forgetsOrdinals":
      return bendReads(client, "services", ({ metadata, ...rest }) => {
        const annotations = { ...metadata?.annotations };
        if (annotations[ORDINAL] !== undefined) annotations[ORDINAL] = "0";
        return { ...rest, metadata: { ...metadata, annotations } };
      });
    case "killsAtOnce":
      return {
        ...client,
        delete: (resource, key, given) => client.delete(resource, key, { ...given, gracePeriodSeconds: 0 }),
      };
    case "writesSpec":
      return {
        ...client,
        applyStatus: async (resource, object, given) => {
          const result = await client.applyStatus(resource, object, given);
          if (resource.plural === "rheaclusters")
            await client.mergePatch(resource, CLUSTER, { spec: { mode: "Reconcile" } });
          return result;
        },
      };
    default:
      return client;
  }
}

function bendReads(client: KubeClient, plural: string, bend: (object: KubeObject) => KubeObject): KubeClient {
  return {
    ...client,
    async list(resource, given) {
      const page = await client.list(resource, given);
      if (resource.plural !== plural) return page;
      return { ...page, items: page.items.map((item) => bend(item) as typeof item) };
    },
    async *watch(resource, given) {
      for await (const event of client.watch(resource, given)) {
        const isBent = resource.plural === plural && event.type !== "BOOKMARK";
        yield isBent ? ({ ...event, object: bend(event.object) } as WatchEvent<typeof event.object>) : event;
      }
    },
  };
}

/** Bends the calls to PD. */
export function bendAdmin(admin: PdCalls, client: KubeClient, mutation: Mutation | undefined): PdCalls {
  switch (mutation) {
    case "deletesVolumesEarly":
      return {
        ...admin,
        async drainStore(storeId, options) {
          const info = await admin.drainStore(storeId, options);
          const name = `data-${info.store?.name ?? ""}`;
          await client.delete(RESOURCES.persistentVolumeClaims, { namespace: NAMESPACE, name });
          return info;
        },
      };
    case "blindToQuorum":
      return {
        ...admin,
        async regions(options) {
          const answer = await admin.regions(options);
          const health = answer.health.map((region) => ({
            ...region,
            downPeerIds: [],
            hasQuorum: true,
            fullyReplicated: true,
          }));
          return { ...answer, health };
        },
        async stores(options) {
          const all = await admin.stores(options);
          return all.map((info) => ({ ...info, lastHeartbeatMsAgo: Math.min(info.lastHeartbeatMsAgo, 1_000) }));
        },
      };
    case "restless":
      return {
        ...admin,
        async clusterInfo(options) {
          const info = await admin.clusterInfo(options);
          return { ...info, config: info.config === null ? null : { ...info.config, operationLimit: 1 } };
        },
      };
    default:
      return admin;
  }
}
