/** Metrics under the names of controller-runtime and client-go, so that their dashboards and alerts fit. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Informer, KubeObject, RequestReport } from "../kube/index.js";

/** What a queue tells of itself. */
export interface QueueMetrics {
  depth(keys: number): void;
  added(): void;
  retried(): void;
  /** A key was taken after `seconds` in the queue. */
  taken(seconds: number): void;
  /** Work on a key ended after `seconds`. */
  finished(seconds: number): void;
}

/** The outcome of one reconcile, in controller-runtime's words. */
export type ReconcileOutcome = "success" | "error" | "requeue_after";

/** The metrics of one process. */
export interface RuntimeMetrics {
  readonly registry: Registry;
  queue(name: string): QueueMetrics;
  reconciled(controller: string, outcome: ReconcileOutcome, seconds: number): void;
  /** Goes into `onRequest` of a client. */
  requested(report: RequestReport): void;
  /** Sets whether this process leads. */
  leads(name: string, isLeader: boolean): void;
  /** Shows lists, watches and failures of an informer. */
  informer(informer: Pick<Informer<KubeObject>, "resource" | "counters">): void;
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const QUEUE_SECONDS = [1e-4, 1e-3, 1e-2, 0.1, 1, 10, 60, 600];

/** Makes the metrics in `registry` (default a new one), which must not have them yet. */
export function createRuntimeMetrics(registry = new Registry()): RuntimeMetrics {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> =>
    new Counter({ name, help, labelNames, registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> =>
    new Gauge({ name, help, labelNames, registers });
  const histogram = <L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets: number[],
  ): Histogram<L> => new Histogram({ name, help, labelNames, buckets, registers });

  const depth = gauge("workqueue_depth", "Keys that wait in a work queue", ["name"]);
  const adds = counter("workqueue_adds_total", "Keys added to a work queue", ["name"]);
  const retries = counter("workqueue_retries_total", "Keys added again after a failure", ["name"]);
  const queued = histogram(
    "workqueue_queue_duration_seconds",
    "Seconds a key waits before work on it starts",
    ["name"],
    QUEUE_SECONDS,
  );
  const worked = histogram(
    "workqueue_work_duration_seconds",
    "Seconds that work on a key takes",
    ["name"],
    QUEUE_SECONDS,
  );
  const reconciles = counter("controller_runtime_reconcile_total", "Reconciles by outcome", ["controller", "result"]);
  const errors = counter("controller_runtime_reconcile_errors_total", "Reconciles that failed", ["controller"]);
  const seconds = histogram(
    "controller_runtime_reconcile_time_seconds",
    "Seconds that a reconcile takes",
    ["controller"],
    SECONDS,
  );
  const requests = counter("rest_client_requests_total", "Requests to the Kubernetes API by status, method and host", [
    "code",
    "method",
    "host",
  ]);
  const requestSeconds = histogram(
    "rest_client_request_duration_seconds",
    "Seconds until the head of the Kubernetes API's answer",
    ["verb", "host"],
    SECONDS,
  );
  const master = gauge("leader_election_master_status", "1 while this process leads", ["name"]);

  const informers: Pick<Informer<KubeObject>, "resource" | "counters">[] = [];
  new Gauge({
    name: "rhea_informer_operations",
    help: "Lists, watches, events and failures of each informer since the start",
    labelNames: ["resource", "operation"],
    registers,
    collect() {
      for (const { resource, counters } of informers) {
        for (const operation of ["lists", "watches", "events", "failures"] as const) {
          this.set({ resource: resource.plural, operation }, counters[operation]);
        }
      }
    },
  });

  return {
    registry,
    queue: (name) => ({
      depth: (keys) => depth.set({ name }, keys),
      added: () => adds.inc({ name }),
      retried: () => retries.inc({ name }),
      taken: (waited) => queued.observe({ name }, waited),
      finished: (took) => worked.observe({ name }, took),
    }),
    reconciled(controller, outcome, took) {
      reconciles.inc({ controller, result: outcome });
      if (outcome === "error") errors.inc({ controller });
      seconds.observe({ controller }, took);
    },
    requested({ verb, method, status, host, seconds: took }) {
      requests.inc({ code: status === 0 ? "<error>" : String(status), method, host });
      requestSeconds.observe({ verb, host }, took);
    },
    leads: (name, isLeader) => master.set({ name }, isLeader ? 1 : 0),
    informer: (informer) => void informers.push(informer),
  };
}
