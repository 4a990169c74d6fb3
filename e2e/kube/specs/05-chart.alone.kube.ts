/** The chart by itself: what helm thinks of it, what it makes of values, and its life from installation to removal. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { image, installOperator, mustRun, runProgram, useLane, type KubeObject } from "../harness/index.js";

const CHARTS = fileURLToPath(new URL("../../../charts/", import.meta.url));
const CHART = `${CHARTS}rhea`;
const CRDS = ["rheaclusters.rheakv.io", "rheastores.rheakv.io"];
const NAMESPACE = "rhea-system";

interface Container {
  readonly image: string;
  readonly args?: readonly string[];
}

interface Made extends KubeObject {
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: { readonly spec: { readonly containers: readonly Container[] } };
    readonly endpoints?: readonly { readonly honorLabels?: boolean }[];
    readonly groups?: readonly { readonly rules: readonly { readonly alert: string }[] }[];
  };
  readonly rules?: readonly { readonly resources: readonly string[] }[];
}

/** Renders the chart for a Kubernetes of today. */
async function template(values: readonly string[]): Promise<readonly Made[]> {
  const command = ["template", "rhea", CHART, "--namespace", NAMESPACE, "--kube-version", "1.34.0"];
  const text = await mustRun("helm", [...command, ...values.flatMap((value) => ["--set", value])]);
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Made | null)
    .filter((object) => object !== null);
}

const ofKind = (objects: readonly Made[], kind: string) => objects.filter((object) => object.kind === kind);
const places = (objects: readonly Made[]) =>
  objects.map(({ metadata }) => `${metadata.namespace ?? ""}/${metadata.name}`).sort();

function operatorOf(objects: readonly Made[]): Container {
  const container = ofKind(objects, "Deployment")[0]?.spec?.template?.spec.containers[0];
  assert.ok(container);
  return container;
}

