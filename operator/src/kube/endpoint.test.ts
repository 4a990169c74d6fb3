import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RheaError } from "@rhea/common";
import nock from "nock";
import { createKubeClient } from "./client.js";
import { loadKubeConfig } from "./endpoint.js";
import { RESOURCES } from "./resources.js";
import { VirtualTime } from "./virtual-time.js";

const KEY = { namespace: "ns", name: "a" };

function kubeconfig(user: object, name = "one"): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [{ name, cluster: { server: `https://${name}.test/` } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: "team" } }],
    users: [{ name, user }],
  });
}

describe("kube endpoint", () => {
  let directory: string;
  let savedKubeconfig: string | undefined;
  const file = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rhea-kube-"));
    savedKubeconfig = process.env["KUBECONFIG"];
    nock.disableNetConnect();
  });

  afterEach(() => {
    if (savedKubeconfig === undefined) delete process.env["KUBECONFIG"];
    else process.env["KUBECONFIG"] = savedKubeconfig;
    rmSync(directory, { recursive: true });
    nock.cleanAll();
    nock.enableNetConnect();
  });

  it("reads a rotated token with the next request", async () => {
    const token = file("token", "first\n");
    const endpoint = loadKubeConfig({ kubeconfig: file("config", kubeconfig({ tokenFile: "token" })) });
    const time = new VirtualTime();
    const client = createKubeClient(endpoint, {
      clock: time.clock,
      scheduler: time.scheduler,
      rng: time.rng,
      fieldManager: "t",
    });
    const seen: unknown[] = [];
    nock("https://one.test")
      .get("/api/v1/namespaces/ns/configmaps/a")
      .times(2)
      .reply(200, function () {
        seen.push(this.req.headers["authorization"]);
        return { metadata: KEY };
      });
    await client.get(RESOURCES.configMaps, KEY);
    writeFileSync(token, "second\n");
    await client.get(RESOURCES.configMaps, KEY);
    assert.deepEqual(seen.flat(), ["Bearer first", "Bearer second"]);
    assert.deepEqual([endpoint.server, endpoint.context, endpoint.namespace], ["https://one.test", "one", "team"]);
    const forTunnels = await endpoint.config();
    assert.equal(forTunnels.getCurrentUser()?.token, "second");
    client.close();
  });

  it("runs a credential plugin, tells it the protocol, and asks it again after a refusal", async () => {
    const script = file(
      "plugin.mjs",
      `import { appendFileSync, readFileSync } from "node:fs";
       const log = process.argv[2];
       appendFileSync(log, "x");
       const info = JSON.parse(process.env.KUBERNETES_EXEC_INFO);
       const token = info.kind + readFileSync(log, "utf8").length;
       console.log(JSON.stringify({ ...info, status: { token, expirationTimestamp: "2999-01-01T00:00:00Z" } }));`,
    );
    const exec = {
      apiVersion: "client.authentication.k8s.io/v1",
      command: process.execPath,
      args: [script, join(directory, "log")],
    };
    const endpoint = loadKubeConfig({ kubeconfig: file("config", kubeconfig({ exec })) });
    const tokenOf = async (refresh: boolean): Promise<unknown> =>
      (await endpoint.connect(refresh)).headers["authorization"];
    assert.equal(await tokenOf(false), "Bearer ExecCredential1");
    assert.equal(await tokenOf(false), "Bearer ExecCredential1");
    assert.equal(await tokenOf(true), "Bearer ExecCredential2");
    endpoint.close();
  });

  it("keeps its connections until TLS settings change", async () => {
    const certificate = file("cert", "CERT");
    const endpoint = loadKubeConfig({
      kubeconfig: file("config", kubeconfig({ "client-certificate": certificate, "client-key": certificate })),
    });
    const { agent } = await endpoint.connect();
    assert.equal((await endpoint.connect()).agent, agent);
    writeFileSync(certificate, "RENEWED");
    assert.notEqual((await endpoint.connect()).agent, agent);
    endpoint.close();
  });

  it("merges the files of KUBECONFIG, the first counts", async () => {
    const one = file("one", kubeconfig({ token: "1" }));
    const two = file("two", kubeconfig({ token: "2" }, "two"));
    const again = file("again", kubeconfig({ token: "3" }, "two"));
    process.env["KUBECONFIG"] = [one, two, again].join(":");
    assert.equal(loadKubeConfig().context, "one");
    const endpoint = loadKubeConfig({ context: "two" });
    assert.equal((await endpoint.connect()).headers["authorization"], "Bearer 2");
    endpoint.close();
  });

  it("says which file or context is wrong", () => {
    const fails = (options: { kubeconfig: string; context?: string }, message: RegExp): void =>
      assert.throws(
        () => loadKubeConfig(options),
        (error) => error instanceof RheaError && error.code === "INVALID_CONFIG" && message.test(error.message),
      );
    fails({ kubeconfig: join(directory, "none") }, /none: .*ENOENT/);
    fails({ kubeconfig: file("bad", "users: [") }, /kubeconfig .*bad: /);
    fails({ kubeconfig: file("good", kubeconfig({})), context: "prod" }, /no context "prod"; known: one/);
  });
});
