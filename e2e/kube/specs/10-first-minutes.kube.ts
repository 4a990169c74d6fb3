/** What a newcomer does in the first ten minutes, and what the API answers to mistakes. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { RULE_CASES } from "@rhea/operator";
import {
  conditionOf,
  KubeApiError,
  note,
  operatorPods,
  runProgram,
  sleep,
  timed,
  until,
  useLane,
  type KubeObject,
  type Pod,
  type RheaClusterObject,
} from "../harness/index.js";

const EXAMPLE = fileURLToPath(new URL("../../../examples/rheacluster.yaml", import.meta.url));
const PLUGIN = fileURLToPath(new URL("../../../cli/bin/kubectl-rhea.mjs", import.meta.url));
/** Objects that the operator writes: none may change while nothing happens. */
const OWNED = [
  "Pod",
  "Service",
  "Secret",
  "PersistentVolumeClaim",
  "PodDisruptionBudget",
  "NetworkPolicy",
  "RheaCluster",
  "RheaStore",
] as const;

describe("first minutes", () => {
  const lane = useLane({ operator: true });
  const demo = () => lane.rheaCluster("demo");
  const plugin = (...args: readonly string[]) =>
    runProgram(process.execPath, [PLUGIN, "--namespace", lane.namespace, ...args]);
  const versions = async () => {
    const objects = await Promise.all(OWNED.map((kind) => lane.list<KubeObject>(kind)));
    return objects
      .flat()
      .map(({ kind, metadata }) => `${kind ?? ""} ${metadata.name} ${metadata.resourceVersion ?? ""}`);
  };

  it("kubectl apply of the example: Ready within a minute", async () => {
    const { seconds } = await timed(async () => {
      await lane.kubectl(["apply", "-f", EXAMPLE]);
      await lane.kubectl(["wait", "--for=condition=Ready", "rheacluster/demo", "--timeout=90s"], {
        timeoutMs: 100_000,
      });
    });
    note("apply to Ready", `${seconds} s`);
    assert.ok(Number(seconds) < 60, `it took ${seconds} s`);
  });

  it("kubectl get shows how it is", async () => {
    const table = await lane.kubectl(["get", "rhc,rhs"]);
    assert.match(table, /demo\s+True\s+3\s+3/);
    assert.match(table, /demo-store-2\s/);
  });

  it("a second apply of the same file changes nothing, and nobody writes while nothing happens", async () => {
    await demo().untilReady(30_000);
    // The last event of the start may still be under way: twice the same look begins the count.
    const before = await until(
      "objects are at rest",
      async () => {
        const first = await versions();
        await sleep(12_000); // counts in a status follow within ten seconds
        return String(first) === String(await versions()) ? first : undefined;
      },
      90_000,
    );
    assert.match(await lane.kubectl(["apply", "-f", EXAMPLE]), /unchanged/);
    await sleep(15_000);
    assert.deepEqual(await versions(), before);
  });

  it("rheactl in a pod with the client's Secret writes and reads", async () => {
    assert.deepEqual(await demo().rheactl(["put", "greeting", "hello"]), { code: 0, out: "" });
    assert.deepEqual(await demo().rheactl(["get", "greeting"]), { code: 0, out: "hello\n" });
  });

  it("a pod without a certificate is refused", async () => {
    const { code, out } = await lane.run("stranger", [
      "rheactl",
      "--pd",
      demo().pdAddress,
      "--timeout",
      "3000",
      "get",
      "greeting",
    ]);
    assert.notEqual(code, 0);
    assert.doesNotMatch(out, /hello/);
    note("a stranger hears", out.trim().slice(0, 160));
  });

  it("kubectl rhea reads and writes through a tunnel and tells the state", async () => {
    assert.equal((await plugin("put", "demo", "from", "outside")).code, 0);
    assert.equal((await plugin("get", "demo", "from")).out, "outside\n");
    assert.match((await plugin("status", "demo")).out, /demo: Ready for/);
    assert.equal((await plugin("plan", "demo")).out, "nothing to do\n");
    assert.match((await plugin("explain", "demo", "demo-store-0")).out, /demo-store-0 is Up/);
    const shell = await runProgram(process.execPath, [PLUGIN, "--namespace", lane.namespace, "shell", "demo"], {
      input: "put shell 1\nget shell\n",
    });
    assert.equal(shell.out, "1\n", shell.err);
  });

  it("a foreign edit is corrected", async () => {
    await lane.patch("Service", "demo-stores", {
      spec: { publishNotReadyAddresses: false },
      metadata: { labels: { "app.kubernetes.io/instance": "x" } },
    });
    await until(
      "the Service is as it was",
      async () => {
        const service = await lane.get<KubeObject & { spec: { publishNotReadyAddresses?: boolean } }>(
          "Service",
          "demo-stores",
        );
        return (
          service?.spec.publishNotReadyAddresses === true &&
          service.metadata.labels?.["app.kubernetes.io/instance"] === "demo"
        );
      },
      20_000,
    );
    await lane.remove("PodDisruptionBudget", "demo-stores");
    await until("the PodDisruptionBudget is back", () => lane.get("PodDisruptionBudget", "demo-stores"), 20_000);
    await lane.remove("RheaStore", "demo-store-1", { waitMs: 20_000 }).catch(() => undefined);
    await until("the RheaStore is back", () => lane.get("RheaStore", "demo-store-1"), 20_000);
    await demo().untilReady(90_000);
    assert.equal((await plugin("get", "demo", "from")).out, "outside\n");
  });

  it("the API accepts and refuses what the table of rules says", async () => {
    let tried = 0;
    for (const { name, old, object, outcome } of RULE_CASES) {
      const kind = object.kind === "RheaStore" ? "RheaStore" : "RheaCluster";
      const objectName = object.metadata?.name ?? "";
      const put = async (value: object, dryRun: boolean) =>
        lane.apply(value as Parameters<typeof lane.apply>[0], { dryRun, force: true });
      if (old !== undefined)
        await put({ ...old, spec: { ...old.spec, ...(kind === "RheaCluster" ? { mode: "Paused" } : {}) } }, false);
      const said = await put({ ...object, spec: { ...object.spec } }, true).then(
        () => "accepted",
        (error: unknown) =>
          error instanceof KubeApiError
            ? error.message
            : Promise.reject(error instanceof Error ? error : new Error(String(error))),
      );
      const isAsSaid =
        outcome === "accepted"
          ? said === "accepted"
          : outcome === "schema"
            ? said !== "accepted"
            : said.includes(outcome);
      assert.ok(isAsSaid, `${name}: wanted ${outcome}, the API server said: ${said}`);
      if (old !== undefined) await lane.remove(kind, objectName, { waitMs: 10_000 });
      tried++;
    }
    note("rules tried on the API server", String(tried));
  });

  it("an image that cannot be pulled shows as Blocked with the fix", async () => {
    const lost = lane.rheaCluster("lost");
    await lost.apply({
      image: "rhea:no-such-tag",
      pd: { replicas: 1 },
      stores: { replicas: 3, storage: { size: "1Gi" } },
    });
    const cluster = await lost.until(
      "is Blocked by its image",
      (c) => /image/.test(conditionOf(c, "Blocked")?.message ?? ""),
      60_000,
    );
    assert.match(conditionOf(cluster, "Blocked")?.message ?? "", /no-such-tag/);
    assert.notEqual(conditionOf(cluster, "Ready")?.status, "True");
    await lost.remove();
  });

  it("a storage class that does not exist shows as Blocked with the fix", async () => {
    const lost = lane.rheaCluster("classless");
    await lost.apply({
      pd: { replicas: 1, storage: { size: "1Gi", className: "nowhere" } },
      stores: { replicas: 3, storage: { size: "1Gi", className: "nowhere" } },
    });
    const cluster = await lost.until(
      "is Blocked by its storage",
      (c) => /nowhere|StorageClass/.test(conditionOf(c, "Blocked")?.message ?? ""),
      60_000,
    );
    note("Blocked says", (conditionOf(cluster, "Blocked")?.message ?? "").slice(0, 160));
    await lost.remove();
  });

  it("the operator's metrics have controller-runtime's names", async () => {
    const [pod] = await operatorPods();
    const ip = (pod as (Pod & { status: { podIP: string } }) | undefined)?.status.podIP ?? "";
    const metrics = await (await fetch(`http://${ip}:8081/metrics`)).text();
    for (const name of [
      "controller_runtime_reconcile_total",
      "workqueue_depth",
      "rest_client_requests_total",
      "leader_election_master_status",
    ]) {
      assert.match(metrics, new RegExp(`^${name}`, "m"));
    }
  });

  it("deleting the cluster keeps its volumes, and a cluster of the same name has its data back", async () => {
    const claims = async () =>
      (await lane.list<KubeObject>("PersistentVolumeClaim", "rheakv.io/cluster=demo")).map(
        ({ metadata }) => metadata.uid,
      );
    const before = await claims();
    await demo().remove();
    assert.deepEqual(await claims(), before);
    const { seconds } = await timed(async () => {
      await lane.kubectl(["apply", "-f", EXAMPLE]);
      await demo().untilReady(90_000);
    });
    note("adopting the volumes to Ready", `${seconds} s`);
    assert.equal((await plugin("get", "demo", "from")).out, "outside\n");
  });

  it("with deletionPolicy Delete the volumes go with the cluster", async () => {
    await lane.patch<RheaClusterObject>("RheaCluster", "demo", { spec: { deletionPolicy: "Delete" } });
    await demo().untilReady(60_000);
    await demo().remove();
    await until(
      "no volume is left",
      async () => (await lane.list("PersistentVolumeClaim", "rheakv.io/cluster=demo")).length === 0,
      60_000,
    );
  });
});
