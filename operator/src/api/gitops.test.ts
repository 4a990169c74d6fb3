import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parse, parseAllDocuments } from "yaml";
import { parseClusterFile } from "./cluster-file.js";
import { RHEA_CLUSTER_SCHEMA } from "./gen/rhea-cluster.js";
import { RHEA_STORE_SCHEMA } from "./gen/rhea-store.js";

const GITOPS = new URL("../../../examples/gitops/", import.meta.url);
const read = (name: string) => readFileSync(new URL(name, GITOPS), "utf8");

/** What is used of fengari, a Lua interpreter without types of its own. A state and a string of Lua are opaque here. */
interface Fengari {
  readonly lua: {
    lua_newtable(state: unknown): void;
    lua_pop(state: unknown, count: number): void;
    lua_pushboolean(state: unknown, value: boolean): void;
    lua_pushnumber(state: unknown, value: number): void;
    lua_pushstring(state: unknown, value: unknown): void;
    lua_seti(state: unknown, index: number, key: number): void;
    lua_setfield(state: unknown, index: number, key: unknown): void;
    lua_setglobal(state: unknown, key: unknown): void;
    lua_getfield(state: unknown, index: number, key: unknown): void;
    lua_tojsstring(state: unknown, index: number): string;
  };
  readonly lauxlib: { luaL_newstate(): unknown; luaL_dostring(state: unknown, code: unknown): boolean | number };
  readonly lualib: { luaL_openlibs(state: unknown): void };
  readonly to_luastring: (text: string) => unknown;
}

const { lua, lauxlib, lualib, to_luastring: luaString } = createRequire(import.meta.url)("fengari") as Fengari;

function push(state: unknown, value: unknown): void {
  switch (typeof value) {
    case "string":
      lua.lua_pushstring(state, luaString(value));
      return;
    case "number":
      lua.lua_pushnumber(state, value);
      return;
    case "boolean":
      lua.lua_pushboolean(state, value);
      return;
    default:
      lua.lua_newtable(state);
      for (const [key, child] of Object.entries(value as object)) {
        push(state, child);
        if (Array.isArray(value)) lua.lua_seti(state, -2, Number(key) + 1);
        else lua.lua_setfield(state, -2, luaString(key));
      }
  }
}

/** Runs a health script as Argo CD does: the object is the global `obj`, the answer a table. */
function health(kind: string, object: unknown): string {
  const { data } = parse(read("argocd/argocd-cm.yaml")) as { readonly data: Readonly<Record<string, string>> };
  const script = data[`resource.customizations.health.rheakv.io_${kind}`];
  assert.ok(script);
  const state = lauxlib.luaL_newstate();
  lualib.luaL_openlibs(state);
  push(state, object);
  lua.lua_setglobal(state, luaString("obj"));
  const failed = lauxlib.luaL_dostring(state, luaString(script));
  if (failed !== false && failed !== 0) throw new Error(lua.lua_tojsstring(state, -1));
  const field = (name: string) => {
    lua.lua_getfield(state, -1, luaString(name));
    const text = lua.lua_tojsstring(state, -1);
    lua.lua_pop(state, 1);
    return text;
  };
  return `${field("status")}: ${field("message")}`;
}

type Statuses = Readonly<Record<string, "True" | "False" | "Unknown">>;

function cluster(spec: object, conditions: Statuses | undefined, observedGeneration = 2): unknown {
  return {
    metadata: { name: "demo", generation: 2 },
    spec: { stores: { replicas: 3 }, ...spec },
    status: {
      observedGeneration,
      ...(conditions === undefined
        ? {}
        : {
            conditions: Object.entries(conditions).map(([type, status]) => ({ type, status, message: `the ${type}` })),
          }),
    },
  };
}

const SETTLING: Statuses = { Ready: "False", Stalled: "False", QuorumHealthy: "True", Blocked: "False" };

describe("health of a RheaCluster in Argo CD", () => {
  const rows: readonly (readonly [what: string, object: unknown, expected: string])[] = [
    ["not looked at", { metadata: { generation: 1 }, spec: {} }, "Progressing: the operator has not looked"],
    ["new, with the default status", cluster({}, undefined, -1), "Progressing: the operator has not looked"],
    ["changed since", cluster({}, { ...SETTLING, Ready: "True" }, 1), "Progressing: the operator has not looked"],
    ["ready", cluster({}, { ...SETTLING, Ready: "True" }), "Healthy: the Ready"],
    ["ready and paused", cluster({ mode: "Paused" }, { ...SETTLING, Ready: "True" }), "Healthy: the Ready"],
    ["on its way", cluster({}, SETTLING), "Progressing: the Ready"],
    ["held up for now", cluster({}, { ...SETTLING, Blocked: "True" }), "Progressing: the Blocked"],
    ["stalled", cluster({}, { ...SETTLING, Blocked: "True", Stalled: "True" }), "Degraded: the Stalled"],
    ["without a quorum", cluster({}, { ...SETTLING, QuorumHealthy: "False" }), "Degraded: the QuorumHealthy"],
    ["not known yet", cluster({}, { ...SETTLING, QuorumHealthy: "Unknown" }), "Progressing: the Ready"],
    ["suspended", cluster({ suspend: true }, { ...SETTLING, QuorumHealthy: "Unknown" }), "Suspended: suspended"],
    ["awake again", cluster({ suspend: false }, SETTLING), "Progressing: the Ready"],
    ["in mode Plan", cluster({ mode: "Plan" }, SETTLING), "Suspended: mode Plan: the Ready"],
    ["in mode Reconcile", cluster({ mode: "Reconcile" }, SETTLING), "Progressing: the Ready"],
  ];
  for (const [what, object, expected] of rows) {
    it(`${what}: ${expected}`, () => {
      assert.ok(health("RheaCluster", object).startsWith(expected), health("RheaCluster", object));
    });
  }

  it("reads conditions that the CRD describes", () => {
    const text = JSON.stringify(RHEA_CLUSTER_SCHEMA);
    for (const type of Object.keys(SETTLING)) assert.ok(text.includes(type), type);
  });
});

describe("health of a RheaStore in Argo CD", () => {
  const expected: Readonly<Record<string, string>> = {
    ...{ Pending: "Progressing", Starting: "Progressing", Up: "Healthy", Silent: "Progressing", Down: "Degraded" },
    ...{ Dead: "Degraded", Draining: "Progressing", Removed: "Progressing" },
  };

  it("is there for every state of the CRD", () => {
    assert.ok(JSON.stringify(RHEA_STORE_SCHEMA).includes(JSON.stringify(Object.keys(expected))));
  });

  for (const [state, status] of Object.entries(expected)) {
    it(`${state} is ${status}`, () => {
      const object = { spec: {}, status: { state, ready: state === "Up", message: "why" } };
      assert.equal(health("RheaStore", object), `${status}: ${state}: why`);
    });
  }

  it("a store that the operator has not looked at is Progressing", () => {
    assert.match(health("RheaStore", { spec: {} }), /^Progressing: /);
  });
});

describe("gitops examples", () => {
  it("are YAML, with a cluster that is right", () => {
    parseClusterFile("demo.yaml", read("clusters/demo.yaml"));
    for (const name of ["argocd/argocd-cm.yaml", "argocd/applications.yaml", "flux/rhea.yaml"]) {
      for (const document of parseAllDocuments(read(name))) assert.deepEqual(document.errors, [], name);
    }
  });
});
