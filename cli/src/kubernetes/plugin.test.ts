import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import type { Admin, RheaClient } from "@rhea/client";
import type { KubeObject } from "@rhea/operator/kube";
import type { Target } from "../environment.js";
import { runPlugin } from "./plugin.js";

const NOW = Date.parse("2026-01-01T00:10:00Z");
const SINCE = "2026-01-01T00:00:00Z";

/** Objects by plural. */
type World = Record<string, KubeObject[]>;

function world(): World {
  const labels = { "rheakv.io/cluster": "demo" };
  const pod = (name: string, component: string, subdomain: string) => ({
    metadata: { name, namespace: "ns", labels: { ...labels, "app.kubernetes.io/component": component } },
    spec: { subdomain, nodeName: "node-1" },
    status: { phase: "Running", containerStatuses: [{ restartCount: name === "demo-store-0" ? 1 : 0 }] },
  });
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  return {
    rheaclusters: [
      {
        metadata: { name: "demo", namespace: "ns", generation: 2 },
        spec: { stores: { replicas: 3 } },
        status: {
          observedGeneration: 2,
          clusterId: 77,
          conditions: [
            {
              type: "Ready",
              status: "False",
              reason: "NotSettled",
              message: "2 of 3 stores serve",
              lastTransitionTime: SINCE,
            },
            {
              type: "Blocked",
              status: "True",
              reason: "Held",
              message: "demo-store-2: no image",
              lastTransitionTime: SINCE,
            },
          ],
          pd: { ready: true, leader: "demo-pd-0", list: [{ name: "demo-pd-0", ready: true }] },
          stores: [
            {
              name: "demo-store-0",
              id: 3,
              state: "Up",
              ready: true,
              leaders: 1,
              regions: 1,
              pendingPeers: 0,
              node: "node-1",
            },
            { name: "demo-store-2", state: "Pending", ready: false, message: "no image" },
          ],
          regions: { total: 1, underReplicated: 1, noQuorum: 0 },
          blocked: [{ object: "demo-store-2", reason: "no image", since: SINCE }],
          plan: [{ action: "drain demo-store-0", reason: "3 too many", proof: "3 live stores", undo: "raise it" }],
        },
      } as KubeObject,
    ],
    rheastores: ["demo-store-0", "demo-store-2"].map((name) => ({
      metadata: { name, namespace: "ns", labels },
      spec: { clusterName: "demo", ordinal: Number(name.slice(-1)) },
    })),
    pods: [pod("demo-pd-0", "pd", "demo-pd"), pod("demo-store-0", "store", "demo-stores")] as KubeObject[],
    secrets: [
      {
        metadata: { name: "demo-client", namespace: "ns" },
        data: { "ca.crt": base64("CA"), "tls.crt": base64("CERT"), "tls.key": base64("KEY") },
      } as KubeObject,
    ],
    events: [
      {
        metadata: { name: "e", creationTimestamp: SINCE },
        regarding: { name: "demo-store-2" },
        type: "Warning",
        reason: "Failed",
        note: "cannot pull",
      } as KubeObject,
    ],
    persistentvolumeclaims: [],
    nodes: [],
  };
}

