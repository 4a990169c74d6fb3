/** Commands that look: status, plan, explain. They read Kubernetes alone, so they work when the cluster does not. */
import type { Condition, RheaStore, StoreStatus } from "@rhea/operator";
import { RESOURCES, type Pod } from "@rhea/operator/kube";
import { durationText, renderJson, renderTable, write } from "../output.js";
import {
  findRheaCluster,
  findRheaStore,
  listPods,
  listRheaStores,
  type FoundCluster,
  type KubeAccess,
} from "./cluster-objects.js";
import type { PluginContext } from "./context.js";

/** `status NAME`: the conditions in words, members and stores. */
export async function showStatus({ kube, cli, output, wallMs }: PluginContext, name: string): Promise<void> {
  const cluster = await findRheaCluster(kube, name);
  const stores = await listRheaStores(kube, cluster);
  if (output === "json") {
    await write(cli.stdout, renderJson({ status: cluster.status, stores }));
    return;
  }
  await write(cli.stdout, `${headline(cluster, wallMs)}\n\n`);
  const { conditions = [], pd, stores: rows = [], blocked = [], regions, certificates } = cluster.status;
  await write(cli.stdout, `${conditionTable(conditions, wallMs)}\n`);
  const members = (pd?.list ?? []).map(({ name: member, ready, message }) => [
    member,
    ready ? (member === pd?.leader ? "leads" : "follows") : "not ready",
    message ?? "",
  ]);
  if (members.length > 0) await write(cli.stdout, `${renderTable(["PD", "STATE", "MESSAGE"], members)}\n`);
  await write(cli.stdout, `${storeTable(rows)}\n`);
  if (regions !== undefined) {
    const { total, underReplicated, noQuorum } = regions;
    await write(cli.stdout, `regions: ${total}, ${underReplicated} under-replicated, ${noQuorum} without a quorum\n`);
  }
  if (certificates?.nextExpiryAt !== undefined) {
    await write(cli.stdout, `certificates: the next expires in ${untilText(certificates.nextExpiryAt, wallMs)}\n`);
  }
  for (const { object, reason, since } of blocked) {
    await write(cli.stdout, `blocked: ${object}: ${reason} (for ${sinceText(since, wallMs)})\n`);
  }
}

/** `plan NAME`: what the operator does next, or would do in mode Plan. */
export async function showPlan({ kube, cli, output }: PluginContext, name: string): Promise<void> {
  const { status } = await findRheaCluster(kube, name);
  const plan = status.plan ?? [];
  if (output === "json") {
    await write(cli.stdout, renderJson(plan));
    return;
  }
  if (plan.length === 0) {
    await write(cli.stdout, "nothing to do\n");
    return;
  }
  for (const { action, reason, proof, undo } of plan) {
    await write(cli.stdout, `${action}\n  why:   ${reason}\n  proof: ${proof}\n  undo:  ${undo}\n`);
  }
}

/** `explain NAME [STORE]`: why the cluster, or a store, is as it is: its conditions, its pod and the last events about it. */
export async function explain(context: PluginContext, name: string, storeName: string | undefined): Promise<void> {
  const { kube, cli, wallMs } = context;
  const cluster = await findRheaCluster(kube, name);
  const store = storeName === undefined ? undefined : await findRheaStore(kube, cluster, storeName);
  const pods = await listPods(kube, cluster);
  const names = storeName === undefined ? [name, ...pods.map(podName)] : [storeName];
  const { blocked = [], conditions = [], stores = [], plan = [] } = cluster.status;
  if (store === undefined) {
    for (const { type, status, message } of conditions) {
      if ((status === "True") === (type === "Stalled" || type === "Blocked"))
        await write(cli.stdout, `${type}=${status}: ${message}\n`);
    }
  } else {
    await write(cli.stdout, `${explainStore(store, stores)}\n`);
    const pod = pods.find((candidate) => podName(candidate) === storeName);
    await write(cli.stdout, `${describePod(storeName ?? "", pod)}\n`);
  }
  const about = storeName === undefined ? blocked : blocked.filter(({ object }) => object === storeName);
  for (const { object, reason, since } of about) {
    await write(cli.stdout, `blocked: ${object}: ${reason} (for ${sinceText(since, wallMs)})\n`);
  }
  for (const { action, reason } of plan) {
    if (storeName === undefined || action.includes(storeName)) await write(cli.stdout, `next: ${action}: ${reason}\n`);
  }
  const events = await recentEvents(kube, names);
  if (events.length > 0) await write(cli.stdout, `\n${events.join("\n")}\n`);
}

