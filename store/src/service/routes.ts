/** Routes as this store knows them: its own regions, for clients that reach no PD. */
import { toLatin1 } from "@rhea/common";
import { PeerRole, type StoreRoutesRequest, type StoreRoutesResponseInit } from "@rhea/proto";
import type { StoreEngineOptions } from "../engine/api.js";
import type { StoreEngineCore } from "../engine/store-engine.js";
import { descriptorToProto, overlaps } from "../format/descriptor.js";

/** Routes in one answer at most. */
const MAX_ROUTES = 20_000;

/** Lists the live regions here that overlap the range, by start key, and the address book. */
export function listRoutes(
  engine: StoreEngineCore,
  options: StoreEngineOptions,
  request: StoreRoutesRequest,
): StoreRoutesResponseInit {
  const range = { start: toLatin1(request.startKey), end: toLatin1(request.endKey) };
  const limit = request.limit === 0 ? MAX_ROUTES : Math.min(request.limit, MAX_ROUTES);
  const routes = engine
    .regions()
    .filter((region) => region.state === "live" && overlaps(region.descriptor, range))
    .slice(0, limit)
    .map(({ descriptor, leader }) => ({
      region: descriptorToProto(descriptor),
      leader: leader === undefined ? null : { ...leader, role: PeerRole.VOTER },
    }));
  return { routes, stores: options.storeBook?.() ?? [] };
}
