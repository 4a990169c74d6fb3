/** `recover NAME`: what is lost when a quorum is gone for good, and what can still come back. It changes nothing. */
import type { StoreStatus } from "@rhea/operator";
import { write } from "../output.js";
import { findRheaCluster } from "./cluster-objects.js";
import type { PluginContext } from "./context.js";

/** Prints the regions without a quorum and the stores whose return would give it back. */
export async function previewRecovery({ kube, cli }: PluginContext, name: string): Promise<void> {
  const { status } = await findRheaCluster(kube, name);
  const { regions, stores = [] } = status;
  if (regions === undefined) {
    await write(
      cli.stdout,
      `${name}: the placement driver has not told its regions: bring its members back first (kubectl rhea explain ${name})\n`,
    );
    return;
  }
  if (regions.noQuorum === 0) {
    await write(
      cli.stdout,
      `${name}: every one of its ${regions.total} regions has a quorum: there is nothing to recover\n`,
    );
    return;
  }
  await write(cli.stdout, `${name}: ${regions.noQuorum} of ${regions.total} regions have no quorum and cannot write\n`);
  for (const store of stores.filter(({ ready }) => !ready)) await write(cli.stdout, `${describe(store)}\n`);
  await write(
    cli.stdout,
    "bring back one of these with its volume and the regions serve again without loss; a quorum that is lost for good cannot be forced by this version\n",
  );
}

function describe({ name, state, regions, message }: StoreStatus): string {
  return `  ${name}: ${state}, ${regions ?? 0} regions${message === undefined ? "" : `, ${message}`}`;
}
