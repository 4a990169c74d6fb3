import assert from "node:assert/strict";
import { resolveCluster, type RheaCluster } from "../api/index.js";
import type { ClusterIdentity } from "./identity.js";
import { intentOf } from "./intent.js";
import { buildPdPod } from "./pd-pod.js";
import { buildStorePod } from "./store-pod.js";

const cluster: ClusterIdentity = { name: "demo", namespace: "ns", uid: "u-1", clusterId: 42 };

function rheaCluster(spec: Partial<RheaCluster["spec"]> = {}): RheaCluster {
  return { metadata: { name: "demo", namespace: "ns" }, spec: { stores: { replicas: 3 }, ...spec } };
}

function inputOf(object: RheaCluster) {
  const desired = resolveCluster(object, 1);
  return { cluster, desired, image: "rhea:1", intent: intentOf(object, "store", desired.image) };
}

function pdArgs(options: { isFirst: boolean; isInitialised: boolean; others: readonly string[] }): readonly string[] {
  const pod = buildPdPod({ ...inputOf(rheaCluster()), name: "demo-pd-1", ...options });
  return pod.spec?.containers[0]?.args ?? [];
}

describe("pod of a store", () => {
  it("is at the restricted profile, has its settings as flags, its volumes, probes and certificate", () => {
    const object = rheaCluster({
      stores: { replicas: 3, logStorage: { size: "2Gi" }, topologyKeys: ["zone"] },
      imagePullSecrets: [{ name: "registry" }],
      config: { raft: { tickMs: 50 } },
    });
    const probe = (path: string, periodSeconds: number, failureThreshold: number) => ({
      httpGet: { path, port: "status", scheme: "HTTP" },
      ...{ successThreshold: 1, periodSeconds, timeoutSeconds: 5, failureThreshold },
    });
    assert.deepEqual(buildStorePod({ ...inputOf(object), name: "demo-store-0" }), {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: "demo-store-0",
        namespace: "ns",
        labels: {
          "app.kubernetes.io/name": "rhea",
          "app.kubernetes.io/instance": "demo",
          "app.kubernetes.io/managed-by": "rhea-operator",
          "rheakv.io/cluster": "demo",
          "app.kubernetes.io/component": "store",
          "rheakv.io/store": "demo-store-0",
        },
        ownerReferences: [
          { apiVersion: "rheakv.io/v1alpha1", kind: "RheaCluster", name: "demo", uid: "u-1", controller: true },
        ],
        annotations: {
          "rheakv.io/intent": JSON.stringify({
            ...{ resources: "", nodeSelector: "", tolerations: "", restartedAt: "" },
            ...{ "raft.tickMs": "50", "raft.electionTicks": "", "raft.heartbeatTicks": "", image: "rhea:1" },
          }),
        },
      },
      spec: {
        hostname: "demo-store-0",
        subdomain: "demo-stores",
        restartPolicy: "Always",
        terminationGracePeriodSeconds: 30,
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: {
          ...{ runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532 },
          fsGroupChangePolicy: "OnRootMismatch",
          seccompProfile: { type: "RuntimeDefault" },
        },
        imagePullSecrets: [{ name: "registry" }],
        tolerations: [
          { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute" },
          { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute" },
        ],
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: "zone",
            whenUnsatisfiable: "ScheduleAnyway",
            labelSelector: {
              matchLabels: { "rheakv.io/cluster": "demo", "app.kubernetes.io/component": "store" },
            },
          },
        ],
        containers: [
          {
            name: "store",
            image: "rhea:1",
            imagePullPolicy: "IfNotPresent",
            command: ["rhea-store"],
            args: [
              "--cluster-id=42",
              "--cluster-name=demo",
              "--name=demo-store-0",
              "--address=0.0.0.0:7410",
              "--advertise-address=demo-store-0.demo-stores.ns.svc:7410",
              "--status-address=0.0.0.0:7411",
              "--pd=demo-pd.ns.svc:7400",
              "--data-dir=/var/lib/rhea/data",
              "--log-dir=/var/lib/rhea-log/log",
              "--engine=leveldb",
              "--labels=host=$(NODE_NAME)",
              "--log-level=info",
              "--raft.tick-ms=50",
              "--raft.election-ticks=8",
              "--raft.heartbeat-ticks=2",
              "--tls.ca-file=/etc/rhea/tls/ca.crt",
              "--tls.cert-file=/etc/rhea/tls/tls.crt",
              "--tls.key-file=/etc/rhea/tls/tls.key",
            ],
            env: [
              { name: "NODE_NAME", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "spec.nodeName" } } },
              { name: "UV_THREADPOOL_SIZE", value: "16" },
            ],
            ports: [
              { name: "grpc", containerPort: 7410, protocol: "TCP" },
              { name: "status", containerPort: 7411, protocol: "TCP" },
            ],
            resources: { requests: { cpu: "100m", memory: "256Mi" } },
            startupProbe: probe("/livez", 2, 300),
            livenessProbe: probe("/livez", 10, 6),
            readinessProbe: probe("/readyz", 2, 3),
            securityContext: {
              ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true },
              capabilities: { drop: ["ALL"] },
              seccompProfile: { type: "RuntimeDefault" },
            },
            terminationMessagePolicy: "FallbackToLogsOnError",
            volumeMounts: [
              { name: "data", mountPath: "/var/lib/rhea" },
              { name: "log", mountPath: "/var/lib/rhea-log" },
              { name: "tls", mountPath: "/etc/rhea/tls", readOnly: true },
              { name: "tmp", mountPath: "/tmp" },
            ],
          },
        ],
        volumes: [
          { name: "data", persistentVolumeClaim: { claimName: "data-demo-store-0" } },
          { name: "log", persistentVolumeClaim: { claimName: "log-demo-store-0" } },
          { name: "tls", secret: { secretName: "demo-store-0-tls", defaultMode: 0o440 } },
          { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
        ],
      },
    });
  });

  it("mounts no certificate and no second volume where there is none", () => {
    const pod = buildStorePod({ ...inputOf(rheaCluster({ tls: { enabled: false } })), name: "demo-store-0" });
    assert.deepEqual(
      pod.spec?.volumes?.map(({ name }) => name),
      ["data", "tmp"],
    );
    assert.ok(
      !(pod.spec.containers[0]?.args ?? []).some((arg) => arg.startsWith("--tls") || arg.startsWith("--log-dir")),
    );
  });
});

describe("pod of a PD member", () => {
  it("begins the cluster only as the first of all", () => {
    const args = pdArgs({ isFirst: true, isInitialised: false, others: [] });
    assert.ok(!args.some((arg) => arg.startsWith("--join") || arg.startsWith("--initial-state")));
  });

  it("joins the others by their own names, and by the service for when they are all replaced", () => {
    const args = pdArgs({ isFirst: false, isInitialised: false, others: ["demo-pd-0", "demo-pd-2"] });
    assert.ok(
      args.includes("--join=demo-pd-0.demo-pd.ns.svc:7400,demo-pd-2.demo-pd.ns.svc:7400,demo-pd.ns.svc:7400"),
      args.join(" "),
    );
    assert.ok(!args.some((arg) => arg.startsWith("--initial-state")));
  });

  it("stops on an empty volume once it has served", () => {
    const args = pdArgs({ isFirst: false, isInitialised: true, others: [] });
    assert.ok(args.includes("--initial-state=existing"));
  });
});
