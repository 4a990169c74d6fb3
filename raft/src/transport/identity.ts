/** Who speaks with whom: what a handshake says, and what a process refuses. */
import { compareBytes, RheaError } from "@rhea/common";
import type { Handshake, HandshakeInit } from "@rhea/proto";

/** Version of the messages between hosts. */
const PROTOCOL_VERSION = 1;

/** What this process says of itself. */
export interface LocalIdentity {
  readonly clusterId: number;
  readonly storeId: number;
  readonly incarnation: number;
  readonly bootNonce: Uint8Array;
  readonly featureLevel: number;
  /** `host:port` at which this process is reached; empty: it does not say. */
  readonly address: string;
}

/** Remembers the newest life of every store that was met, so that an older disk image which comes back is refused. */
export class IdentityBook {
  readonly local: LocalIdentity;
  readonly #seen = new Map<number, { incarnation: number; bootNonce: Uint8Array }>();
  readonly #addresses = new Map<number, string>();

  constructor(local: LocalIdentity) {
    this.local = local;
  }

  /** Where a store said it is reached; undefined if it did not. */
  addressOf(storeId: number): string | undefined {
    return this.#addresses.get(storeId);
  }

  /** Forgets the lives of a store that has no members any more: it may begin anew, with an empty disk. */
  forget(storeId: number): void {
    this.#seen.delete(storeId);
  }

  /** The first message to `toStoreId`. */
  handshake(toStoreId: number): HandshakeInit {
    const { clusterId, storeId, incarnation, bootNonce, featureLevel, address } = this.local;
    return {
      protocolVersion: PROTOCOL_VERSION,
      clusterId,
      storeId,
      incarnation,
      bootNonce,
      featureLevel,
      toStoreId,
      address,
    };
  }

  /** Returns why a handshake must be refused, or undefined after taking note of it. */
  check(handshake: Handshake): RheaError | undefined {
    const { clusterId, storeId } = this.local;
    const from = `store ${handshake.storeId}`;
    if (handshake.protocolVersion !== PROTOCOL_VERSION) {
      const versions = `${handshake.protocolVersion}, this store speaks ${PROTOCOL_VERSION}`;
      return new RheaError("VERSION_UNSUPPORTED", `${from} speaks raft protocol ${versions}: upgrade the older one`);
    }
    if (handshake.clusterId !== clusterId) {
      const clusters = `${handshake.clusterId}, this store to ${clusterId}`;
      return new RheaError("CLUSTER_MISMATCH", `${from} belongs to cluster ${clusters}: check the addresses`);
    }
    if (handshake.toStoreId !== storeId) {
      const stores = `store ${handshake.toStoreId}, but this is store ${storeId}`;
      return new RheaError("NOT_FOUND", `${from} looks for ${stores}: refresh the address`);
    }
    const refusal = this.#checkIncarnation(handshake);
    if (refusal === undefined && handshake.address !== "") this.#addresses.set(handshake.storeId, handshake.address);
    return refusal;
  }

  /** Whether the address answered as the store that was called. */
  checkReply(handshake: Handshake, calledStoreId: number): RheaError | undefined {
    if (handshake.storeId === calledStoreId) return this.check(handshake);
    const stores = `store ${calledStoreId} answered as store ${handshake.storeId}`;
    return new RheaError("NOT_FOUND", `the address of ${stores}: refresh the address`);
  }

  #checkIncarnation({ storeId, incarnation, bootNonce }: Handshake): RheaError | undefined {
    const seen = this.#seen.get(storeId);
    if (seen !== undefined && incarnation < seen.incarnation) {
      const why = `comes with incarnation ${incarnation} after ${seen.incarnation} was seen`;
      return new RheaError("STALE_IDENTITY", `store ${storeId} ${why}: an older disk image was brought back`);
    }
    if (seen?.incarnation === incarnation && compareBytes(seen.bootNonce, bootNonce) !== 0) {
      const why = `comes with incarnation ${incarnation} from two different boots`;
      return new RheaError("STALE_IDENTITY", `store ${storeId} ${why}: a copy of its disk is running`);
    }
    if (seen?.incarnation !== incarnation) this.#seen.set(storeId, { incarnation, bootNonce });
    return undefined;
  }
}
