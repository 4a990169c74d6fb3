import assert from "node:assert/strict";
import { get } from "node:http";
import { startHealthServer } from "./health-server.js";
import { createRuntimeMetrics } from "./metrics.js";

function read(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => (text += part));
      response.on("end", () => resolve(`${response.statusCode ?? 0} ${text}`));
    }).on("error", reject);
  });
}

describe("health server", () => {
  it("answers the probes with the reason and serves the metrics", async () => {
    const metrics = createRuntimeMetrics();
    metrics.leads("rhea-operator", true);
    metrics.requested({ verb: "get", method: "GET", resource: "pods", status: 0, seconds: 1, host: "kube:443" });
    let problem: string | undefined = "the caches have no first list yet";
    const server = await startHealthServer({
      address: "127.0.0.1:0",
      livenessProblem: () => undefined,
      readinessProblem: () => problem,
      registry: metrics.registry,
    });
    try {
      assert.equal(await read(`http://${server.address}/livez`), "200 ok\n");
      assert.equal(await read(`http://${server.address}/readyz`), "503 the caches have no first list yet\n");
      problem = undefined;
      assert.equal(await read(`http://${server.address}/readyz`), "200 ok\n");
      const text = await read(`http://${server.address}/metrics`);
      assert(text.includes('leader_election_master_status{name="rhea-operator"} 1'), text);
      assert(text.includes('rest_client_requests_total{code="<error>",method="GET",host="kube:443"} 1'), text);
    } finally {
      await server.close();
    }
  });
});
