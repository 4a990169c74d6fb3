import { answers, type Context, type JudgedStore } from "./judge.js";
import type { PdRegion, PdView } from "./observed.js";

/** A leader reports all its regions every 30 s; older than this is not proof of anything. */
export const REPORT_FRESH_MS = 45_000;

/** Whether PD has heard of a region lately. */
export function isFresh({ reportedMsAgo }: PdRegion, { ageMs }: PdView): boolean {
  return reportedMsAgo + ageMs <= REPORT_FRESH_MS;
}

/** The arithmetic of a region's quorum, without the peers of `without` if it is given up. */
export function quorumOf(
  { stores }: Context,
  region: PdRegion,
  without?: JudgedStore,
): { readonly holds: boolean; readonly text: string } {
  const answering = new Set(
    stores
      .filter((store) => store !== without && answers(store))
      .flatMap(({ pd }) => (pd === undefined ? [] : [pd.storeId])),
  );
  const voters = region.peers.filter(({ isVoter }) => isVoter);
  const live = voters.filter(({ peerId, storeId }) => answering.has(storeId) && !region.downPeerIds.includes(peerId));
  const needed = Math.floor(voters.length / 2) + 1;
  return {
    holds: region.hasQuorum && live.length >= needed,
    text: `${live.length} of ${voters.length} voters answer, a quorum is ${needed}`,
  };
}

/** The regions that are known to serve and may not go on if this store stops, even if PD does not hear it. */
export function regionsThatNeed(context: Context, store: JudgedStore): readonly PdRegion[] {
  const { view } = context;
  return (view?.regions ?? []).filter((region) => {
    const peer = region.peers.find(({ storeId, isVoter }) => isVoter && storeId === store.pd?.storeId);
    if (peer === undefined || region.downPeerIds.includes(peer.peerId)) return false;
    return region.hasQuorum && view !== undefined && isFresh(region, view) && !quorumOf(context, region, store).holds;
  });
}
