/* global fetch */
// The pod of the self-test. /data/starts counts its starts.
import { createServer, request } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { lookup } from "node:dns/promises";
import { existsSync, readFileSync, writeFileSync } from "node:fs";

let starts = 1;
try {
  starts += Number(readFileSync("/data/starts", "utf8"));
} catch {
  // the first start
}
if (existsSync("/data")) writeFileSync("/data/starts", String(starts));

const state = { live: true, ready: true };
const api = "https://kubernetes.default.svc/api/v1/namespaces/default/pods";
const account = "/var/run/secrets/kubernetes.io/serviceaccount";

const routes = {
  "/": () => process.env.HOSTNAME,
  "/starts": () => starts,
  "/live": () => check(state.live),
  "/ready": () => check(state.ready),
  "/set": (q) => Object.assign(state, { [q.get("key")]: q.get("value") === "true" }) && "set",
  "/lookup": async (q) => (await lookup(q.get("name"), { family: 4 })).address,
  // Asks url n times, one connection each, and answers with the distinct answers.
  "/get": async (q) => {
    const answers = new Set();
    for (let i = 0; i < Number(q.get("n") ?? 1); i++) answers.add(await get(q.get("url")));
    return [...answers].sort().join(" ");
  },
  // NODE_EXTRA_CA_CERTS makes the API server's certificate trusted.
  "/api": async () => {
    const token = readFileSync(`${account}/token`, "utf8");
    return (await fetch(api, { headers: { authorization: `Bearer ${token}` } })).status;
  },
};

// fetch would keep the connection and so meet one pod only.
function get(url) {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(2000);
    request(url, { agent: false, signal }, async (response) => {
      let body = "";
      for await (const chunk of response) body += chunk;
      resolve(body.trim());
    })
      .on("error", reject)
      .end();
  });
}

function check(ok) {
  if (!ok) throw new Error("told to fail");
  return "ok";
}

const serve = async (incoming, response) => {
  const url = new URL(incoming.url, "http://pod");
  try {
    response.end(`${await routes[url.pathname](url.searchParams)}\n`);
  } catch (error) {
    response.statusCode = 500;
    response.end(`${error} ${error.cause ?? ""}\n`);
  }
};
createServer(serve).listen(8080, () => console.log(`start ${starts} of ${process.env.HOSTNAME}`));

// With a certificate: an admission webhook that refuses all it is asked about.
if (existsSync("/tls")) {
  const tls = { cert: readFileSync("/tls/tls.crt"), key: readFileSync("/tls/tls.key") };
  createSecureServer(tls, async (incoming, response) => {
    let body = "";
    for await (const chunk of incoming) body += chunk;
    const {
      apiVersion,
      kind,
      request: { uid },
    } = JSON.parse(body);
    const answer = { uid, allowed: false, status: { message: "the webhook says no" } };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ apiVersion, kind, response: answer }));
  }).listen(8443);
}

process.on("SIGTERM", () => process.exit()); // PID 1 has no default handler
