/** `report NAME`: everything that somebody who helps needs, as files. Secrets and data are left out. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { RheaError } from "@rhea/common";
import { RESOURCES, type Pod } from "@rhea/operator/kube";
import { renderJson, write } from "../output.js";
import { findRheaCluster, listPods, listRheaStores } from "./cluster-objects.js";
import type { PluginContext } from "./context.js";

const LOG_LINES = 2_000;

/** Writes the report into a directory, by default `rhea-report-NAME-TIME` where the command runs. */
export async function writeReport(
  { kube, cli, wallMs }: PluginContext,
  name: string,
  { directory }: { readonly directory?: string },
): Promise<void> {
  const cluster = await findRheaCluster(kube, name);
  const time = new Date(wallMs()).toISOString().slice(0, 19).replaceAll(":", "");
  const root = resolve(cli.cwd, directory ?? `rhea-report-${name}-${time}`);
  mkdirSync(root, { recursive: true });
  const save = (file: string, text: string) => writeFileSync(join(root, file), text);
  const missing: string[] = [];
  /** One thing that cannot be read must not keep the others from the report. */
  const gather = async (what: string, read: () => Promise<void>) => {
    try {
      await read();
    } catch (error) {
      missing.push(`${what}: ${RheaError.from(error).message}`);
    }
  };
  save("rheacluster.json", renderJson(cluster.object));
  await gather("stores", async () => save("rheastores.json", renderJson(await listRheaStores(kube, cluster))));
  await gather("events", async () => {
    const { items } = await kube.client.list(RESOURCES.events, { namespace: cluster.namespace });
    save("events.json", renderJson(items));
  });
  await gather("volumes", async () => {
    const labelSelector = `rheakv.io/cluster=${name}`;
    const { items } = await kube.client.list(RESOURCES.persistentVolumeClaims, {
      namespace: cluster.namespace,
      labelSelector,
    });
    save("persistentvolumeclaims.json", renderJson(items));
  });
  await gather("nodes", async () => save("nodes.json", renderJson((await kube.client.list(RESOURCES.nodes)).items)));
  await gather("pods", async () => {
    const pods = await listPods(kube, cluster);
    save("pods.json", renderJson(pods));
    for (const pod of pods) await saveLogs(pod);
  });
  async function saveLogs({ metadata, status }: Pod) {
    const key = { namespace: cluster.namespace, name: metadata?.name ?? "" };
    const hasRestarted = (status?.containerStatuses ?? []).some(({ restartCount }) => restartCount > 0);
    for (const previous of hasRestarted ? [false, true] : [false]) {
      await gather(`log of ${key.name}`, async () => {
        save(
          `${key.name}${previous ? ".previous" : ""}.log`,
          await kube.client.podLog(key, { tailLines: LOG_LINES, previous }),
        );
      });
    }
  }
  if (missing.length > 0) save("missing.txt", `${missing.join("\n")}\n`);
  await write(cli.stdout, `${root}\n`);
  for (const line of missing) cli.stderr.write(`not in the report: ${line}\n`);
}