describe("kubectl rhea", () => {
  let objects: World;
  let patches: { name: string; patch: object }[];
  let targets: (Target & { readonly files: readonly string[]; readonly dialled: string | undefined })[];
  let values: Map<string, string>;
  let cwd: string;

  beforeEach(() => {
    objects = world();
    patches = [];
    targets = [];
    values = new Map();
    cwd = mkdtempSync(join(tmpdir(), "rhea-plugin-test-"));
  });
  afterEach(() => rmSync(cwd, { recursive: true, force: true }));

  async function plugin(args: readonly string[], input = "") {
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    const note = (target: Target) => {
      const { caFile, certFile, keyFile } = target.tls ?? { caFile: "", certFile: "", keyFile: "" };
      const files = [caFile, certFile, keyFile].map((file) => readFileSync(file, "utf8"));
      targets.push({ ...target, files, dialled: target.dial?.("demo-store-0.demo-stores.ns.svc:7410") });
    };
    const client = {
      get: async (key: string) => (values.has(key) ? Buffer.from(values.get(key) ?? "") : undefined),
      put: async (key: string, value: Buffer) => void values.set(key, value.toString()),
      close: async () => undefined,
    } as unknown as RheaClient;
    const code = await runPlugin(args, {
      cli: {
        ...{ env: {}, cwd, projectRoot: cwd, stdin: Readable.from([input]), stdout, stderr, isTerminal: false },
        connect: async (target) => {
          note(target);
          return client;
        },
        connectAdmin: async (target) => {
          note(target);
          return { close: () => undefined } as Admin;
        },
        now: () => 0,
        sleep: async () => undefined,
      },
      openKube: ({ namespace = "ns" }) => ({
        namespace,
        client: {
          find: async (resource, { name }) =>
            (objects[resource.plural] ?? []).find(({ metadata }) => metadata?.name === name) as never,
          list: async (resource) => ({ items: (objects[resource.plural] ?? []) as never[], resourceVersion: "1" }),
          mergePatch: async (_resource, { name }, patch) => {
            patches.push({ name, patch });
            return {} as never;
          },
          podLog: async ({ name }, options) =>
            `log of ${name}${options?.previous === true ? ", the run before" : ""}\n`,
        },
        forward: () => Promise.reject(new Error("not here")),
        close: () => undefined,
      }),
      wallMs: () => NOW,
    });
    const read = (stream: PassThrough) => String(stream.read() ?? "");
    return { code, out: read(stdout), err: read(stderr) };
  }

  it("shows conditions with their age, members, stores and what is held back", async () => {
    const { code, out } = await plugin(["status", "demo"]);
    assert.equal(code, 0);
    for (const part of [
      "ns/demo: not Ready for 10 min",
      "2 of 3 stores serve",
      "demo-pd-0  leads",
      "demo-store-2",
      "blocked: demo-store-2: no image (for 10 min)",
    ]) {
      assert.ok(out.includes(part), `${part} is missing in:\n${out}`);
    }
  });

  it("says that a change has not been seen yet", async () => {
    Object.assign(objects["rheaclusters"]?.[0]?.metadata ?? {}, { generation: 3 });
    assert.match((await plugin(["status", "demo"])).out, /has not seen the last change/);
  });

  it("prints the plan with reason, proof and undo", async () => {
    const { out } = await plugin(["plan", "demo"]);
    assert.equal(out, "drain demo-store-0\n  why:   3 too many\n  proof: 3 live stores\n  undo:  raise it\n");
  });

  it("explains a store by its state, pod and events", async () => {
    const { out } = await plugin(["explain", "demo", "demo-store-2"]);
    assert.match(out, /demo-store-2 is Pending: no image/);
    assert.match(out, /pod demo-store-2: there is none/);
    assert.match(out, /Warning {2}demo-store-2 {2}Failed: cannot pull/);
  });

  it("names the clusters that there are when one is not found", async () => {
    const { code, err } = await plugin(["status", "other"]);
    assert.equal(code === 0, false);
    assert.match(err, /RheaCluster other in namespace ns: not found, there is demo/);
  });

  it("drains through the store's record, and takes it back", async () => {
    assert.equal((await plugin(["drain", "demo", "demo-store-0"])).code, 0);
    assert.deepEqual(patches, [{ name: "demo-store-0", patch: { spec: { drain: true } } }]);
    const undone = await plugin(["undo", "demo", "demo-store-0"]);
    assert.match(undone.out, /raising spec.stores.replicas/); // nobody had asked for a drain
    assert.equal(patches.length, 1);
    assert.match((await plugin(["drain", "demo", "demo-store-7"])).err, /there is demo-store-0, demo-store-2/);
  });

  it("asks for a restart by an annotation with the time", async () => {
    await plugin(["restart", "demo"]);
    const at = new Date(NOW).toISOString();
    assert.deepEqual(patches, [
      { name: "demo", patch: { metadata: { annotations: { "rheakv.io/restarted-at": at } } } },
    ]);
  });

  it("runs rheactl's commands with the cluster's certificate, id and pod addresses, and leaves no key behind", async () => {
    assert.equal((await plugin(["put", "demo", "a", "1"])).code, 0);
    assert.equal((await plugin(["get", "demo", "a"])).out, "1\n");
    const [target] = targets;
    assert.deepEqual(target?.pd, ["demo-pd-0.demo-pd.ns.svc:7400"]);
    assert.equal(target.clusterId, 77);
    assert.deepEqual(target.files, ["CA", "CERT", "KEY"]);
    assert.match(target.dialled ?? "", /^unix:/);
    assert.equal(existsSync(target.tls?.keyFile ?? ""), false);
  });

  it("passes options of rheactl's commands on, and their exit codes back", async () => {
    values.set("a", "1");
    assert.equal((await plugin(["get", "demo", "a", "--base64"])).out, "MQ==\n");
    assert.equal((await plugin(["get", "demo", "absent"])).code, 1);
  });

  it("runs many commands of a shell over one connection", async () => {
    const { code, out } = await plugin(["shell", "demo"], "put a 'b c'\nget a\n\nget 'oops\nget a\nexit\nget never\n");
    assert.equal(code, 0);
    assert.equal(out, "b c\nb c\n");
    assert.equal(targets.length, 1);
  });

  it("says that nothing needs recovery while every region has a quorum", async () => {
    assert.match((await plugin(["recover", "demo"])).out, /every one of its 1 regions has a quorum/);
  });

  it("collects a report with the logs of runs before, and without secrets", async () => {
    const { out } = await plugin(["report", "demo"]);
    const root = out.trim();
    const files = readdirSync(root).sort();
    assert.deepEqual(files, [
      ...["demo-pd-0.log", "demo-store-0.log", "demo-store-0.previous.log", "events.json", "nodes.json"],
      ...["persistentvolumeclaims.json", "pods.json", "rheacluster.json", "rheastores.json"],
    ]);
    for (const file of files) assert.doesNotMatch(readFileSync(join(root, file), "utf8"), /S0VZ|KEY/);
  });
});
