import assert from "node:assert/strict";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { RheaError, silentLogger } from "@rhea/common";
import nock from "nock";
import { createKubeClient } from "./client.js";
import { createInformer, type Informer } from "./informer.js";
import type { ConfigMap } from "./objects.js";
import { RESOURCES } from "./resources.js";
import { endpointAt, until, VirtualTime } from "./virtual-time.js";

const SERVER = "https://kube.test";
const PATH = "/api/v1/namespaces/ns/configmaps";

function configMap(name: string, resourceVersion: string, uid = `uid-${name}`): ConfigMap {
  return { metadata: { namespace: "ns", name, resourceVersion, uid } };
}

function line(type: string, object: object): string {
  return `${JSON.stringify({ type, object })}\n`;
}

const bookmark = (resourceVersion: string): string => line("BOOKMARK", { metadata: { resourceVersion } });

describe("informer", () => {
  let time: VirtualTime;
  let informer: Informer<ConfigMap>;
  let changes: string[];

  function start(server: string): void {
    const { clock, scheduler, rng } = time;
    const client = createKubeClient(endpointAt(server), { clock, scheduler, rng, fieldManager: "t" });
    informer = createInformer({
      client,
      resource: RESOURCES.configMaps,
      namespace: "ns",
      clock,
      scheduler,
      rng,
      logger: silentLogger,
      idleTimeoutMs: 100_000,
      onChange: ({ kind, key, object }) => changes.push(`${kind} ${key}@${object.metadata?.resourceVersion ?? ""}`),
    });
    informer.start();
  }

  function lists(resourceVersion: string, ...items: ConfigMap[]): void {
    nock(SERVER)
      .get(PATH)
      .query((query) => query["watch"] === undefined)
      .reply(200, { metadata: { resourceVersion }, items });
  }

  function watches(from: string): nock.Interceptor {
    return nock(SERVER)
      .get(PATH)
      .query(
        (query) =>
          query["watch"] === "true" && query["resourceVersion"] === from && query["allowWatchBookmarks"] === "true",
      );
  }

  /** Lets the informer's wait pass, whatever its length (at most 30 s), but not the time limit of a request. */
  async function passBackOff(done: () => boolean, what: string): Promise<void> {
    await until(() => done() || time.delays.some((delayMs) => delayMs >= 400 && delayMs < 30_000), `${what}: a wait`);
    for (let i = 0; i < 60 && !done(); i += 1) await time.advance(500);
    await until(done, what);
  }

  beforeEach(() => {
    nock.disableNetConnect();
    time = new VirtualTime();
    changes = [];
  });

  afterEach(async () => {
    await informer.close();
    nock.cleanAll();
    nock.enableNetConnect();
  });

  it("lists, then follows from there; several events in a chunk, one over several", async () => {
    lists("10", configMap("a", "5"));
    const text = Buffer.from(
      line("ADDED", { ...configMap("b", "11"), data: { x: "größer 😀" } }) +
        line("MODIFIED", configMap("a", "12")) +
        line("DELETED", configMap("b", "13")),
    );
    const cut = text.indexOf(0xf0) + 2; // inside the smiley
    watches("10").reply(200, () => Readable.from([text.subarray(0, cut), text.subarray(cut)]));
    start(SERVER);
    await informer.synced();
    await until(() => changes.length === 4, "the changes");
    assert.deepEqual(changes, ["added ns/a@5", "added ns/b@11", "updated ns/a@12", "deleted ns/b@13"]);
    assert.deepEqual([...informer.store.keys()], ["ns/a"]);
    assert.equal(informer.resourceVersion, "13");
  });

  it("goes on from the last version after an ordinary end, without a list", async () => {
    lists("10");
    watches("10").reply(200, bookmark("20"));
    watches("20").reply(200, line("ADDED", configMap("a", "21")));
    start(SERVER);
    await passBackOff(() => changes.length === 1, "the event after the bookmark");
    assert.equal(informer.counters.lists, 1);
  });

  for (const [name, reply] of [
    ["HTTP 410", (): [number, object] => [410, { kind: "Status", code: 410, reason: "Expired", message: "too old" }]],
    [
      "an ERROR event 410",
      (): [number, string] => [200, line("ERROR", { kind: "Status", code: 410, reason: "Expired" })],
    ],
  ] as const) {
    it(`lists anew at once after ${name}, and tells what vanished or was made again`, async () => {
      lists("10", configMap("a", "1"), configMap("b", "2"), configMap("c", "3"));
      watches("10").reply(reply);
      lists("50", configMap("b", "2"), configMap("c", "40", "another"));
      start(SERVER);
      await until(() => informer.counters.lists === 2 && changes.length === 6, "the second list");
      assert.deepEqual(changes.slice(3), ["deleted ns/a@1", "deleted ns/c@3", "added ns/c@40"]);
      assert.equal(informer.resourceVersion, "50");
    });
  }

  it("waits and goes on from the same version after an ERROR event of another kind", async () => {
    lists("10");
    watches("10").reply(200, line("ERROR", { kind: "Status", code: 500, reason: "InternalError", message: "etcd" }));
    watches("10").reply(200, line("ADDED", configMap("a", "11")));
    start(SERVER);
    await until(() => informer.lastError !== undefined, "the failure");
    assert.match(informer.lastError?.message ?? "", /etcd/);
    assert.equal(informer.counters.watches, 1, "not at once");
    await passBackOff(() => changes.length === 1, "the event");
    assert.equal(informer.counters.lists, 1);
  });

  it("drops a malformed line and reads the event again", async () => {
    lists("10");
    watches("10").reply(200, `${line("ADDED", configMap("a", "11"))}{"type":"MODIF oops\n`);
    watches("11").reply(200, line("MODIFIED", configMap("a", "12")));
    start(SERVER);
    await passBackOff(() => changes.length === 2, "the second watch");
    assert.deepEqual(changes, ["added ns/a@11", "updated ns/a@12"]);
    assert.equal(informer.counters.lists, 1);
  });

  it("waits as long as Retry-After of a 429 says before it watches again", async () => {
    lists("10");
    watches("10").reply(429, "", { "Retry-After": "20" });
    watches("10").reply(200, line("ADDED", configMap("a", "11")));
    start(SERVER);
    await until(() => time.delays.includes(20_000), "the wait");
    await time.advance(19_999);
    assert.equal(informer.counters.watches, 1);
    await time.advance(1);
    await until(() => changes.length === 1, "the event");
  });

  it("survives a list that fails and one that is malformed", async () => {
    nock(SERVER).get(PATH).query(true).reply(200, '{"items":[');
    nock(SERVER).get(PATH).query(true).reply(403, { kind: "Status", reason: "Forbidden", message: "cannot list" });
    lists("10", configMap("a", "1"));
    start(SERVER);
    await until(() => informer.counters.failures === 1, "the first failure");
    assert.equal(informer.hasSynced, false);
    await passBackOff(() => informer.counters.failures >= 2, "the second failure");
    assert.equal(informer.lastError?.code, "KUBE_FORBIDDEN");
    await passBackOff(() => informer.hasSynced, "the list");
  });

  it("takes no notice of an event that it has already", async () => {
    lists("10", configMap("a", "5"));
    watches("10").reply(200, line("MODIFIED", configMap("a", "5")) + line("DELETED", configMap("zz", "11")));
    start(SERVER);
    await until(() => informer.counters.events === 2, "the events");
    assert.deepEqual(changes, ["added ns/a@5"]);
  });

  it("goes on when a listener throws", async () => {
    lists("10", configMap("a", "5"), configMap("b", "6"));
    const { push } = changes;
    changes.push = (text) => {
      push.call(changes, text);
      throw new Error("a bug of the listener");
    };
    start(SERVER);
    await informer.synced();
    assert.equal(informer.store.size, 2);
  });

  describe("against a server with its own mind", () => {
    let watchers: { readonly from: string; readonly response: ServerResponse }[] = [];
    let listed = 0;
    let onWatch: (response: ServerResponse) => void = () => undefined;
    const server = createServer((request, response) => {
      const query = new URL(request.url ?? "", "http://x").searchParams;
      if (query.get("watch") === null) {
        listed += 1;
        response.end(
          JSON.stringify({ metadata: { resourceVersion: String(listed * 100) }, items: [configMap("a", "1")] }),
        );
        return;
      }
      response.writeHead(200, { "content-type": "application/json" });
      response.flushHeaders();
      watchers.push({ from: query.get("resourceVersion") ?? "", response });
      onWatch(response);
    });
    let address = "";

    before((done) => {
      server.listen(0, "127.0.0.1", () => {
        address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
        done();
      });
    });

    after((done) => {
      server.close(done);
      server.closeAllConnections();
    });

    beforeEach(() => {
      nock.enableNetConnect("127.0.0.1");
      watchers = [];
      listed = 0;
      onWatch = () => undefined;
    });

    it("cuts a silent watch and goes on from the last version; a bookmark is a sign of life", async () => {
      start(address);
      await until(() => watchers.length === 1 && time.delays.includes(100_000), "the watch");
      await time.advance(99_999);
      watchers[0]!.response.write(bookmark("150"));
      await until(() => informer.resourceVersion === "150", "the bookmark");
      await time.advance(99_999);
      assert.equal(watchers.length, 1, "it lives");
      await time.advance(1);
      await until(() => informer.counters.failures === 1, "the cut");
      assert.match(informer.lastError?.message ?? "", /silent for 100000 ms/);
      await passBackOff(() => watchers.length === 2, "the next watch");
      assert.equal(watchers[1]!.from, "150");
      assert.equal(listed, 1);
    });

    it("goes on after a connection that dropped inside an event", async () => {
      start(address);
      await until(() => watchers.length === 1, "the watch");
      const text = line("ADDED", configMap("b", "101"));
      watchers[0]!.response.write(text + text.slice(0, 20));
      await until(() => changes.length === 2, "the whole event");
      watchers[0]!.response.destroy();
      await until(() => informer.counters.failures === 1, "the failure");
      assert.equal(informer.lastError?.code, "UNAVAILABLE");
      await passBackOff(() => watchers.length === 2, "the next watch");
      assert.equal(watchers[1]!.from, "101");
    });

    it("does not hurry when watches are closed at once, and lists anew after three", async () => {
      onWatch = (response) => response.end();
      start(address);
      await until(() => informer.counters.failures === 1, "the first failure");
      for (let second = 0; second < 60; second += 1) {
        await time.advance(1_000);
        const { failures } = informer.counters;
        await until(
          () => informer.counters.failures > failures || time.delays.some((d) => d >= 400 && d !== 30_000),
          "rest",
        );
      }
      const { lists: listCount, watches: watchCount } = informer.counters;
      assert(watchCount >= 5 && watchCount <= 12, `${watchCount} watches in a minute`);
      assert.equal(listCount, 1 + Math.floor(informer.counters.failures / 3));
      assert.equal(informer.store.size, 1);
    });

    it("does not hurry either when each watch brings something before it is closed", async () => {
      let version = 1_000;
      onWatch = (response) => response.end(bookmark(String((version += 1))));
      start(address);
      await until(() => informer.counters.events === 1, "the first bookmark");
      await until(() => time.delays.includes(800), "a rest");
      assert.equal(informer.counters.watches, 1);
      await time.advance(800);
      await until(() => informer.counters.events === 2, "the second bookmark");
      assert.equal(informer.counters.failures, 0);
    });

    it("lists anew on demand, whatever the watch does", async () => {
      start(address);
      await until(() => watchers.length === 1, "the watch");
      await informer.relist();
      assert.equal(listed, 2);
      assert.equal(informer.resourceVersion, "200");
      await until(() => watchers.length === 2, "the next watch");
      assert.equal(watchers[1]!.from, "200");
    });

    it("closes while it watches, and rejects who waits", async () => {
      start(address);
      await until(() => watchers.length === 1, "the watch");
      const waiting = informer.relist();
      const closing = informer.close();
      await assert.rejects(waiting, (error) => error instanceof RheaError && error.code === "SHUTTING_DOWN");
      await closing;
      assert.deepEqual(time.delays, [], "no timer is left");
    });
  });
});
