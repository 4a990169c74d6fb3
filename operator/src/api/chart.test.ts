import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Ajv } from "ajv";
import { parse, parseAllDocuments } from "yaml";

const ROOT = new URL("../../../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), "utf8");

type Tree = Readonly<Record<string, unknown>>;
const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value);

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

interface Deployment extends Manifest {
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: {
        readonly securityContext: Tree;
        readonly containers: readonly { readonly args: readonly string[]; readonly securityContext: Tree }[];
      };
    };
  };
}

interface Role extends Manifest {
  readonly rules: readonly { readonly apiGroups: string[]; readonly resources: string[]; readonly verbs: string[] }[];
}

const schema = JSON.parse(read("charts/rhea/values.schema.json")) as Tree;
const values = parse(read("charts/rhea/values.yaml")) as Tree;
const check = new Ajv({ strict: false, allErrors: true }).compile(schema);

/** What the chart makes with its default values, as one file. That it is up to date is checked where helm is. */
const manifests = parseAllDocuments(read("charts/rhea-operator.yaml")).map((document) => document.toJS() as Manifest);
const named = (kind: string, name: string): Manifest => {
  const found = manifests.find((each) => each.kind === kind && each.metadata.name === name);
  assert.ok(found, `${kind} ${name}`);
  return found;
};

describe("values of the chart", () => {
  it("have defaults that the schema accepts", () => {
    assert.ok(check(values), JSON.stringify(check.errors));
  });

  it("are the same in the schema and in the defaults", () => {
    const compare = (node: Tree, defaults: Tree, path: string): void => {
      const properties = node["properties"];
      if (!isTree(properties)) return;
      const keys = Object.keys(properties).filter((key) => key !== "global");
      assert.deepEqual(keys.sort(), Object.keys(defaults).sort(), path);
      for (const key of keys) {
        const [child, value] = [properties[key], defaults[key]];
        if (isTree(child) && isTree(value)) compare(child, value, `${path}.${key}`);
      }
    };
    const { resources: _resources, ...others } = values;
    const { resources: _, ...properties } = schema["properties"] as Tree;
    compare({ ...schema, properties }, others, "values");
  });

  it("refuse unknown keys everywhere", () => {
    const refuse = (node: unknown, wrap: (value: Tree) => Tree, path: string): void => {
      if (!isTree(node) || !isTree(node["properties"])) return;
      assert.equal(check(wrap({ unheardOf: 1 })), false, path);
      for (const [key, child] of Object.entries(node["properties"])) {
        refuse(child, (value) => wrap({ [key]: value }), `${path}.${key}`);
      }
    };
    refuse(schema, (value) => value, "values");
  });

  const wrong: readonly (readonly [what: string, values: Tree])[] = [
    ["a tag that is none", { image: { tag: "a b" } }],
    ["a short digest", { image: { digest: "sha256:12" } }],
    ["three operators", { replicas: 3 }],
    ["a namespace twice", { watchNamespaces: ["a", "a"] }],
    ["an unknown log level", { logLevel: "trace" }],
    ["a repository with a tag", { image: { repository: "rhea:1" } }],
  ];
  for (const [what, value] of wrong) it(`refuse ${what}`, () => assert.equal(check(value), false));
});

describe("the operator in one file", () => {
  it("has the CRDs as they are", () => {
    for (const file of ["rheacluster.yaml", "rheastore.yaml"]) {
      const crd = parse(read(`crds/${file}`)) as Manifest & { readonly spec: unknown };
      assert.deepEqual((named("CustomResourceDefinition", crd.metadata.name) as typeof crd).spec, crd.spec);
    }
  });

  it("keeps to the restricted profile", () => {
    const { securityContext, containers } = (named("Deployment", "rhea-operator") as Deployment).spec.template.spec;
    assert.deepEqual(securityContext, {
      ...{ runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532 },
      seccompProfile: { type: "RuntimeDefault" },
    });
    assert.deepEqual(containers[0]?.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
  });

  it("calls the operator with flags that it has, and by the name that the policies of clusters let in", () => {
    const { metadata, spec } = (named("Deployment", "rhea-operator") as Deployment).spec.template;
    const main = read("operator/src/bin/rhea-operator.ts");
    for (const argument of spec.containers[0]?.args ?? []) {
      const [flag = ""] = argument.split("=", 1);
      assert.ok(main.includes(`"${flag} <`), flag);
    }
    const name = metadata.labels["app.kubernetes.io/name"] ?? "";
    assert.ok(read("operator/src/specs/network-policy.ts").includes(`"app.kubernetes.io/name": "${name}"`), name);
  });

  it("gives the operator the rights that it uses and no more", () => {
    const rights = (name: string) =>
      (named(name.endsWith("leader") ? "Role" : "ClusterRole", name) as Role).rules.flatMap(
        ({ apiGroups, resources, verbs }) =>
          resources.map((resource) => `${apiGroups.join()}/${resource}: ${verbs.join(" ")}`),
      );
    const READ = "get list watch";
    const WRITE = `${READ} create patch delete`;
    assert.deepEqual(rights("rhea-system-rhea-operator").sort(), [
      `/nodes: ${READ}`,
      `/persistentvolumeclaims: ${WRITE}`,
      `/persistentvolumes: ${READ}`,
      `/pods: ${WRITE}`,
      `/secrets: ${WRITE}`,
      `/services: ${WRITE}`,
      "events.k8s.io/events: create patch",
      `networking.k8s.io/networkpolicies: ${WRITE}`,
      `policy/poddisruptionbudgets: ${WRITE}`,
      "rheakv.io/rheaclusters/status: patch",
      `rheakv.io/rheaclusters: ${READ}`,
      "rheakv.io/rheastores/status: patch",
      `rheakv.io/rheastores: ${WRITE}`,
      `storage.k8s.io/storageclasses: ${READ}`,
    ]);
    assert.deepEqual(rights("rhea-operator-leader"), [
      "coordination.k8s.io/leases: get create update",
      "events.k8s.io/events: create patch",
    ]);
  });
});
