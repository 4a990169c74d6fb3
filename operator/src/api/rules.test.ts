import assert from "node:assert/strict";
import { CEL_RULES } from "./gen/rhea-cluster.js";
import { LOCAL_RULES, brokenRules } from "./rules.js";

const named = ({ path, rule }: { path: string; rule: string }) => `${path || "."}: ${rule}`;

describe("CEL rules", () => {
  it("have the same list in the CRD and here", () => {
    assert.deepEqual(LOCAL_RULES.map(named), CEL_RULES.map(named));
  });

  it("read oldSelf exactly where they are transitions", () => {
    for (const { rule, isTransition } of LOCAL_RULES) assert.equal(rule.includes("oldSelf"), isTransition, rule);
  });

  it("are never taken as kept when they are unknown", () => {
    const unknown = { path: "spec", rule: "self.suspend", message: "new" };
    assert.deepEqual(brokenRules([unknown], { spec: { stores: { replicas: 3 } } }, undefined), [unknown]);
  });
});
