/** Tells PD in which zone stores stand: on Kubernetes a store's process knows no more than its node's name. Says only what differs. */
import { RheaError, type Logger } from "@rhea/common";
import type { Blocked, Observed } from "../../plan/index.js";
import type { PdCalls } from "./deps.js";

const ZONE = "topology.kubernetes.io/zone";
/** A view of PD that is older says that PD does not answer: it is not asked for more. */
const MAX_VIEW_AGE_MS = 5_000;
const TIMEOUT_MS = 1_500;

/** Brings PD's labels of stores in line with their nodes; returns what cannot be done. Never fails: a label can wait for the next pass. */
export async function syncLabels(
  { stores, view }: Pick<Observed, "stores" | "view">,
  pd: () => PdCalls,
  logger: Logger,
): Promise<readonly Blocked[]> {
  if (view === undefined || view.ageMs > MAX_VIEW_AGE_MS) return [];
  for (const { name, process, host } of stores) {
    const zone = host?.labels[ZONE]; // none: it has been told by hand, or there are none
    if (process.kind !== "running" || zone === undefined || zone === "") continue;
    const known = view.stores.find((store) => store.name === name && store.state !== "tombstone");
    if (known === undefined || known.labels["zone"] === zone) continue;
    try {
      await pd().setStoreLabels(known.storeId, { zone }, { origin: "operator", timeoutMs: TIMEOUT_MS });
      logger.log("info", "zone of a store is told to PD", { name, zone });
    } catch (thrown) {
      const { code, message } = RheaError.from(thrown);
      // Those after it would fail likewise, and each would take its time.
      return [
        {
          object: name,
          reason: `its zone ${zone} cannot be told to PD, which places replicas by it: ${code}: ${message}`,
        },
      ];
    }
  }
  return [];
}
