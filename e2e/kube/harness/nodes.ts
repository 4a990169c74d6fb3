/** Faults of nodes, by the cluster tool. They exist only on its clusters: elsewhere specs that need them are skipped. */
import { fileURLToPath } from "node:url";
import { listObjects } from "./api.js";
import { mustRun } from "./command.js";
import { note } from "./notes.js";
import type { Condition, KubeObject, Pod } from "./kinds.js";
import { until } from "./wait.js";

const CLUSTER = fileURLToPath(new URL("../cluster/cluster", import.meta.url));

/** Whether this is a cluster of the tool, whose nodes can be stopped and cut off. */
export const hasNodeControl = process.env["KUBE_E2E_NAME"] !== undefined;

/** Skips a test, or a whole story in its `before`, where nodes cannot be stopped or cut off. */
export function needsNodes(context: Mocha.Context): void {
  if (hasNodeControl) return;
  note("skipped", "nodes of this cluster cannot be controlled: only those of e2e/kube/cluster can");
  context.skip();
}

const stopped = new Set<number>();
const cut = new Set<number>();
/** All that had a fault, mended or not. */
const touched = new Set<number>();
const READY_MS = 90_000;

function cluster(...args: readonly string[]): Promise<string> {
  if (!hasNodeControl)
    throw new Error(`cluster ${args.join(" ")}: nodes cannot be controlled here: call needsNodes(this) first`);
  return mustRun(CLUSTER, args, { timeoutMs: 120_000 });
}

/** The number of the node that a pod is bound to: `node-2` is 2. Throws where it has none. */
export function nodeOf(pod: Pod | undefined): number {
  const number = Number(/-(\d+)$/.exec(pod?.spec.nodeName ?? "")?.[1]);
  if (Number.isInteger(number)) return number;
  throw new Error(`pod ${pod?.metadata.name ?? "(absent)"} is on no node`);
}

/** Ends everything on a node at once, as a power loss does. */
export async function stopNode(node: number): Promise<void> {
  stopped.add(node);
  touched.add(node);
  await cluster("node-stop", String(node));
}

/** Boots a node again, with the same disk. */
export async function startNode(node: number): Promise<void> {
  await cluster("node-start", String(node));
  stopped.delete(node);
}

/** Cuts a node off, or from one other node only. Its pods run on. */
export async function partitionNode(node: number, from?: number): Promise<void> {
  cut.add(node);
  touched.add(node);
  await cluster("partition", String(node), ...(from === undefined ? [] : [String(from)]));
}

/** Undoes every cut of a node. */
export async function healNode(node: number): Promise<void> {
  await cluster("heal", String(node));
  cut.delete(node);
}

/** Runs a program inside a node; its output. */
export function nodeExec(node: number, ...command: readonly string[]): Promise<string> {
  return cluster("node-exec", String(node), ...command);
}

/** Sends a signal to the first process of a pod's container, past the kubelet. */
export async function killContainer(
  pod: Pod | undefined,
  signal: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT",
): Promise<void> {
  const id = pod?.status?.containerStatuses?.[0]?.containerID?.replace(/^containerd:\/\//, "");
  if (id === undefined) throw new Error(`pod ${pod?.metadata.name ?? "(absent)"} has no container`);
  await nodeExec(nodeOf(pod), "ctr", "-n", "k8s.io", "tasks", "kill", "-s", signal, id);
}

/** Starts and heals what this process has stopped and cut, and waits until every node is ready. Called at the end of every story. */
export async function restoreNodes(): Promise<void> {
  if (touched.size === 0) return;
  for (const node of cut) await healNode(node);
  for (const node of stopped) await startNode(node);
  const areReady = async () => (await listObjects<Node>("Node", "")).every(isReady);
  await until("every node is ready again", areReady, READY_MS);
  touched.clear();
}

/** A node, as far as it matters here. */
interface Node extends KubeObject {
  readonly status?: { readonly conditions?: readonly Condition[] };
}

function isReady({ status }: Node): boolean {
  return status?.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True") ?? false;
}
