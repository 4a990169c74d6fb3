/** The operator on the cluster: installed once, killed at will. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { deleteObject, listObjects } from "./api.js";
import { CommandError, mustRun, runProgram } from "./command.js";
import { image } from "./images.js";
import type { Pod } from "./kinds.js";
import { sleep, until } from "./wait.js";

/** Where the operator runs. */
export const OPERATOR_NAMESPACE = "rhea-system";
/** Its pods. */
export const OPERATOR_LABELS = "app.kubernetes.io/name=rhea-operator";

const RELEASE = "rhea";
const INSTALL_MS = 150_000;
const CHART = fileURLToPath(new URL("../../../charts/rhea", import.meta.url));

/** Installs the operator of the image under test with the chart, or brings it back to that state. Resolves when it is available. */
export async function installOperator(values: Readonly<Record<string, string>> = {}): Promise<void> {
  if (!existsSync(CHART)) throw new Error(`${CHART} does not exist: this version cannot be installed on Kubernetes`);
  const [, repository = "", tag = ""] = /^(.+):([^:/]+)$/.exec(image()) ?? [];
  const settings = Object.entries({ "image.repository": repository, "image.tag": tag, ...values });
  const command = [
    ...["upgrade", "--install", RELEASE, CHART, "--namespace", OPERATOR_NAMESPACE, "--create-namespace"],
    ...["--wait", "--timeout", "120s"],
    ...settings.flatMap(([key, value]) => ["--set-string", `${key}=${value}`]),
  ];
  const started = performance.now();
  for (;;) {
    const ended = await runProgram("helm", command, { timeoutMs: 150_000 });
    if (ended.code === 0) return;
    // A story beside this one is at it.
    const isBusy = ended.err.includes("another operation");
    if (!isBusy || performance.now() - started > INSTALL_MS) throw new CommandError("helm upgrade --install", ended);
    await sleep(1_000);
  }
}

/** The operator's pods. */
export function operatorPods(): Promise<Pod[]> {
  return listObjects<Pod>("Pod", OPERATOR_NAMESPACE, OPERATOR_LABELS);
}

/** Runs so many operators, of which one leads. Resolves when all are available. */
export async function scaleOperator(replicas: number): Promise<void> {
  const target = ["--namespace", OPERATOR_NAMESPACE, "deployment", "--selector", OPERATOR_LABELS];
  await mustRun("kubectl", ["scale", ...target, `--replicas=${replicas}`]);
  await mustRun("kubectl", ["rollout", "status", ...target, "--timeout=60s"], { timeoutMs: 70_000 });
}

/** Takes the operator's pods away without a chance to say goodbye. Resolves at once. */
export async function killOperator(): Promise<void> {
  for (const { metadata } of await operatorPods()) await deleteObject("Pod", OPERATOR_NAMESPACE, metadata.name, 0);
}

/** Resolves when an operator pod is ready. */
export async function operatorReady(timeoutMs = 60_000): Promise<void> {
  const isReady = ({ metadata, status }: Pod) =>
    metadata.deletionTimestamp === undefined &&
    status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True");
  await until("the operator is ready", async () => (await operatorPods()).some(isReady), timeoutMs);
}

/** Kills the operator again and again. */
export function startOperatorKiller({ everyMs }: { readonly everyMs: number }): {
  /** Ends it, waits until the operator is ready and returns how often it was killed. */
  stop(): Promise<number>;
} {
  let kills = 0;
  let problem: unknown;
  const timer = setInterval(() => {
    kills++;
    killOperator().catch((error: unknown) => (problem ??= error));
  }, everyMs);
  return {
    async stop() {
      clearInterval(timer);
      await operatorReady();
      if (problem !== undefined) throw new Error("the operator could not be killed", { cause: problem });
      return kills;
    },
  };
}
