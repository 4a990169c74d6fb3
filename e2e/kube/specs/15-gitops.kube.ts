/**
 * Flux's health expressions for a RheaCluster, evaluated by the API server, whose expression language is the same: they stand as rules in a kind
 * made for this, whose objects say what each must come to.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mustRun, runProgram, useLane } from "../harness/index.js";

const FLUX = new URL("../../../examples/gitops/flux/rhea.yaml", import.meta.url);
const GROUP = "test.rheakv.io";
const CRD = `fluxprobes.${GROUP}`;
const KINDS = ["inProgress", "failed", "current"] as const;

/** The expression of the example over the fields of a probe. */
function expression(kind: (typeof KINDS)[number]): string {
  const [, text] = new RegExp(`^ +${kind}: "(.+)"$`, "m").exec(readFileSync(FLUX, "utf8")) ?? [];
  assert.ok(text, kind);
  return text.replaceAll("metadata.generation", "self.generation").replace(/(?<![\w.])status\./g, "self.told.");
}

const text = { type: "string", maxLength: 50 };
const condition = { type: "object", properties: { type: text, status: text, reason: text } };
const told = {
  type: "object",
  properties: {
    observedGeneration: { type: "integer" },
    conditions: { type: "array", maxItems: 10, items: condition },
  },
};
const properties = {
  generation: { type: "integer" },
  told,
  ...Object.fromEntries(KINDS.map((kind) => [kind, { type: "boolean" }])),
};

const conditions = (ready: string, stalled: string, reason = "NotSettled") => [
  { type: "Ready", status: ready, reason },
  { type: "Stalled", status: stalled, reason: "Moving" },
];

describe("gitops", () => {
  const lane = useLane();

  before(async () => {
    const rules = KINDS.map((kind) => ({
      rule: `self.${kind} == (${expression(kind)})`,
      message: `${kind} is not as wanted`,
    }));
    const schema = { openAPIV3Schema: { type: "object", properties, "x-kubernetes-validations": rules } };
    const crd = {
      ...{ apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", metadata: { name: CRD } },
      spec: {
        ...{ group: GROUP, scope: "Namespaced", names: { kind: "FluxProbe", plural: "fluxprobes" } },
        versions: [{ name: "v1", served: true, storage: true, schema }],
      },
    };
    await mustRun("kubectl", ["apply", "-f", "-"], { input: JSON.stringify(crd) });
    await mustRun("kubectl", ["wait", "--for=condition=Established", `crd/${CRD}`, "--timeout=30s"]);
  });

  after(() => mustRun("kubectl", ["delete", "--ignore-not-found", "crd", CRD]));

  const rows: readonly (readonly [what: string, told: object, expected: readonly (typeof KINDS)[number][]])[] = [
    ["is new", { observedGeneration: -1, conditions: [] }, ["inProgress"]],
    [
      "was changed when it was ready",
      { observedGeneration: 1, conditions: conditions("True", "False") },
      ["inProgress", "current"],
    ],
    ["is settling", { observedGeneration: 2, conditions: conditions("False", "False") }, []],
    ["is ready", { observedGeneration: 2, conditions: conditions("True", "False") }, ["current"]],
    ["needs a person", { observedGeneration: 2, conditions: conditions("False", "True") }, ["failed"]],
    ["is suspended", { observedGeneration: 2, conditions: conditions("False", "False", "Suspended") }, ["current"]],
  ];
  for (const [what, status, expected] of rows) {
    it(`for Flux, which asks in this order, a cluster that ${what} is: ${expected[0] ?? "none of the three"}`, async () => {
      const probe = {
        ...{ apiVersion: `${GROUP}/v1`, kind: "FluxProbe", metadata: { name: "probe", namespace: lane.namespace } },
        ...{ generation: 2, told: status },
        ...Object.fromEntries(KINDS.map((kind) => [kind, expected.includes(kind)])),
      };
      const { code, err } = await runProgram("kubectl", ["create", "--dry-run=server", "-f", "-"], {
        input: JSON.stringify(probe),
      });
      assert.equal(code, 0, err);
    });
  }
});
