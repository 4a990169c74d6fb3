/** Who may be a store: the rules of identity, incarnation, name and address. Pure. */
import { RheaError } from "@rhea/common";
import { storeHealth, type ClusterView, type StoreIdentity, type StoreView } from "../cluster/index.js";

/**
 * Throws unless the process may act as this store: STALE_IDENTITY for a tombstone, another uuid, an older incarnation or another boot
 * of the same one; DISK_LOST for a known name under a new id; ALREADY_EXISTS for the address of another live store.
 */
export function requireAdmissible(identity: StoreIdentity, view: ClusterView, nowMs: number): void {
  const { storeId, name } = identity;
  if (storeId === 0 || name === "" || identity.address === "" || identity.uuid === "") {
    throw new RheaError("INVALID_ARGUMENT", `store ${storeId}: id, name, address and uuid must be given`);
  }
  const known = view.stores.get(storeId);
  if (known !== undefined) requireSameIdentity(identity, known);
  for (const other of view.stores.all()) {
    if (other.storeId === storeId || storeHealth(other, nowMs, view.settings) === "down") continue;
    if (known === undefined && other.name === name) {
      throw new RheaError(
        "DISK_LOST",
        `store name ${name} belongs to store ${other.storeId}, which is not down: a store under a known name without its identity has lost its disk; ` +
          `report the loss of store ${other.storeId} or choose another name`,
      );
    }
    requireOtherAddress(identity, other);
  }
}

/** Throws VERSION_UNSUPPORTED for a store that does not speak the feature level in force. */
export function requireLevel({ storeId, name, featureLevel, version }: StoreIdentity, inForce: number): void {
  // Stores that do not say their level are of the first one.
  if (Math.max(1, featureLevel) >= inForce) return;
  throw new RheaError(
    "VERSION_UNSUPPORTED",
    `store ${storeId} (${name}, version ${version}) speaks feature level ${featureLevel}, the cluster is at ${inForce}: start a newer version`,
  );
}

function requireSameIdentity(identity: StoreIdentity, known: StoreView): void {
  const { storeId } = identity;
  const stale = (why: string) => new RheaError("STALE_IDENTITY", `store ${storeId} (${known.name}): ${why}`);
  if (known.lifecycle === "tombstone") throw stale("it was removed from the cluster for good");
  if (known.uuid !== identity.uuid) throw stale(`uuid ${identity.uuid} is not the registered ${known.uuid}`);
  if (identity.incarnation < known.incarnation) {
    throw stale(
      `incarnation ${identity.incarnation} is older than ${known.incarnation}: a newer process of this store has started`,
    );
  }
  if (identity.incarnation === known.incarnation && identity.bootNonce !== known.bootNonce) {
    throw stale(`another process with incarnation ${identity.incarnation} exists: is the data directory a copy?`);
  }
}

function requireOtherAddress(identity: StoreIdentity, other: StoreView): void {
  const raftOf = (store: StoreIdentity) => (store.raftAddress === "" ? store.address : store.raftAddress);
  const isShared = identity.address === other.address || raftOf(identity) === raftOf(other);
  if (!isShared) return;
  throw new RheaError(
    "ALREADY_EXISTS",
    `address ${identity.address} of store ${identity.storeId} (${identity.name}) belongs to store ${other.storeId} (${other.name}), which is not down: ` +
      "use another address, or remove that store first",
  );
}
