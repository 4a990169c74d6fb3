/** rhea-operator: keeps the Rhea clusters of a Kubernetes as their RheaCluster objects describe them. See operator/README.md. */
import { hostname } from "node:os";
import { RheaError, type LogLevel } from "@rhea/common";
import { createLogger, nodeClock, nodeRng, nodeScheduler, runMain, type MainContext } from "@rhea/common/env-node";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { makeSecret, planCertificates } from "../certificates/index.js";
import { connectPd } from "../env-node/pd-connector.js";
import { createKubeClient, loadKubeConfig } from "../kube/index.js";
import { createPlatformMetrics, startOperator } from "../platforms/kubernetes/index.js";
import { createRuntimeMetrics, startHealthServer } from "../runtime/index.js";
import { MANAGER } from "../specs/index.js";

interface Options {
  readonly defaultImage: string;
  readonly watchNamespaces: readonly string[];
  readonly leaderElectionNamespace?: string;
  readonly healthAddress: string;
  readonly logLevel: LogLevel;
  readonly kubeconfig?: string;
  readonly workers: number;
}

runMain("rhea-operator", async (context) => {
  const command = makeCommand(context.env);
  try {
    command.parse([...context.argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return; // --help
    throw new RheaError("INVALID_ARGUMENT", `${error.message.replace(/^error: /, "")}: see rhea-operator --help`);
  }
  return run(command.opts<Options>(), context);
});

function makeCommand(env: MainContext["env"]): Command {
  const list = (text: string) => text.split(",").flatMap((item) => (item.trim() === "" ? [] : [item.trim()]));
  const count = (text: string) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 1 || value > 64) throw new InvalidArgumentError("wanted 1 to 64");
    return value;
  };
  return new Command("rhea-operator")
    .description("Keeps the Rhea clusters of a Kubernetes as their RheaCluster objects describe them.")
    .requiredOption(
      "--default-image <IMAGE>",
      "image of new pods where a RheaCluster names none; its repository is that of spec.version [RHEA_DEFAULT_IMAGE]",
      env["RHEA_DEFAULT_IMAGE"],
    )
    .option("--watch-namespaces <LIST>", "namespaces to look after, comma-separated; empty: all", list, [])
    .option("--leader-election-namespace <NAMESPACE>", "where the Lease is (default: the namespace this runs in)")
    .option("--health-address <HOST:PORT>", "where /livez, /readyz and /metrics are served", "0.0.0.0:8081")
    .addOption(
      new Option("--log-level <LEVEL>", "least level that is logged")
        .choices(["error", "warn", "info", "debug"])
        .default("info"),
    )
    .option("--kubeconfig <FILE>", "default: KUBECONFIG, ~/.kube/config, or the service account of the pod")
    .option("--workers <COUNT>", "clusters that are worked on at the same time", count, 4)
    .helpOption("--help", "print this")
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
}

async function run(options: Options, { shutdown }: MainContext): Promise<void> {
  const logger = createLogger({ name: "rhea-operator", level: options.logLevel });
  const endpoint = loadKubeConfig(options.kubeconfig === undefined ? {} : { kubeconfig: options.kubeconfig });
  const environment = { clock: nodeClock, scheduler: nodeScheduler, rng: nodeRng } as const;
  const runtime = createRuntimeMetrics();
  const platform = createPlatformMetrics(runtime.registry);
  const client = createKubeClient(endpoint, {
    ...environment,
    fieldManager: MANAGER,
    onRequest: (report) => runtime.requested(report),
    onWarning: (warning) => logger.log("warn", "the API server warns", { warning }),
  });
  const operator = startOperator({
    ...environment,
    ...{ client, logger, connectPd },
    certificates: {
      plan: planCertificates,
      makeSecret: (action, { nowMs, policy }) => makeSecret(action, { nowMs, policy, rng: nodeRng }),
    },
    settings: { defaultImage: options.defaultImage },
    namespaces: options.watchNamespaces,
    workers: options.workers,
    identity: `${hostname()}_${nodeRng.bytes(4).toString("hex")}`,
    leaderElection: { namespace: options.leaderElectionNamespace ?? endpoint.namespace, name: "rhea-operator" },
    metrics: { runtime, platform },
  });
  const health = await startHealthServer({
    address: options.healthAddress,
    livenessProblem: () => undefined,
    readinessProblem: () => operator.readinessProblem(),
    registry: runtime.registry,
  });
  const scope = options.watchNamespaces.length === 0 ? "all namespaces" : options.watchNamespaces.join(", ");
  process.stdout.write(`rhea-operator ready: health ${health.address}, watches ${scope} at ${endpoint.server}\n`);
  const reason = await shutdown;
  logger.log("info", "stops", { reason });
  await operator.close();
  await health.close();
  client.close();
}
