/** The server side of a store's heartbeat stream: admits the store by its first message, then hands every message to the coordinator. */
import { RheaError, type RpcStream } from "@rhea/common";
import type { PdToStoreInit, StoreToPd } from "@rhea/proto";
import { identityFromProto, type StoreIdentity } from "../cluster/index.js";
import type { Coordinator } from "./coordinator.js";
import { requireCluster } from "./cluster-api.js";

/** Serves one stream. `leading` throws PD_NOT_LEADER where this member does not lead. */
export function serveHeartbeats(stream: RpcStream<StoreToPd, PdToStoreInit>, leading: () => Coordinator): void {
  const sender = { send: (message: PdToStoreInit) => stream.send(message), close: () => stream.close() };
  let admitted: { coordinator: Coordinator; storeId: number } | undefined;
  let isAdmitting = false;
  let isClosed = false;
  const early: StoreToPd[] = [];

  const refuse = (thrown: unknown) => {
    const error = RheaError.from(thrown);
    const code = error.code === "NOT_LEADER" ? "PD_NOT_LEADER" : error.code;
    stream.send({ error: { code, message: error.message, leaderAddress: error.details.leader?.address ?? "" } });
    stream.close();
  };
  const admit = async (first: StoreToPd) => {
    const coordinator = leading();
    const identity = identityOf(first, coordinator);
    await coordinator.putStore(identity);
    if (isClosed) return;
    // The leadership may have ended and begun anew meanwhile: a session with an old reign would be heard by nobody.
    if (leading() !== coordinator) throw new RheaError("PD_NOT_LEADER", "PD's leadership changed, connect again");
    coordinator.openSession(identity, sender);
    admitted = { coordinator, storeId: identity.storeId };
    for (const message of [first, ...early.splice(0)]) coordinator.onMessage(identity.storeId, message);
  };

  stream.listen({
    onMessage(message) {
      if (admitted !== undefined) {
        admitted.coordinator.onMessage(admitted.storeId, message);
      } else if (isAdmitting) {
        early.push(message);
      } else {
        isAdmitting = true;
        admit(message).catch(refuse);
      }
    },
    onClose() {
      isClosed = true;
      admitted?.coordinator.closeSession(admitted.storeId, sender);
    },
  });
}

function identityOf(first: StoreToPd, coordinator: Coordinator): StoreIdentity {
  requireCluster(first.header, coordinator.clusterId, { mayBeAny: false });
  if (first.store === null)
    throw new RheaError("INVALID_ARGUMENT", "heartbeats: the first message of a stream names the store");
  const identity = identityFromProto(first.store);
  if (coordinator.cluster.stores.get(identity.storeId) === undefined) {
    throw new RheaError(
      "NOT_FOUND",
      `store ${identity.storeId} is not registered with this cluster: PutStore comes before heartbeats`,
    );
  }
  return identity;
}