function explainStore({ metadata, spec }: RheaStore, stores: readonly StoreStatus[]): string {
  const name = metadata?.name ?? "";
  const row = stores.find((candidate) => candidate.name === name);
  const marks = spec.drain === true ? "; you have asked to drain it (undo takes that back)" : "";
  if (row === undefined) return `${name}: the operator has not reported it yet${marks}`;
  const counts = `${row.regions ?? 0} regions, leader of ${row.leaders ?? 0}, ${row.pendingPeers ?? 0} peers pending`;
  const drained = row.drainedRatio === undefined ? "" : `, ${Math.round(row.drainedRatio * 100)} % drained`;
  const message = row.message === undefined ? "" : `: ${row.message}`;
  return `${name} is ${row.state}${message}; ${counts}${drained}${marks}`;
}

function describePod(name: string, pod: Pod | undefined): string {
  if (pod === undefined) return `pod ${name}: there is none`;
  const { phase = "Unknown", containerStatuses = [], conditions = [] } = pod.status ?? {};
  const state = containerStatuses[0]?.state;
  const waiting =
    state?.waiting === undefined ? "" : `, waiting: ${state.waiting.reason ?? ""} ${state.waiting.message ?? ""}`;
  const last = containerStatuses[0]?.lastState?.terminated;
  const ended = last === undefined ? "" : `, last run ended with code ${last.exitCode}`;
  const held = conditions.find(({ type, status }) => type === "PodScheduled" && status === "False");
  const node = pod.spec?.nodeName ?? "no node yet";
  return `pod ${name}: ${phase} on ${node}${waiting.trimEnd()}${ended}${held?.message === undefined ? "" : `, ${held.message}`}`;
}

async function recentEvents({ client, namespace }: KubeAccess, names: readonly string[]): Promise<readonly string[]> {
  const { items } = await client.list(RESOURCES.events, { namespace });
  // Events of older components have no eventTime, those of newer ones no timestamp of their own.
  const timeOf = ({ series, deprecatedLastTimestamp, eventTime, metadata }: (typeof items)[number]) =>
    [series?.lastObservedTime, deprecatedLastTimestamp, eventTime, metadata?.creationTimestamp].find(Boolean) ?? "";
  return items
    .filter(({ regarding }) => names.includes(regarding?.name ?? ""))
    .toSorted((a, b) => timeOf(a).localeCompare(timeOf(b)))
    .slice(-15)
    .map(
      (event) =>
        `${timeOf(event).slice(0, 19)}  ${event.type ?? ""}  ${event.regarding?.name ?? ""}  ${event.reason ?? ""}: ${event.note ?? ""}`,
    );
}

function headline({ name, namespace, object, status }: FoundCluster, wallMs: () => number): string {
  const ready = status.conditions?.find(({ type }) => type === "Ready");
  const generation = object.metadata?.generation;
  const lag =
    generation !== undefined && status.observedGeneration !== generation
      ? " (the operator has not seen the last change yet)"
      : "";
  const words =
    ready === undefined
      ? "no status yet: does the operator run?"
      : `${ready.status === "True" ? "Ready" : "not Ready"} for ${sinceText(ready.lastTransitionTime, wallMs)}`;
  return `${namespace}/${name}: ${words}${lag}`;
}

function conditionTable(conditions: readonly Condition[], wallMs: () => number): string {
  const rows = conditions.map(({ type, status, reason, message, lastTransitionTime }) => [
    type,
    status,
    sinceText(lastTransitionTime, wallMs),
    reason,
    message,
  ]);
  return renderTable(["CONDITION", "STATUS", "SINCE", "REASON", "MESSAGE"], rows);
}

function storeTable(stores: readonly StoreStatus[]): string {
  const rows = stores.map(({ name, id, state, leaders, regions, pendingPeers, node, message }) => [
    name,
    id ?? "-",
    state,
    leaders ?? "-",
    regions ?? "-",
    pendingPeers ?? "-",
    node ?? "-",
    message ?? "",
  ]);
  return renderTable(["STORE", "ID", "STATE", "LEADERS", "REGIONS", "PENDING", "NODE", "MESSAGE"], rows);
}

const podName = (pod: Pod): string => pod.metadata?.name ?? "";
const sinceText = (time = "", wallMs: () => number): string => durationText(Math.max(0, wallMs() - Date.parse(time)));
const untilText = (time: string, wallMs: () => number): string =>
  durationText(Math.max(0, Date.parse(time) - wallMs()));
