/** The main of `kubectl rhea`: kubectl runs any `kubectl-rhea` in the PATH. */
import { fileURLToPath } from "node:url";
import { silentLogger } from "@rhea/common";
import { nodeClock, nodeRng, nodeScheduler } from "@rhea/common/env-node";
import { createKubeClient, createPortForward, loadKubeConfig } from "@rhea/operator/kube";
import { runPlugin, type KubeAccess, type KubeChoice } from "../kubernetes/index.js";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

function openKube({ namespace, ...choice }: KubeChoice): KubeAccess {
  const endpoint = loadKubeConfig(choice);
  const client = createKubeClient(endpoint, {
    ...{ clock: nodeClock, scheduler: nodeScheduler, rng: nodeRng, logger: silentLogger },
    ...{ userAgent: "kubectl-rhea", fieldManager: "kubectl-rhea" },
  });
  const forward = createPortForward(endpoint);
  const chosen = namespace ?? endpoint.namespace;
  return {
    namespace: chosen,
    client,
    forward: (pod, port, socket) => forward(chosen, pod, port, socket),
    close: () => client.close(),
  };
}

process.exitCode = await runPlugin(process.argv.slice(2), {
  cli: {
    env: process.env,
    cwd: process.cwd(),
    projectRoot: fileURLToPath(new URL("../../..", import.meta.url)),
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    isTerminal: process.stdin.isTTY && process.stdout.isTTY,
    connect: async (target) => (await import("@rhea/client/env-node")).connect(target),
    connectAdmin: async (target) => (await import("@rhea/client/env-node")).connectAdmin(target),
    now: () => performance.now(),
    sleep: (ms) =>
      new Promise((resolve) => {
        setTimeout(resolve, ms);
      }),
  },
  openKube,
  wallMs: () => Date.now(),
});
