/**
 * The way to one other process: one stream that this side dials, a bounded queue, and a new attempt with back-off when it breaks.
 * What is lost is never repeated here: raft repairs it once it is told that a peer was unreachable.
 */
import {
  RheaError,
  type Clock,
  type Logger,
  type Net,
  type Rng,
  type RpcChannel,
  type RpcStream,
  type Scheduler,
  type TimerHandle,
  errorFromWire,
} from "@rhea/common";
import { RaftMethods, type RaftBatchInit, type RaftBatchReply, type RaftMessageInit } from "@rhea/proto";
import { Outbox } from "./outbox.js";
import type { IdentityBook } from "./identity.js";

const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 2_000;
/** An attempt that has not been answered by then has failed. */
const CONNECT_TIMEOUT_MS = 5_000;
const QUEUE_LIMIT_BYTES = 64 * 1024 * 1024;
/** Bytes given to a stream and not yet sent, above which heartbeats are dropped. */
const MAX_UNSENT_BYTES = 16 * 1024 * 1024;
/** What may be on its way before the other side has answered the handshake. */
const UNANSWERED_BATCHES = 64;

const REFUSALS: readonly string[] = ["CLUSTER_MISMATCH", "STALE_IDENTITY", "VERSION_UNSUPPORTED", "NOT_FOUND"];

/** What a link needs and whom it tells. */
export interface LinkOptions {
  readonly storeId: number;
  readonly identities: IdentityBook;
  readonly net: Net;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly logger: Logger;
  resolve(storeId: number): string | undefined;
  /** A message could not be sent. */
  onDropped(message: RaftMessageInit): void;
  /** The stream broke, so that anything sent lately may be lost. */
  onBroken(storeId: number): void;
  /** The process at the other end is certainly gone: a connection that worked was reset, and the next one was refused. */
  onGone(storeId: number): void;
  /** The process at the other end answered the handshake. */
  onUp(storeId: number): void;
  onSent(messages: number): void;
}

/** How a link is doing. */
export interface LinkFigures {
  readonly storeId: number;
  readonly state: "idle" | "connecting" | "open" | "waiting" | "closed";
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  readonly failures: number;
}

type LinkState =
  /** Nothing is connected; the next message dials. */
  | { readonly kind: "idle" }
  /** Resting after a failure. */
  | { readonly kind: "waiting"; readonly timer: TimerHandle }
  | {
      readonly kind: "open";
      readonly channel: RpcChannel;
      readonly stream: RpcStream<RaftBatchReply, RaftBatchInit>;
      readonly timer: TimerHandle;
    }
  | { readonly kind: "closed" };

/** One way to one store. */
export class PeerLink {
  readonly storeId: number;
  readonly outbox = new Outbox(QUEUE_LIMIT_BYTES);
  readonly #options: LinkOptions;
  #state: LinkState = { kind: "idle" };
  #isAnswered = false;
  #isWritable = true;
  #unanswered = 0;
  #failures = 0;
  /** Why the other side, or this one, ended the handshake. */
  #refusal: RheaError | undefined;
  /** The last stream worked and broke: a refused connection now means that the process is gone. */
  #wasReset = false;

  constructor(options: LinkOptions) {
    this.storeId = options.storeId;
    this.#options = options;
  }

  /** Whether the last attempts to reach the store have failed, and no later one has succeeded. */
  get isDown(): boolean {
    return this.#failures > 0;
  }

  stats(): LinkFigures {
    const { storeId } = this;
    const { kind } = this.#state;
    const unsentBytes = this.#state.kind === "open" ? this.#state.stream.queuedBytes : 0;
    return {
      storeId,
      state: kind === "open" && !this.#isAnswered ? "connecting" : kind,
      queuedMessages: this.outbox.messages,
      queuedBytes: this.outbox.bytes + unsentBytes,
      failures: this.#failures,
    };
  }

