// A key-value store over HTTP: GET, PUT and DELETE of /KEY. It reads where the cluster is, and with what it may connect, from the Secret
// NAME-client, which is mounted at RHEA_CLIENT_DIR. Certificates are read again when the operator renews them.
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import process from "node:process";
import { connect } from "@rhea/client/env-node";

const directory = process.env.RHEA_CLIENT_DIR ?? "/etc/rhea/client";
const read = (name) => readFileSync(join(directory, name), "utf8").trim();

const file = (name) => join(directory, name);
const tls = { caFile: file("ca.crt"), certFile: file("tls.crt"), keyFile: file("tls.key") };
const kv = await connect({
  pd: read("addresses").split(","),
  clusterId: Number(read("clusterId")),
  ...(existsSync(tls.caFile) ? { tls } : {}), // a cluster with tls.enabled: false has no certificates
});

async function answer(request) {
  const key = decodeURIComponent(new URL(request.url, "http://app").pathname.slice(1));
  if (key === "") return [200, "GET, PUT or DELETE /KEY\n"];
  switch (request.method) {
    case "GET": {
      const value = await kv.get(key);
      return value === undefined ? [404, `${key}: no value\n`] : [200, value];
    }
    case "PUT":
      await kv.put(key, Buffer.concat(await request.toArray()));
      return [204, ""];
    case "DELETE":
      await kv.delete(key);
      return [204, ""];
    default:
      return [405, "GET, PUT or DELETE\n"];
  }
}

const server = createServer((request, response) => {
  answer(request)
    .catch((error) => [503, `${error.code ?? "INTERNAL"}: ${error.message}\n`])
    .then(([status, body]) => response.writeHead(status).end(body));
});
server.listen(8080, () => console.log("app: serves on port 8080"));

process.once("SIGTERM", () => {
  server.close(() => void kv.close());
  server.closeIdleConnections();
});
