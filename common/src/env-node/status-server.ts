/** A plain HTTP server for health, metrics and debug pages. */
import { createServer } from "node:http";
import { RheaError } from "../errors.js";

/** A page. */
export interface StatusPage {
  readonly status: number;
  /** Default `text/plain; charset=utf-8`. */
  readonly contentType?: string;
  readonly body: string;
}

/** Serves GET pages by exact path on `host:port` (port 0 picks a free one). Unknown paths list the known ones. Throws UNAVAILABLE if the address is taken. */
export async function startStatusServer(options: {
  readonly address: string;
  readonly routes: Readonly<Record<string, (query: URLSearchParams) => Promise<StatusPage> | StatusPage>>;
}): Promise<{ readonly address: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://status");
    const send = (page: StatusPage): void => {
      response.writeHead(page.status, { "content-type": page.contentType ?? "text/plain; charset=utf-8" });
      response.end(page.body);
    };
    const route = options.routes[url.pathname];
    if (request.method !== "GET" && request.method !== "HEAD") send({ status: 405, body: "only GET\n" });
    else if (route === undefined) send({ status: 404, body: `known: ${Object.keys(options.routes).join(" ")}\n` });
    else
      Promise.resolve()
        .then(() => route(url.searchParams))
        .then(send, (error: unknown) => {
          send({ status: 500, body: `${RheaError.from(error).message}\n` });
        });
  });
  const split = options.address.lastIndexOf(":");
  const host = options.address.slice(0, split);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      reject(new RheaError("UNAVAILABLE", `cannot listen on ${options.address}: ${cause.message}`, { cause }));
    });
    server.listen(Number(options.address.slice(split + 1)), host.replace(/^\[|\]$/g, ""), resolve);
  });
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return {
    address: `${host}:${String(port)}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
