/** The receiving side of the message streams: handshake first, then batches until the stream breaks or a newer one replaces it. */
import { RheaError, type Logger, type RpcServer, type RpcStream, errorToWire } from "@rhea/common";
import { RaftMethods, type RaftBatch, type RaftBatchReplyInit } from "@rhea/proto";
import type { IdentityBook } from "./identity.js";

/** Whom the receiving side tells. */
export interface InboundOptions {
  readonly identities: IdentityBook;
  readonly logger: Logger;
  /** A store dialled in: it is alive. */
  onConnected(storeId: number, incarnation: number): void;
  /** `incarnation`: that of the process which opened the stream. */
  onBatch(fromStore: number, incarnation: number, batch: RaftBatch): void;
}

type BatchStream = RpcStream<RaftBatch, RaftBatchReplyInit>;

/** Accepts message streams of other stores. */
export class Inbound {
  readonly #options: InboundOptions;
  readonly #streams = new Map<number, BatchStream>();
  #isClosed = false;

  constructor(options: InboundOptions) {
    this.#options = options;
  }

  /** Registers the method on the owner's server. */
  addTo(server: RpcServer): void {
    server.stream(RaftMethods.Messages, (stream: BatchStream) => {
      this.#accept(stream);
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const stream of this.#streams.values()) stream.close(new RheaError("SHUTTING_DOWN", "the store is closing"));
    this.#streams.clear();
  }

  #accept(stream: BatchStream): void {
    let fromStore = 0;
    let incarnation = 0;
    stream.listen({
      onMessage: (batch) => {
        if (fromStore !== 0) {
          // A replaced stream's late messages are harmless, raft has seen worse; but those after close() must not start anything.
          if (!this.#isClosed) this.#options.onBatch(fromStore, incarnation, batch);
          return;
        }
        fromStore = this.#greet(stream, batch);
        incarnation = batch.handshake?.incarnation ?? 0;
      },
      onClose: () => {
        if (fromStore !== 0 && this.#streams.get(fromStore) === stream) this.#streams.delete(fromStore);
      },
    });
  }

  /** Returns the store at the other end, or 0 after refusing it. */
  #greet(stream: BatchStream, { handshake }: RaftBatch): number {
    const { identities, logger } = this.#options;
    const refusal = this.#isClosed
      ? new RheaError("SHUTTING_DOWN", "the store is closing")
      : handshake === null
        ? new RheaError("INVALID_ARGUMENT", `${stream.remote}: the first message of a raft stream must be a handshake`)
        : identities.check(handshake);
    if (refusal !== undefined || handshake === null) {
      const error = refusal ?? new RheaError("INVALID_ARGUMENT", "no handshake");
      logger.log("error", "refused a raft stream", { remote: stream.remote, code: error.code, why: error.message });
      stream.send({ error: errorToWire(error) });
      stream.close();
      return 0;
    }
    const { storeId, incarnation } = handshake;
    this.#streams.get(storeId)?.close();
    this.#streams.set(storeId, stream);
    stream.send({ handshake: identities.handshake(storeId) });
    this.#options.onConnected(storeId, incarnation);
    return storeId;
  }
}
