/** Clients' streams: requests to regions, answers once per stream and turn. Plus routes for clients that reach no PD. */
import { RheaError, asBuffer, type RpcServer, type RpcStream, errorToWire } from "@rhea/common";
import {
  Command,
  KvMethods,
  type KvRequests,
  type KvResponsesInit,
  type KvResultInit,
  type ReadResultInit,
  type RegionOperations,
} from "@rhea/proto";
import type { StoreEngineOptions } from "../engine/api.js";
import { countError } from "../engine/counters.js";
import type { StoreEngineCore } from "../engine/store-engine.js";
import type { TurnQueue, TurnTask } from "../engine/turn-queue.js";
import type { ReplySink } from "../region/reply-sink.js";
import { listRoutes } from "./routes.js";

/** What this build speaks on a client's stream. */
const PROTOCOL_VERSION = 1;
/** Bytes of results in one message, roughly; one result may be larger. */
const MESSAGE_BYTES = 4 << 20;
/** A client that does not take its answers is refused further work over this. */
const MAX_QUEUED_BYTES = 64 << 20;

/** Registers the Kv service. */
export function addKvService(
  server: RpcServer,
  engine: StoreEngineCore,
  options: StoreEngineOptions,
  replies: TurnQueue,
): void {
  server.stream(KvMethods.Operations, (stream) => {
    stream.listen(new ClientStream(stream, engine, options, replies));
  });
  server.unary(KvMethods.Routes, async (request) => listRoutes(engine, options, request));
}

/** One client's stream: the sink of all its operations. */
class ClientStream implements ReplySink, TurnTask {
  readonly #stream: RpcStream<KvRequests, KvResponsesInit>;
  readonly #engine: StoreEngineCore;
  readonly #options: StoreEngineOptions;
  readonly #replies: TurnQueue;
  #results: KvResultInit[] = [];
  #resultBytes = 0;
  #state: "new" | "open" | "closed" = "new";

  constructor(
    stream: RpcStream<KvRequests, KvResponsesInit>,
    engine: StoreEngineCore,
    options: StoreEngineOptions,
    replies: TurnQueue,
  ) {
    this.#stream = stream;
    this.#engine = engine;
    this.#options = options;
    this.#replies = replies;
    engine.counters.clientStreams++;
  }

  onMessage(message: KvRequests): void {
    if (message.hello !== null) this.#greet(message.hello.protocolVersion, message.hello.clusterId);
    if (this.#state === "new") {
      this.#state = "closed";
      this.#stream.close(new RheaError("INVALID_ARGUMENT", "a client's stream begins with its hello"));
    }
    if (this.#state !== "open") return;
    for (const region of message.regions) this.#take(region);
  }

  onClose(): void {
    this.#state = "closed";
    this.#engine.counters.clientStreams--;
  }

  command(id: number, result: Uint8Array): void {
    this.#push({ id, commandResult: result }, result.length);
  }

  read(id: number, result: ReadResultInit): void {
    this.#engine.counters.readsServed++;
    let bytes = result.value?.length ?? 0;
    for (const row of result.entries ?? []) bytes += (row.key?.length ?? 0) + (row.value?.length ?? 0);
    this.#push({ id, read: result }, bytes);
  }

  error(id: number, error: RheaError): void {
    countError(this.#engine.counters, error.code);
    this.#push({ id, error: errorToWire(error) }, 64);
  }

  /** Sends what the turn brought. */
  runTurn(): void {
    const results = this.#results;
    if (results.length === 0 || this.#state !== "open") return;
    this.#results = [];
    this.#resultBytes = 0;
    this.#stream.send({ results });
  }

  #greet(protocolVersion: number, clusterId: number): void {
    const options = this.#options;
    let error: RheaError | undefined;
    if (protocolVersion !== PROTOCOL_VERSION) {
      error = new RheaError(
        "VERSION_UNSUPPORTED",
        `store ${options.storeId} speaks version ${PROTOCOL_VERSION}, the client ${protocolVersion}`,
      );
    } else if (clusterId !== 0 && clusterId !== options.clusterId) {
      error = new RheaError(
        "CLUSTER_MISMATCH",
        `store ${options.storeId} is of cluster ${options.clusterId}, not ${clusterId}`,
      );
    }
    this.#stream.send({
      hello: {
        protocolVersion: PROTOCOL_VERSION,
        clusterId: options.clusterId,
        storeId: options.storeId,
        incarnation: options.incarnation,
        error: error === undefined ? null : errorToWire(error),
      },
    });
    this.#state = error === undefined ? "open" : "closed";
    if (error !== undefined) this.#stream.close();
  }

  #take(request: RegionOperations): void {
    const region = this.#engine.internal(request.regionId);
    const refusal = this.#refusal(request.regionId, region === undefined);
    if (region === undefined || refusal !== undefined) {
      if (refusal !== undefined) for (const { id } of request.operations) this.error(id, refusal);
      return;
    }
    const epoch = { confVer: request.confVer, version: request.version };
    for (const operation of request.operations) {
      const { id, read } = operation;
      if (read !== null) {
        region.reads.submit({ id, sink: this, read, epoch });
        continue;
      }
      const bytes = operation.command;
      let command: Command;
      try {
        command = Command.decode(bytes);
      } catch (cause) {
        this.error(id, new RheaError("INVALID_ARGUMENT", "a command's bytes are malformed", { cause }));
        continue;
      }
      region.proposals.submit({ id, sink: this, command, bytes: asBuffer(bytes) }, epoch);
    }
  }

  #refusal(regionId: number, isUnknown: boolean): RheaError | undefined {
    const { storeId } = this.#options;
    if (this.#engine.isClosing) return new RheaError("SHUTTING_DOWN", `store ${storeId} stops`);
    if (isUnknown) {
      return new RheaError(
        "REGION_NOT_FOUND",
        `region ${regionId} is not on store ${storeId}: refresh the route and retry`,
        {
          details: { regionId },
        },
      );
    }
    if (this.#stream.queuedBytes > MAX_QUEUED_BYTES) {
      return new RheaError("SERVER_BUSY", `store ${storeId}: the client does not take its answers`, {
        details: { retryAfterMs: 100 },
      });
    }
    return undefined;
  }

  #push(result: KvResultInit, bytes: number): void {
    if (this.#state !== "open") return;
    if (this.#resultBytes > 0 && this.#resultBytes + bytes > MESSAGE_BYTES) this.runTurn();
    this.#results.push(result);
    this.#resultBytes += bytes;
    if (this.#results.length === 1) this.#replies.schedule(this);
  }
}
