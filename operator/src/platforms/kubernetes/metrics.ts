/** Gauges of clusters. */
import { Gauge, type Registry } from "prom-client";
import type { RheaClusterStatus } from "../../api/index.js";
import type { CertificatesState } from "./certificates.js";

/** Shows what is known of each cluster. */
export interface PlatformMetrics {
  /** Sets the gauges of a cluster. */
  show(
    namespace: string,
    name: string,
    facts: {
      readonly storesWanted: number;
      readonly status: RheaClusterStatus;
      readonly certificates: CertificatesState | undefined;
      readonly wallMs: number;
    },
  ): void;
  /** Drops the gauges of a cluster that is gone. */
  forget(namespace: string, name: string): void;
}

/** Makes the gauges in a registry that does not have them yet. */
export function createPlatformMetrics(registry: Registry): PlatformMetrics {
  const gauge = (name: string, help: string) =>
    new Gauge({ name, help, labelNames: ["namespace", "name"] as const, registers: [registry] });
  const gauges = {
    wanted: gauge("rhea_cluster_stores_wanted", "Stores that the RheaCluster asks for"),
    ready: gauge("rhea_cluster_stores_ready", "Stores that serve"),
    isReady: gauge("rhea_cluster_ready", "1 while the condition Ready holds"),
    isBlocked: gauge("rhea_cluster_blocked", "Things that the operator holds back or cannot do"),
    regions: gauge("rhea_cluster_regions", "Regions"),
    short: gauge("rhea_cluster_regions_under_replicated", "Regions without the wanted number of healthy peers"),
    dead: gauge("rhea_cluster_regions_no_quorum", "Regions that cannot write"),
    ca: gauge("rhea_cluster_ca_expiry_seconds", "Seconds until the certificate authority expires"),
    expiry: gauge("rhea_cluster_certificate_expiry_seconds", "Seconds until the first certificate in use expires"),
  };
  return {
    show(namespace, name, { storesWanted, status, certificates, wallMs }) {
      const labels = { namespace, name };
      const ready = status.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True");
      gauges.wanted.set(labels, storesWanted);
      gauges.ready.set(labels, status.replicas ?? 0);
      gauges.isReady.set(labels, ready === true ? 1 : 0);
      gauges.isBlocked.set(labels, status.blocked?.length ?? 0);
      if (status.regions !== undefined) {
        gauges.regions.set(labels, status.regions.total);
        gauges.short.set(labels, status.regions.underReplicated);
        gauges.dead.set(labels, status.regions.noQuorum);
      }
      const { caExpiresMs, nextExpiryMs } = certificates ?? {};
      if (caExpiresMs !== undefined) gauges.ca.set(labels, (caExpiresMs - wallMs) / 1000);
      if (nextExpiryMs !== undefined) gauges.expiry.set(labels, (nextExpiryMs - wallMs) / 1000);
    },
    forget(namespace, name) {
      for (const each of Object.values(gauges)) each.remove({ namespace, name });
    },
  };
}
