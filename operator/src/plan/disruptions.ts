import { answers, isMember, type Context } from "./judge.js";

/** How many processes must go on when somebody drains hosts: for a PodDisruptionBudget. */
export interface Disruptions {
  readonly storesMinAvailable: number;
  readonly pdMinAvailable: number;
}

/**
 * Computes what may be taken away: as many stores as every region can lose now and keep its quorum, and PD members down to their quorum. A healthy
 * cluster always lets one go, a cluster of one too, so that draining a host is never stuck. While PD does not answer, nothing more may go,
 * unless there is but one.
 */
export function computeDisruptions({ view, stores, pds }: Context): Disruptions {
  const voters = view?.members.filter(({ isVoter }) => isVoter).length ?? pds.length;
  return {
    storesMinAvailable: storesMinAvailable({ view, stores }),
    pdMinAvailable: voters <= 1 ? 0 : Math.floor(voters / 2) + 1,
  };
}

function storesMinAvailable({ view, stores }: Pick<Context, "view" | "stores">): number {
  const present = stores.filter((store) => isMember(store) || store.isLeaving || store.verdict.kind === "draining");
  if (present.length <= 1) return 0;
  if (view === undefined) return present.length;
  const running = present.filter(answers);
  const answering = new Set(running.flatMap(({ pd }) => (pd === undefined ? [] : [pd.storeId])));
  const spares = view.regions.map(({ peers, downPeerIds }) => {
    const voters = peers.filter(({ isVoter }) => isVoter);
    const live = voters.filter(({ storeId, peerId }) => answering.has(storeId) && !downPeerIds.includes(peerId));
    return live.length - (Math.floor(voters.length / 2) + 1);
  });
  const isHealthy =
    running.length === present.length && view.regions.every(({ isFullyReplicated }) => isFullyReplicated);
  const spare = Math.max(0, Math.min(present.length, ...spares));
  return Math.max(0, running.length - (isHealthy ? Math.max(1, spare) : spare));
}