  /** Sends what is in the outbox, dialling if need be; what cannot be sent now stays queued or is dropped. */
  flush(): void {
    if (this.outbox.isEmpty()) return;
    if (this.#state.kind === "idle") this.#dial();
    if (this.#state.kind !== "open") {
      this.#dropAll();
      return;
    }
    const { stream } = this.#state;
    if (!this.#isAnswered && ++this.#unanswered > UNANSWERED_BATCHES) {
      this.#dropAll();
      return;
    }
    // Heartbeats do not wait behind queued entries, unless even they pile up.
    if (!this.#isWritable) {
      if (stream.queuedBytes > MAX_UNSENT_BYTES) this.outbox.dropHeartbeats();
      else if (this.outbox.hasHeartbeats) stream.send(this.#take(true));
      return;
    }
    for (let isWritable = true; isWritable && !this.outbox.isEmpty();) {
      isWritable = stream.send(this.#take(false));
      this.#isWritable = isWritable;
    }
  }

  /** The other process showed signs of life: no need to rest any longer. */
  wake(): void {
    this.#failures = 0;
    if (this.#state.kind !== "waiting") return;
    this.#state.timer.cancel();
    this.#state = { kind: "idle" };
  }

  close(): void {
    const state = this.#state;
    this.#state = { kind: "closed" };
    this.outbox.clear();
    if (state.kind === "waiting" || state.kind === "open") state.timer.cancel();
    if (state.kind === "open") {
      state.stream.close();
      state.channel.close();
    }
  }

  #take(heartbeatsOnly: boolean): RaftBatchInit {
    const batch = this.outbox.takeBatch(heartbeatsOnly, this.#options.clock.monotonicMs());
    this.#options.onSent(batch.messages?.length ?? 0);
    return batch;
  }

  #dropAll(): void {
    for (const message of this.outbox.clear()) this.#options.onDropped(message);
  }

  #dial(): void {
    const { net, scheduler, identities, storeId } = this.#options;
    const address = this.#options.resolve(storeId);
    if (address === undefined) {
      this.#rest(new RheaError("UNAVAILABLE", "its address is unknown"));
      return;
    }
    const channel = net.connect(address);
    const stream = channel.stream(RaftMethods.Messages);
    const timer = scheduler.setTimer(CONNECT_TIMEOUT_MS, () => {
      if (!this.#isAnswered)
        stream.close(new RheaError("UNAVAILABLE", `store ${storeId} at ${address} does not answer`));
    });
    this.#refusal = undefined;
    this.#isAnswered = false;
    this.#isWritable = true;
    this.#unanswered = 0;
    this.#state = { kind: "open", channel, stream, timer };
    stream.listen({
      onMessage: (reply) => {
        this.#onReply(reply, stream);
      },
      onClose: (error) => {
        this.#onClose(stream, error);
      },
      onDrain: () => {
        if (this.#isCurrent(stream)) {
          this.#isWritable = true;
          this.flush();
        }
      },
    });
    stream.send({ handshake: identities.handshake(storeId) });
  }

  #isCurrent(stream: RpcStream<RaftBatchReply, RaftBatchInit>): boolean {
    return this.#state.kind === "open" && this.#state.stream === stream;
  }

  #onReply(reply: RaftBatchReply, stream: RpcStream<RaftBatchReply, RaftBatchInit>): void {
    if (!this.#isCurrent(stream)) return;
    const { storeId, identities } = this.#options;
    const refusal =
      reply.error === null
        ? reply.handshake === null
          ? undefined
          : identities.checkReply(reply.handshake, storeId)
        : errorFromWire(reply.error);
    if (refusal !== undefined) {
      this.#refusal = refusal;
      stream.close(refusal);
      return;
    }
    this.#isAnswered = true;
    this.#wasReset = false;
    this.#failures = 0;
    if (this.#state.kind === "open") this.#state.timer.cancel();
    this.#options.onUp(storeId);
  }

  #onClose(stream: RpcStream<RaftBatchReply, RaftBatchInit>, error: Error | undefined): void {
    if (this.#state.kind !== "open" || this.#state.stream !== stream) return;
    this.#state.timer.cancel();
    this.#state.channel.close();
    const worked = this.#isAnswered;
    this.#isAnswered = false;
    this.#dropAll();
    if (worked) {
      // The process may be gone, or the connection only: an attempt at once tells.
      this.#wasReset = true;
      this.#state = { kind: "idle" };
      this.#dial();
      this.#options.onBroken(this.storeId);
      return;
    }
    const isGone = this.#wasReset && isRefusedConnection(error);
    this.#wasReset = false;
    this.#rest(this.#refusal ?? error ?? new RheaError("UNAVAILABLE", "the stream was closed without an answer"));
    if (isGone) this.#options.onGone(this.storeId);
    else this.#options.onBroken(this.storeId);
  }

  #rest(error: Error): void {
    const { scheduler, rng, logger } = this.#options;
    const base = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** Math.min(this.#failures, 10));
    const delayMs = base / 2 + rng.int(Math.ceil(base / 2) + 1);
    if (this.#failures === 0 || isRefusal(error)) {
      const level = isRefusal(error) ? "error" : "warn";
      logger.log(level, "cannot reach store", { storeId: this.storeId, why: error.message });
    }
    this.#failures++;
    this.#state = {
      kind: "waiting",
      timer: scheduler.setTimer(delayMs, () => {
        if (this.#state.kind === "waiting") this.#state = { kind: "idle" };
      }),
    };
  }
}

/** Whether the other side answered and refused, in contrast to not being there. */
function isRefusal(error: Error): boolean {
  return error instanceof RheaError && REFUSALS.includes(error.code);
}

/** Whether nothing listens at the address. The text is that of the operating system's error, which gRPC passes on. */
function isRefusedConnection(error: Error | undefined): boolean {
  return error?.message.includes("ECONNREFUSED") ?? false;
}
