/** The pages that the kubelet and Prometheus ask for. */
import { startStatusServer, type StatusPage } from "@rhea/common/env-node";
import type { Registry } from "prom-client";

/** What the pages show. */
export interface HealthServerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly address: string;
  /** Returns why the process is of no use any more and must be restarted; undefined while it is. */
  readonly livenessProblem: () => string | undefined;
  /** Returns why the process cannot do its work yet; undefined when it can. A candidate that does not lead is ready. */
  readonly readinessProblem: () => string | undefined;
  readonly registry: Pick<Registry, "metrics" | "contentType">;
  /** More pages, by path. */
  readonly routes?: Readonly<Record<string, (query: URLSearchParams) => Promise<StatusPage> | StatusPage>>;
}

/** Serves `/livez`, `/readyz` and `/metrics` in plain HTTP. Throws UNAVAILABLE if the address is taken. */
export function startHealthServer(
  options: HealthServerOptions,
): Promise<{ readonly address: string; close(): Promise<void> }> {
  const page = (problem: string | undefined): StatusPage =>
    problem === undefined ? { status: 200, body: "ok\n" } : { status: 503, body: `${problem}\n` };
  return startStatusServer({
    address: options.address,
    routes: {
      "/livez": () => page(options.livenessProblem()),
      "/readyz": () => page(options.readinessProblem()),
      "/metrics": async () => ({
        status: 200,
        contentType: options.registry.contentType,
        body: await options.registry.metrics(),
      }),
      ...options.routes,
    },
  });
}
