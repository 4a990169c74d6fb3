/** Commands that ask the operator for something: drain, undo, restart. They change what is wanted; the operator does it. */
import { RheaError } from "@rhea/common";
import { RESOURCES } from "@rhea/operator/kube";
import { write } from "../output.js";
import { findRheaCluster, findRheaStore } from "./cluster-objects.js";
import type { PluginContext } from "./context.js";

/** A new value restarts all pods of the cluster, one by one. */
const RESTARTED_AT = "rheakv.io/restarted-at";

/** `drain NAME STORE`: empties a store and puts another in its place. */
export async function drainStore(context: PluginContext, name: string, storeName: string): Promise<void> {
  await setDrain(context, name, storeName, true);
  await write(
    context.cli.stdout,
    `${storeName} drains and another store takes its place; kubectl rhea status ${name} shows how far, kubectl rhea undo ${name} ${storeName} takes it back\n`,
  );
}

/** `undo NAME STORE`: takes a drain back, at any time before the store is gone. */
export async function undoDrain(context: PluginContext, name: string, storeName: string): Promise<void> {
  const store = await setDrain(context, name, storeName, false);
  const wasAsked = store.spec.drain === true;
  await write(
    context.cli.stdout,
    wasAsked
      ? `${storeName} stays; a store that was added in its place is drained again\n`
      : `${storeName} was not being drained by a user: a scale-in is taken back by raising spec.stores.replicas\n`,
  );
}

async function setDrain({ kube }: PluginContext, name: string, storeName: string, drain: boolean) {
  const cluster = await findRheaCluster(kube, name);
  const store = await findRheaStore(kube, cluster, storeName);
  const key = { namespace: cluster.namespace, name: storeName };
  if ((store.spec.drain ?? false) !== drain)
    await kube.client.mergePatch(RESOURCES.rheaStores, key, { spec: { drain } });
  return store;
}

/** `restart NAME`: restarts PD and the stores one by one, leaders first moved away. */
export async function restartAll({ kube, cli, wallMs }: PluginContext, name: string): Promise<void> {
  const { namespace, object } = await findRheaCluster(kube, name);
  if (object.spec.mode === "Paused") {
    throw new RheaError("OPERATION_REFUSED", `cluster ${name}: spec.mode is Paused: set it to Reconcile first`);
  }
  const at = new Date(wallMs()).toISOString();
  await kube.client.mergePatch(
    RESOURCES.rheaClusters,
    { namespace, name },
    { metadata: { annotations: { [RESTARTED_AT]: at } } },
  );
  await write(
    cli.stdout,
    `${name}: its pods are restarted one by one; kubectl rhea plan ${name} shows the next step\n`,
  );
}
