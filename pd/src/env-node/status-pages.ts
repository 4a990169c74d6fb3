/** The status pages of `rhea-pd`: /livez, /readyz, /metrics, /debug/cluster. */
import type { StatusPage } from "@rhea/common/env-node";
import { storeHealth } from "../cluster/index.js";
import type { Coordinator, Pd, Readiness } from "../service/index.js";
import { formatMetrics, type Metric } from "./metrics-text.js";

/** Makes the routes of the status server. `member` gives undefined until the process serves: alive, not ready. */
export function statusPages(member: () => Pd | undefined): Record<string, () => StatusPage> {
  return {
    "/livez": () => ({ status: 200, body: "ok\n" }),
    "/readyz": () => {
      const readiness = readinessOf(member());
      return readiness.isReady ? { status: 200, body: "ok\n" } : { status: 503, body: `${readiness.reason}\n` };
    },
    "/metrics": () => ({
      status: 200,
      contentType: "text/plain; version=0.0.4; charset=utf-8",
      body: formatMetrics(pdMetrics(member())),
    }),
    "/debug/cluster": () => ({
      status: member()?.leading === undefined ? 503 : 200,
      contentType: "application/json",
      body: `${JSON.stringify(describeCluster(member()?.leading), undefined, 2)}\n`,
    }),
  };
}

function readinessOf(member: Pd | undefined): Readiness {
  return member?.readiness ?? { isReady: false, reason: "starts, or asks PD's members to be taken in" };
}

const MAX_REGIONS_SHOWN = 1000;

function describeCluster(coordinator: Coordinator | undefined): unknown {
  if (coordinator === undefined) return { isLeader: false };
  const { cluster, operations } = coordinator;
  const nowMs = coordinator.nowMs();
  return {
    isLeader: true,
    clusterId: coordinator.clusterId,
    isBootstrapped: coordinator.isBootstrapped,
    settings: cluster.settings,
    stores: cluster.stores.all().map(({ faults, lastHeartbeatMs, ...store }) => ({
      ...store,
      silentMs: Math.round(nowMs - lastHeartbeatMs),
      faults: [...faults].map(([regionId, fault]) => ({ regionId, ...fault })),
      regions: cluster.regions.usage(store.storeId).regionIds.size,
      leaders: cluster.regions.usage(store.storeId).leaderRegionIds.size,
    })),
    regionCount: cluster.regions.size,
    regions: cluster.regions.scan("", "", MAX_REGIONS_SHOWN),
    running: [...operations.running()],
    finished: operations.finished().slice(0, 100),
  };
}

function pdMetrics(member: Pd | undefined): readonly Metric[] {
  const coordinator = member?.leading;
  const flags: readonly Metric[] = [
    {
      ...{ name: "rhea_pd_is_leader", type: "gauge", help: "1 while this member leads." },
      samples: [{ value: coordinator === undefined ? 0 : 1 }],
    },
    {
      ...{ name: "rhea_pd_is_ready", type: "gauge", help: "1 while this member leads or hears the leader as a voter." },
      samples: [{ value: readinessOf(member).isReady ? 1 : 0 }],
    },
  ];
  if (coordinator === undefined) return flags;
  return [...flags, ...memberMetrics(coordinator), ...clusterMetrics(coordinator), ...workMetrics(coordinator)];
}

function memberMetrics(coordinator: Coordinator): readonly Metric[] {
  const byState = new Map<string, number>();
  for (const { state, healthy } of coordinator.members.list()) {
    const key = healthy === true ? (state ?? "") : "unreachable";
    byState.set(key, (byState.get(key) ?? 0) + 1);
  }
  return [
    {
      ...{ name: "rhea_pd_members", type: "gauge", help: "PD's members by state; unreachable: not heard of lately." },
      samples: [...byState].map(([state, value]) => ({ labels: { state }, value })),
    },
    {
      ...{ name: "rhea_pd_feature_level", type: "gauge", help: "Feature level in force." },
      samples: [{ value: coordinator.featureLevel() }],
    },
  ];
}

function clusterMetrics(coordinator: Coordinator): readonly Metric[] {
  const { cluster } = coordinator;
  const nowMs = coordinator.nowMs();
  const byState = new Map<string, number>();
  for (const store of cluster.stores.all()) {
    const state = store.lifecycle === "up" ? storeHealth(store, nowMs, cluster.settings) : store.lifecycle;
    byState.set(state, (byState.get(state) ?? 0) + 1);
  }
  return [
    { name: "rhea_pd_regions", type: "gauge", help: "Regions known.", samples: [{ value: cluster.regions.size }] },
    {
      ...{ name: "rhea_pd_regions_reported", type: "gauge", help: "Regions that reported since this member leads." },
      samples: [{ value: cluster.regions.reportedCount }],
    },
    {
      ...{ name: "rhea_pd_stores", type: "gauge", help: "Stores by state." },
      samples: [...byState].map(([state, value]) => ({ labels: { state }, value })),
    },
    {
      ...{ name: "rhea_pd_sessions", type: "gauge", help: "Open heartbeat streams." },
      samples: [{ value: coordinator.sessions.size }],
    },
  ];
}

function workMetrics(coordinator: Coordinator): readonly Metric[] {
  const { counters, operations, pipeline, writeBehind } = coordinator;
  return [
    {
      ...{ name: "rhea_pd_region_reports_total", type: "counter", help: "Region reports taken in." },
      samples: [{ value: counters.reports }],
    },
    {
      ...{
        name: "rhea_pd_region_reports_refused_total",
        type: "counter",
        help: "Region reports refused as stale or malformed.",
      },
      samples: [{ value: counters.refused }],
    },
    {
      ...{ name: "rhea_pd_heartbeat_handler_failures_total", type: "counter", help: "Throws by heartbeat handler." },
      samples: pipeline.counters().map(({ name, failed }) => ({ labels: { handler: name }, value: failed })),
    },
    {
      ...{ name: "rhea_pd_operations_running", type: "gauge", help: "Running operations." },
      samples: [{ value: operations.runningCount }],
    },
    {
      ...{ name: "rhea_pd_operations_total", type: "counter", help: "Finished operations by kind and state." },
      samples: operations.totals().map(({ kind, state, count }) => ({ labels: { kind, state }, value: count })),
    },
    {
      ...{ name: "rhea_pd_metadata_writes_pending", type: "gauge", help: "Metadata changes that are not durable yet." },
      samples: [{ value: writeBehind.pending }],
    },
  ];
}