describe("chart", () => {
  const lane = useLane({ operator: true });
  const helm = (...args: readonly string[]) => mustRun("helm", args, { timeoutMs: 180_000 });
  const [, repository = "", tag = ""] = /^(.+):([^:/]+)$/.exec(image()) ?? [];
  const ours = ["--set-string", `image.repository=${repository}`, "--set-string", `image.tag=${tag}`];

  it("is clean for helm lint", async () => {
    await helm("lint", "--strict", CHART);
    const all = ["serviceMonitor", "podMonitor", "prometheusRule"].map((name) => `metrics.${name}.enabled=true`);
    await helm("lint", "--strict", CHART, "--set", ["replicas=2", ...all].join(","));
  });

  it("is what charts/rhea-operator.yaml was made from, and the API server takes that", async () => {
    await mustRun(process.execPath, [`${CHARTS}render-manifest.mjs`, "--check"]);
    const command = ["apply", "--dry-run=server", "--force-conflicts", "--server-side"];
    await mustRun("kubectl", [...command, "-f", `${CHARTS}rhea-operator.yaml`]);
  });

  it("takes the image from registry, tag and digest, for clusters too unless another is given", async () => {
    const digest = `sha256:${"0".repeat(64)}`;
    const plain = operatorOf(await template([]));
    assert.match(plain.image, /^rhea:\d/);
    assert.ok(plain.args?.includes(`--default-image=${plain.image}`));
    const mirrored = operatorOf(await template(["image.registry=registry.example:5000/mirror/", "image.tag=1.2"]));
    assert.equal(mirrored.image, "registry.example:5000/mirror/rhea:1.2");
    const pinned = operatorOf(await template([`image.digest=${digest}`, "image.tag=1.2", "defaultImage=other/rhea:9"]));
    assert.equal(pinned.image, `rhea@${digest}`);
    assert.ok(pinned.args?.includes("--default-image=other/rhea:9"));
  });

  it("keeps an operator for some namespaces to them", async () => {
    const objects = await template(["watchNamespaces={a,b}"]);
    assert.ok(operatorOf(objects).args?.includes("--watch-namespaces=a,b"));
    const name = "rhea-system-rhea-operator";
    assert.deepEqual(places(ofKind(objects, "Role")), [`a/${name}`, `b/${name}`, "rhea-system/rhea-operator-leader"]);
    const wide = ofKind(objects, "ClusterRole").find(({ metadata }) => metadata.name === name);
    assert.deepEqual(wide?.rules?.flatMap(({ resources }) => resources).sort(), [
      "nodes",
      "persistentvolumes",
      "storageclasses",
    ]);
  });

  it("makes a budget and spreads with two replicas, and monitors and alerts where they are wanted", async () => {
    assert.deepEqual(ofKind(await template([]), "PodDisruptionBudget"), []);
    const all = ["serviceMonitor", "podMonitor", "prometheusRule"].map((name) => `metrics.${name}.enabled=true`);
    const objects = await template(["replicas=2", ...all]);
    assert.equal(ofKind(objects, "PodDisruptionBudget").length, 1);
    assert.equal(ofKind(objects, "ServiceMonitor")[0]?.spec?.endpoints?.[0]?.honorLabels, true);
    assert.equal(ofKind(objects, "PodMonitor").length, 1);
    const groups = ofKind(objects, "PrometheusRule")[0]?.spec?.groups ?? [];
    assert.ok(groups.flatMap(({ rules }) => rules).some(({ alert }) => alert === "RheaRegionsWithoutQuorum"));
  });

  it("leaves out what is switched off", async () => {
    const off = [
      "crds.install",
      "rbac.create",
      "serviceAccount.create",
      "networkPolicy.enabled",
      "metrics.service.enabled",
    ];
    const objects = await template(off.map((key) => `${key}=false`));
    assert.deepEqual(objects.map(({ kind }) => kind).sort(), ["Deployment", "Pod"], "the pod is that of helm test");
  });

  it("refuses values that it does not know", async () => {
    for (const value of ["replica=2", "image.name=x", "metrics.serviceMonitor.enable=true", "logLevel=loud"]) {
      const { code, err } = await runProgram("helm", ["template", CHART, "--set", value]);
      assert.notEqual(code, 0, value);
      assert.match(err, /values don't meet the specifications of the schema/);
    }
  });

  it("installs a second operator for one namespace, tests, upgrades and removes it", async () => {
    const release = ["second", "--namespace", lane.namespace];
    const values = [...ours, "--set", `crds.install=false,watchNamespaces={${lane.namespace}}`];
    const notes = await helm("install", ...release, CHART, ...values, "--wait", "--timeout", "120s");
    assert.match(notes, /kubectl wait/);
    await helm("test", ...release, "--timeout", "120s");
    await helm("upgrade", ...release, CHART, ...values, "--set", "replicas=2", "--wait", "--timeout", "120s");
    await helm("uninstall", ...release, "--wait", "--timeout", "120s");
    const left = await lane.kubectl(["get", "deployment,service,role,rolebinding,networkpolicy,pdb", "-o", "name"]);
    assert.equal(left.trim(), "");
  });

  it("leaves the kinds and the clusters when it is uninstalled, and takes them over again", async () => {
    await lane.apply({
      ...{ apiVersion: "rheakv.io/v1alpha1", kind: "RheaCluster", metadata: { name: "left" } },
      spec: { mode: "Paused", stores: { replicas: 3 } },
    });
    try {
      await helm("uninstall", "rhea", "--namespace", NAMESPACE, "--wait", "--timeout", "120s");
      for (const name of CRDS) assert.ok(await lane.get("CustomResourceDefinition", name), name);
      assert.ok(await lane.get("RheaCluster", "left"));
    } finally {
      await installOperator();
    }
    for (const name of CRDS) assert.ok(await lane.get("CustomResourceDefinition", name), name);
  });
});
