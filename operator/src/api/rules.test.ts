import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { CEL_RULES, type CelRule, type RheaCluster } from "./gen/rhea-cluster.js";
import { STORE_CEL_RULES, STORE_KIND, type RheaStore } from "./gen/rhea-store.js";
import { RULE_CASES, type RuleCase } from "./rule-cases.js";
import { LOCAL_RULES, LOCAL_STORE_RULES, brokenRules, brokenStoreRules } from "./rules.js";
import { schemaIssues, storeSchemaIssues } from "./schema-check.js";

const named = ({ path, rule }: { path: string; rule: string }) => `${path || "."}: ${rule}`;

function broken({ object, old }: RuleCase): readonly CelRule[] {
  return object.kind === STORE_KIND
    ? brokenStoreRules(STORE_CEL_RULES, object as RheaStore, old as RheaStore | undefined)
    : brokenRules(CEL_RULES, object as RheaCluster, old as RheaCluster | undefined);
}

/** The mistakes of form, without those of the name, which a CEL rule speaks of. */
const issuesOf = ({ object }: RuleCase) =>
  (object.kind === STORE_KIND ? storeSchemaIssues : schemaIssues)(JSON.parse(JSON.stringify(object))).filter(
    ({ path }) => path[0] !== "metadata",
  );

describe("CEL rules", () => {
  it("have the same list in the CRDs and here", () => {
    assert.deepEqual(LOCAL_RULES.map(named), CEL_RULES.map(named));
    assert.deepEqual(LOCAL_STORE_RULES.map(named), STORE_CEL_RULES.map(named));
  });

  it("read oldSelf exactly where they are transitions", () => {
    for (const { rule, isTransition } of [...LOCAL_RULES, ...LOCAL_STORE_RULES]) {
      assert.equal(rule.includes("oldSelf"), isTransition, rule);
    }
  });

  it("are never taken as kept when they are unknown", () => {
    const unknown = { path: "spec", rule: "self.suspend", message: "new" };
    assert.deepEqual(brokenRules([unknown], { spec: { stores: { replicas: 3 } } }, undefined), [unknown]);
  });

  it("name fields that the CRD has", () => {
    for (const { path, fieldPath = "", message } of CEL_RULES) {
      const field = `${path}${fieldPath}`.split(".").at(-1) ?? "";
      assert.ok(fieldPath === "" || message.includes(field), `${path}${fieldPath}: ${message}`);
    }
  });
});

describe("table of rules", () => {
  it("has names of its own for all rows", () => {
    assert.equal(new Set(RULE_CASES.map(({ name }) => name)).size, RULE_CASES.length);
  });

  it("has rows that break each rule", () => {
    const seen = new Set(RULE_CASES.flatMap(broken).map(named));
    assert.deepEqual(
      [...CEL_RULES, ...STORE_CEL_RULES].map(named).filter((rule) => !seen.has(rule)),
      [],
    );
  });

  for (const row of RULE_CASES) {
    it(`${row.name}: ${row.outcome}`, () => {
      if (row.old !== undefined) {
        assert.deepEqual(broken({ name: "old", object: row.old, outcome: "" }), [], "what was before must be right");
      }
      const messages = broken(row).map(({ message }) => message);
      if (row.outcome === "schema") {
        assert.notDeepEqual(issuesOf(row), []);
        return;
      }
      assert.deepEqual(issuesOf(row), []);
      if (row.outcome === "accepted") {
        assert.deepEqual(messages, []);
        return;
      }
      assert.equal(
        messages.length > 0 && messages.some((message) => message.includes(row.outcome)),
        true,
        messages.join(),
      );
    });
  }
});

describe("docs/kubernetes-status.md", () => {
  it("names every refusal of a RheaCluster", () => {
    const text = readFileSync(new URL("../../../docs/kubernetes-status.md", import.meta.url), "utf8");
    const phrases = [...text.matchAll(/`([^`]+)`/g)].map(([, phrase = ""]) => phrase.replace(/^\.\.\./, ""));
    const long = phrases.filter((phrase) => phrase.length > 15);
    const missing = CEL_RULES.filter(({ message }) => !long.some((phrase) => message.includes(phrase)));
    assert.deepEqual(
      missing.map(({ message }) => message),
      [],
    );
  });
});
