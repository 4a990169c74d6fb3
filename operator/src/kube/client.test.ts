import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { RheaError } from "@rhea/common";
import nock from "nock";
import type { RequestReport } from "./call.js";
import { createKubeClient, type KubeClient } from "./client.js";
import type { ConfigMap } from "./objects.js";
import { RESOURCES } from "./resources.js";
import { endpointAt, until, VirtualTime } from "./virtual-time.js";

const SERVER = "https://kube.test";
const PATH = "/api/v1/namespaces/ns/configmaps";
const KEY = { namespace: "ns", name: "a" };

function configMap(name: string, resourceVersion = "1"): ConfigMap {
  return { metadata: { namespace: "ns", name, resourceVersion, uid: `uid-${name}` } };
}

function status(code: number, reason: string, message: string): object {
  return { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message };
}

function page(names: readonly string[], resourceVersion: string, next?: string): object {
  return {
    kind: "ConfigMapList",
    metadata: { resourceVersion, ...(next === undefined ? {} : { continue: next }) },
    items: names.map((name) => configMap(name)),
  };
}

async function rejected(work: Promise<unknown>): Promise<RheaError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert(error instanceof RheaError, "should have failed");
  return error;
}

describe("kube client", () => {
  let time: VirtualTime;
  let client: KubeClient;
  let reports: RequestReport[];

  function clientAt(server: string, tokens?: readonly string[], maxResponseBytes?: number): KubeClient {
    return createKubeClient(endpointAt(server, tokens), {
      clock: time.clock,
      scheduler: time.scheduler,
      rng: time.rng,
      fieldManager: "rhea-operator",
      onRequest: (report) => reports.push(report),
      ...(maxResponseBytes === undefined ? {} : { maxResponseBytes }),
    });
  }

  beforeEach(() => {
    nock.disableNetConnect();
    time = new VirtualTime();
    reports = [];
    client = clientAt(SERVER);
  });

  afterEach(() => {
    nock.abortPendingRequests();
    nock.cleanAll();
    nock.enableNetConnect();
  });

  it("waits as long as Retry-After of a 429 says, for writes too", async () => {
    nock(SERVER)
      .post(PATH)
      .query(true)
      .reply(429, status(429, "TooManyRequests", "busy"), { "Retry-After": "7" })
      .post(PATH)
      .query(true)
      .reply(201, configMap("a"));
    const creating = client.create(RESOURCES.configMaps, configMap("a"));
    await until(() => time.delays.includes(7_000), "the wait");
    await time.advance(6_999);
    assert.equal(reports.length, 1);
    await time.advance(1);
    assert.equal((await creating).metadata?.name, "a");
    assert.deepEqual(
      reports.map(({ verb, status: code, host, resource }) => [verb, code, host, resource]),
      [
        ["create", 429, "kube.test", "configmaps"],
        ["create", 201, "kube.test", "configmaps"],
      ],
    );
  });

  it("gives a 429 to the caller when its Retry-After is beyond the call's time", async () => {
    nock(SERVER).get(`${PATH}/a`).reply(429, "slow down", { "Retry-After": "60" });
    const error = await rejected(client.get(RESOURCES.configMaps, KEY));
    assert.equal(error.code, "SERVER_BUSY");
    assert.equal(error.details.retryAfterMs, 60_000);
    assert.match(error.message, /slow down/);
  });

  it("repeats reads and applies after a 500, with growing waits", async () => {
    nock(SERVER)
      .get(`${PATH}/a`)
      .times(2)
      .reply(500, status(500, "InternalError", "etcd"))
      .get(`${PATH}/a`)
      .reply(200, configMap("a"));
    const getting = client.get(RESOURCES.configMaps, KEY);
    await until(() => time.delays.length === 2, "the first wait");
    const first = time.delays[0] ?? 0;
    await time.advance(first);
    await until(() => reports.length === 2 && time.delays.length === 2, "the second wait");
    const second = time.delays[0] ?? 0;
    assert(first >= 100 && first < 200 && second >= 200 && second < 400, `${first} ${second}`);
    await time.advance(second);
    await getting;
    nock(SERVER)
      .patch(`${PATH}/a`)
      .query(true)
      .reply(503, "")
      .patch(`${PATH}/a`)
      .query(true)
      .reply(200, configMap("a"));
    const applying = client.apply(RESOURCES.configMaps, configMap("a"));
    await until(() => reports.length === 4, "the failed apply");
    await time.advance(1_000);
    await applying;
  });

  it("does not repeat a creation that may have been done", async () => {
    nock(SERVER)
      .post(PATH)
      .query(true)
      .reply(500, status(500, "InternalError", "etcd"));
    const failed = await rejected(client.create(RESOURCES.configMaps, configMap("a")));
    assert.equal(failed.code, "KUBE_API");
    nock(SERVER)
      .post(PATH)
      .query(true)
      .replyWithError(Object.assign(new Error("reset"), { code: "ECONNRESET" }));
    const broken = await rejected(client.create(RESOURCES.configMaps, configMap("a")));
    assert.equal(broken.code, "UNAVAILABLE");
    assert.equal(broken.details.maybeApplied, true);
    assert.equal(reports.length, 2);
  });

  it("repeats a creation that surely was not sent, and a read whose connection broke", async () => {
    nock(SERVER)
      .post(PATH)
      .query(true)
      .replyWithError(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }))
      .post(PATH)
      .query(true)
      .reply(201, configMap("a"))
      .get(`${PATH}/a`)
      .replyWithError(Object.assign(new Error("reset"), { code: "ECONNRESET" }))
      .get(`${PATH}/a`)
      .reply(200, configMap("a"));
    const creating = client.create(RESOURCES.configMaps, configMap("a"));
    await until(() => reports.length === 1 && time.delays.length === 2, "the wait");
    await time.advance(200);
    await creating;
    const getting = client.get(RESOURCES.configMaps, KEY);
    await until(() => reports.length === 3 && time.delays.length === 2, "the wait");
    await time.advance(200);
    await getting;
  });

  it("says what malformed JSON it got, and from where", async () => {
    nock(SERVER).get(PATH).query(true).reply(200, '{"items": [{"metadata": ');
    const error = await rejected(client.list(RESOURCES.configMaps, { namespace: "ns" }));
    assert.equal(error.code, "KUBE_API");
    assert.match(error.message, /GET .*configmaps: malformed JSON in the answer: \{"items"/);
    nock(SERVER).get(PATH).query(true).reply(200, { kind: "ConfigMapList", metadata: {}, items: [] });
    assert.match((await rejected(client.list(RESOURCES.configMaps, { namespace: "ns" }))).message, /is no list/);
  });

  it("carries reason and message of a refusal", async () => {
    const cases: [number, string, string][] = [
      [409, "Conflict", "KUBE_CONFLICT"],
      [409, "AlreadyExists", "ALREADY_EXISTS"],
      [422, "Invalid", "KUBE_INVALID"],
      [403, "Forbidden", "KUBE_FORBIDDEN"],
      [404, "NotFound", "KUBE_NOT_FOUND"],
    ];
    for (const [code, reason, expected] of cases) {
      nock(SERVER)
        .put(`${PATH}/a`)
        .query(true)
        .reply(code, status(code, reason, `field is immutable ${code}`));
      const error = await rejected(client.replace(RESOURCES.configMaps, configMap("a")));
      assert.equal(error.code, expected);
      assert.match(error.message, /PUT .*\/a: field is immutable/);
      assert.deepEqual(error.details.kube, { httpStatus: code, reason, message: `field is immutable ${code}` });
    }
    assert.equal(reports.length, cases.length, "none is repeated");
  });

  it("reads a list page by page, and in one piece when the pages expire", async () => {
    nock(SERVER)
      .get(PATH)
      .query({ limit: "2" })
      .reply(200, page(["a", "b"], "10", "token"))
      .get(PATH)
      .query({ limit: "2", continue: "token" })
      .reply(410, status(410, "Expired", "too old"))
      .get(PATH)
      .query({})
      .reply(200, page(["a", "b", "c"], "30"));
    const { items, resourceVersion } = await client.list(RESOURCES.configMaps, { namespace: "ns", pageSize: 2 });
    assert.deepEqual(
      items.map((item) => [item.metadata?.name, item.kind, item.apiVersion]),
      [
        ["a", "ConfigMap", "v1"],
        ["b", "ConfigMap", "v1"],
        ["c", "ConfigMap", "v1"],
      ],
    );
    assert.equal(resourceVersion, "30");
  });

  it("takes new credentials once after a 401", async () => {
    const rotating = clientAt(SERVER, ["old", "new", "newer"]);
    nock(SERVER, { reqheaders: { authorization: "Bearer old" } })
      .get(`${PATH}/a`)
      .reply(401, status(401, "Unauthorized", "no"));
    nock(SERVER, { reqheaders: { authorization: "Bearer new" } })
      .get(`${PATH}/a`)
      .reply(200, configMap("a"));
    await rotating.get(RESOURCES.configMaps, KEY);
    nock(SERVER)
      .get(`${PATH}/a`)
      .times(2)
      .reply(401, status(401, "Unauthorized", "no"));
    assert.equal((await rejected(rotating.get(RESOURCES.configMaps, KEY))).code, "KUBE_FORBIDDEN");
  });

  it("applies with its field manager, by force, and completes kind and version", async () => {
    let body: unknown;
    nock(SERVER, { reqheaders: { "content-type": "application/apply-patch+yaml" } })
      .patch(`${PATH}/a/status`, (sent: unknown) => {
        body = sent;
        return true;
      })
      .query({ fieldManager: "rhea-operator", force: "true", dryRun: "All" })
      .reply(200, configMap("a"));
    await client.applyStatus(RESOURCES.configMaps, { metadata: KEY }, { dryRun: true });
    assert.deepEqual(body, { apiVersion: "v1", kind: "ConfigMap", metadata: KEY });
  });

  it("tells deleting from gone", async () => {
    nock(SERVER)
      .delete(`${PATH}/a`)
      .reply(200, { kind: "Status", status: "Success" })
      .delete(`${PATH}/a`)
      .reply(200, { ...configMap("a"), kind: "ConfigMap" })
      .delete(`${PATH}/a`, (body: { preconditions?: { uid?: string } }) => body.preconditions?.uid === "u")
      .reply(404, status(404, "NotFound", "gone"));
    assert.equal(await client.delete(RESOURCES.configMaps, KEY), "gone");
    assert.equal(await client.delete(RESOURCES.configMaps, KEY), "deleting");
    assert.equal(await client.delete(RESOURCES.configMaps, KEY, { preconditions: { uid: "u" } }), "gone");
  });

  it("returns a refused eviction as such, without asking again", async () => {
    nock(SERVER)
      .post("/api/v1/namespaces/ns/pods/a/eviction")
      .reply(429, status(429, "TooManyRequests", "would violate the budget"), { "Retry-After": "10" });
    const outcome = await client.evict(KEY);
    assert.deepEqual(outcome, { kind: "refused", message: "would violate the budget", retryAfterMs: 10_000 });
    assert.equal(reports.length, 1);
  });

  it("refuses an answer over its bound", async () => {
    nock(SERVER)
      .get(`${PATH}/a`)
      .reply(200, { ...configMap("a"), data: { x: "x".repeat(5_000) } });
    const error = await rejected(clientAt(SERVER, ["t"], 1_000).get(RESOURCES.configMaps, KEY));
    assert.match(error.message, /over 1000 bytes/);
  });

  it("asks nothing for an object whose namespace does not fit its kind", async () => {
    assert.equal((await rejected(client.get(RESOURCES.pods, { name: "a" }))).code, "INTERNAL");
    assert.equal((await rejected(client.get(RESOURCES.nodes, KEY))).code, "INTERNAL");
  });

  describe("with a server that does not answer", () => {
    const silent = createServer(() => undefined);
    let address = "";

    before((done) => {
      silent.listen(0, "127.0.0.1", () => {
        address = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
        done();
      });
    });

    after((done) => {
      silent.close(done);
      silent.closeAllConnections();
    });

    beforeEach(() => nock.enableNetConnect("127.0.0.1"));

    it("ends a call after its time", async () => {
      const failing = rejected(clientAt(address).get(RESOURCES.configMaps, KEY, { timeoutMs: 5_000 }));
      await until(() => time.delays.includes(5_000), "the timer");
      await time.advance(5_000);
      const error = await failing;
      assert.equal(error.code, "DEADLINE_EXCEEDED");
      assert.match(error.message, /no answer within 5000 ms/);
      assert.deepEqual(time.delays, [], "no timer is left");
    });

    it("ends a call when the caller gives up", async () => {
      const giving = new AbortController();
      let hasArrived = false;
      silent.once("request", () => (hasArrived = true));
      const failing = rejected(clientAt(address).get(RESOURCES.configMaps, KEY, { signal: giving.signal }));
      await until(() => hasArrived, "the request");
      giving.abort();
      assert.equal((await failing).code, "CANCELLED");
      assert.deepEqual(time.delays, []);
    });
  });
});
