/** The network over gRPC. Messages are encoded in `send`, so that queues are known in bytes. */
import * as grpc from "@grpc/grpc-js";
import { asBuffer } from "../bytes.js";
import { errorFromJson, errorToJson } from "../error-json.js";
import { ERROR_CODES, RheaError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { Net, RpcChannel, RpcContext, RpcMethod, RpcServer, RpcStream, StreamListener, TlsFiles } from "../net.js";
import { ChannelSecurity, ServerSecurity } from "./grpc-security.js";
import { TlsSource } from "./tls-source.js";

/** Largest message, each way. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** Above this many queued bytes `send` says to stop. */
const HIGH_WATER_BYTES = 4 * 1024 * 1024;
/** Trailers are limited to a few KiB: larger details stay behind. */
const MAX_TRAILER_BYTES = 4096;
const ERROR_KEY = "rhea-error-bin";
/**
 * A connection attempt without an answer for so long is given up and begun anew from the name. gRPC itself would wait for the kernel, 127 s,
 * when a pod is gone and packets to its address fall on the floor.
 */
const CONNECT_TIMEOUT_MS = 2_000;
/** The same once TCP stands: the other side is there, and may be busy. */
const HANDSHAKE_TIMEOUT_MS = 6_000;

const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  // Also without calls: a connection that died at rest is known before the next call needs it.
  "grpc.keepalive_time_ms": 5_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.keepalive_permit_without_calls": 1,
  // The name is resolved again after each failed attempt: this bounds how late a moved process is found.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  "grpc.dns_min_time_between_resolutions_ms": 1_000,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
  "grpc-node.flow_control_window": 4 * 1024 * 1024,
};

const identity = (bytes: Buffer): Buffer => bytes;

/** What of a Duplex both ends of a gRPC stream have. */
interface GrpcDuplex {
  on(event: "data", listener: (bytes: Buffer) => void): unknown;
  on(event: "end" | "close" | "drain", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  write(bytes: Buffer, done: (error?: Error | null) => void): boolean;
  end(): void;
  pause(): unknown;
  resume(): unknown;
}

/** gRPC's words without what only its authors need. */
function detailsOf(error: grpc.ServiceError): string {
  return error.details
    .replace(/^No connection established\. Last error: (?:Error: )?/, "no connection: ")
    .replace(/\. Resolution note: ?$/, "")
    .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)$/, "");
}

function fromStatus(error: grpc.ServiceError, what: string, details = detailsOf(error)): RheaError {
  const packed = error.metadata.get(ERROR_KEY)[0];
  if (packed !== undefined) return errorFromJson(packed.toString());
  const message = `${what}: ${details}`;
  switch (error.code) {
    case grpc.status.DEADLINE_EXCEEDED:
      return new RheaError("DEADLINE_EXCEEDED", message, { cause: error });
    case grpc.status.CANCELLED:
      return new RheaError("CANCELLED", message, { cause: error });
    case grpc.status.UNIMPLEMENTED:
      return new RheaError("VERSION_UNSUPPORTED", `${message}: the other side does not know this call`, {
        cause: error,
      });
    case grpc.status.RESOURCE_EXHAUSTED:
      return new RheaError("BATCH_TOO_LARGE", message, { cause: error });
    default:
      return new RheaError("UNAVAILABLE", message, { cause: error });
  }
}

function toStatus(thrown: unknown): Partial<grpc.StatusObject> {
  const error = RheaError.from(thrown);
  const metadata = new grpc.Metadata();
  let json = errorToJson(error);
  if (json.length > MAX_TRAILER_BYTES) json = errorToJson(new RheaError(error.code, error.message.slice(0, 1024)));
  metadata.set(ERROR_KEY, Buffer.from(json));
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- the table holds gRPC status numbers without importing gRPC
  const code: grpc.status = ERROR_CODES[error.code].grpc;
  return { code, details: error.message.slice(0, 1024), metadata };
}

function isServiceError(error: Error): error is grpc.ServiceError {
  return "code" in error && "metadata" in error && error.metadata instanceof grpc.Metadata;
}

class GrpcStream<In, Out> implements RpcStream<In, Out> {
  readonly remote: string;
  readonly #duplex: GrpcDuplex;
  readonly #encode: (message: Out) => Uint8Array;
  readonly #abort: (error: Error) => void;
  readonly #waiting: In[] = [];
  #listener: StreamListener<In> | undefined;
  #queuedBytes = 0;
  #isFull = false;
  #isOpen = true;
  #end: { error: Error | undefined } | undefined;

  constructor(
    remote: string,
    duplex: GrpcDuplex,
    encode: (message: Out) => Uint8Array,
    decode: (bytes: Uint8Array) => In,
    abort: (error: Error) => void,
    toError: (error: grpc.ServiceError) => RheaError = (error) => fromStatus(error, remote),
  ) {
    this.remote = remote;
    this.#duplex = duplex;
    this.#encode = encode;
    this.#abort = abort;
    duplex.on("data", (bytes) => {
      let message: In;
      try {
        message = decode(bytes);
      } catch (cause) {
        this.close(
          new RheaError("INVALID_ARGUMENT", `${remote}: malformed message of ${String(bytes.length)} bytes`, { cause }),
        );
        return;
      }
      if (this.#listener === undefined) this.#waiting.push(message);
      else if (this.#end === undefined) this.#listener.onMessage(message);
    });
    duplex.on("end", () => {
      this.#finish(undefined);
    });
    duplex.on("close", () => {
      this.#finish(undefined);
    });
    duplex.on("error", (error) => {
      this.#finish(isServiceError(error) ? toError(error) : error);
    });
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  listen(listener: StreamListener<In>): void {
    queueMicrotask(() => {
      this.#listener = listener;
      for (const message of this.#waiting.splice(0)) listener.onMessage(message);
      if (this.#end !== undefined) listener.onClose(this.#end.error);
    });
  }

  send(message: Out): boolean {
    if (!this.#isOpen) return false;
    const bytes = asBuffer(this.#encode(message));
    this.#queuedBytes += bytes.length;
    this.#duplex.write(bytes, () => {
      this.#queuedBytes -= bytes.length;
      if (this.#isFull && this.#queuedBytes < HIGH_WATER_BYTES / 2) {
        this.#isFull = false;
        this.#listener?.onDrain?.();
      }
    });
    this.#isFull ||= this.#queuedBytes > HIGH_WATER_BYTES;
    return !this.#isFull;
  }

  close(error?: Error): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (error === undefined) this.#duplex.end();
    else {
      this.#abort(error);
      this.#finish(error);
    }
  }

  #finish(error: Error | undefined): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    if (this.#isOpen) {
      this.#isOpen = false;
      this.#duplex.end();
    }
    this.#listener?.onClose(error);
  }
}

class GrpcChannel implements RpcChannel {
  readonly address: string;
  readonly #dial: (address: string) => string;
  readonly #security: ChannelSecurity;
  #dialled: string;
  #client: grpc.Client;
  /** Runs while calls wait for a connection. */
  #patience: NodeJS.Timeout | undefined;
  #isWatched = false;
  #isClosed = false;

  constructor(address: string, source: TlsSource | undefined, dial: (address: string) => string) {
    this.address = address;
    this.#dial = dial;
    this.#security = new ChannelSecurity(address, source);
    this.#dialled = dial(address);
    this.#client = this.#open();
  }

  #open(): grpc.Client {
    const name = { "grpc.default_authority": this.address };
    return new grpc.Client(this.#dialled, this.#security, { ...CHANNEL_OPTIONS, ...name });
  }

  /** The client to call on; sees to it that its connection does not hang for ever. */
  #ready(): grpc.Client {
    if (this.#isClosed) return this.#client;
    const state = this.#client.getChannel().getConnectivityState(false);
    if (state === grpc.connectivityState.READY) return this.#client;
    const dialled = this.#dial(this.address);
    if (dialled !== this.#dialled) {
      this.#dialled = dialled;
      this.#renew();
    }
    if (!this.#isWatched) this.#watch(this.#client);
    this.#wait(CONNECT_TIMEOUT_MS);
    return this.#client;
  }

  #watch(client: grpc.Client): void {
    this.#isWatched = true;
    const channel = client.getChannel();
    channel.watchConnectivityState(channel.getConnectivityState(false), Infinity, () => {
      if (client !== this.#client || this.#isClosed) return;
      const state = channel.getConnectivityState(false);
      if (state !== grpc.connectivityState.READY) {
        this.#watch(client);
        return;
      }
      this.#isWatched = false;
      this.#stopWaiting();
      this.#security.established();
    });
  }

  #wait(delayMs: number): void {
    if (this.#patience !== undefined) return;
    const beganMs = performance.now();
    const client = this.#client;
    this.#patience = setTimeout(() => {
      this.#patience = undefined;
      const { progress } = this.#security;
      const isAnswering = progress === "handshake" || progress === "greeting";
      if (isAnswering && delayMs === CONNECT_TIMEOUT_MS) this.#wait(HANDSHAKE_TIMEOUT_MS - CONNECT_TIMEOUT_MS);
      else if (client.getChannel().getConnectivityState(false) === grpc.connectivityState.READY) return;
      // A process that slept, or was too busy to look, has given nobody the time to answer.
      else if (performance.now() - beganMs > 2 * delayMs) this.#wait(delayMs);
      else this.#renew();
    }, delayMs);
    this.#patience.unref();
  }

  #stopWaiting(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
  }

  /** Begins anew, from the name. What waited for the connection fails with UNAVAILABLE. */
  #renew(): void {
    this.#stopWaiting();
    this.#isWatched = false;
    const hung = this.#client;
    this.#client = this.#open();
    hung.close();
    this.#security.abandon();
  }

  #toError(error: grpc.ServiceError, what: string): RheaError {
    if (error.code !== grpc.status.UNAVAILABLE) return fromStatus(error, what);
    const where = this.#dialled === this.address ? "" : ` (dialled as ${this.#dialled})`;
    let details = detailsOf(error);
    const { cutOff } = this.#security;
    if (details === "Channel closed before call started" && !this.#isClosed) {
      details = `no connection within ${String(CONNECT_TIMEOUT_MS)} ms: nothing answers there`;
    } else if (cutOff !== undefined && !/ECONNREFUSED|UNREACH|resolution/.test(details)) {
      details = cutOff;
    }
    return fromStatus(error, `${what}${where}`, details);
  }

  unary<ReqInit, Req, ResInit, Res>(
    method: RpcMethod<ReqInit, Req, ResInit, Res>,
    request: ReqInit,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<Res> {
    return new Promise((resolve, reject) => {
      const call = this.#ready().makeUnaryRequest(
        method.path,
        identity,
        identity,
        asBuffer(method.encodeRequest(request)),
        new grpc.Metadata(),
        { deadline: Date.now() + options.timeoutMs },
        (error, answer) => {
          options.signal?.removeEventListener("abort", onAbort);
          if (error !== null) reject(this.#toError(error, `${method.path} at ${this.address}`));
          else if (answer === undefined)
            reject(new RheaError("INTERNAL", `${method.path} at ${this.address}: no answer`));
          else {
            try {
              resolve(method.decodeResponse(answer));
            } catch (cause) {
              reject(
                new RheaError("INVALID_ARGUMENT", `${method.path} at ${this.address}: malformed answer`, { cause }),
              );
            }
          }
        },
      );
      const onAbort = (): void => {
        call.cancel();
      };
      if (options.signal?.aborted === true) onAbort();
      else options.signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  stream<ReqInit, Req, ResInit, Res>(method: RpcMethod<ReqInit, Req, ResInit, Res>): RpcStream<Res, ReqInit> {
    const call = this.#ready().makeBidiStreamRequest(method.path, identity, identity, new grpc.Metadata());
    return new GrpcStream(
      this.address,
      call,
      (message: ReqInit) => method.encodeRequest(message),
      (bytes) => method.decodeResponse(bytes),
      () => {
        call.cancel();
      },
      (error) => this.#toError(error, this.address),
    );
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopWaiting();
    this.#client.close();
    this.#security.release();
  }
}

class GrpcServer implements RpcServer {
  readonly #server = new grpc.Server({
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 5_000,
  });
  readonly #security: ServerSecurity | undefined;
  #openCalls = 0;
  #onIdle: (() => void) | undefined;

  constructor(source: TlsSource | undefined) {
    this.#security = source === undefined ? undefined : new ServerSecurity(source);
  }

  unary<ReqInit, Req, ResInit, Res>(
    method: RpcMethod<ReqInit, Req, ResInit, Res>,
    handler: (request: Req, context: RpcContext) => Promise<ResInit>,
  ): void {
    const serve: grpc.handleUnaryCall<Buffer, Buffer> = (call, reply) => {
      this.#openCalls++;
      const finish = (error: Partial<grpc.StatusObject> | null, answer: Buffer | null): void => {
        this.#openCalls--;
        reply(error, answer);
        if (this.#openCalls === 0) this.#onIdle?.();
      };
      let request: Req;
      try {
        request = method.decodeRequest(call.request);
      } catch (cause) {
        finish(toStatus(new RheaError("INVALID_ARGUMENT", `${method.path}: malformed request`, { cause })), null);
        return;
      }
      Promise.resolve()
        .then(() => handler(request, { remote: call.getPeer() }))
        .then((answer) => asBuffer(method.encodeResponse(answer)))
        .then(
          (bytes) => {
            finish(null, bytes);
          },
          (error: unknown) => {
            finish(toStatus(error), null);
          },
        );
    };
    this.#server.register(method.path, serve, identity, identity, "unary");
  }

  stream<ReqInit, Req, ResInit, Res>(
    method: RpcMethod<ReqInit, Req, ResInit, Res>,
    handler: (stream: RpcStream<Req, ResInit>) => void,
  ): void {
    const serve: grpc.handleBidiStreamingCall<Buffer, Buffer> = (call) => {
      const stream = new GrpcStream<Req, ResInit>(
        call.getPeer(),
        call,
        (message) => method.encodeResponse(message),
        (bytes) => method.decodeRequest(bytes),
        (error) => {
          call.emit("error", toStatus(error));
        },
      );
      call.on("cancelled", () => {
        stream.close(new RheaError("CANCELLED", `${call.getPeer()}: the stream broke`));
      });
      handler(stream);
    };
    this.#server.register(method.path, serve, identity, identity, "bidi");
  }

  listen(address: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, this.#security ?? grpc.ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(`${address.slice(0, address.lastIndexOf(":"))}:${String(port)}`);
        else reject(new RheaError("UNAVAILABLE", `cannot listen on ${address}: ${error.message}`, { cause: error }));
      });
    });
  }

  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.tryShutdown(() => {
        resolve();
      });
    });
    if (this.#openCalls > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        this.#onIdle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#server.forceShutdown();
    await closed;
    this.#security?.release();
  }
}

/** How real processes talk. */
export interface GrpcNetOptions {
  /** Mutual TLS 1.3 for every channel and server; absent: plain text. The files are read again when they change. */
  readonly tls?: TlsFiles | undefined;
  /**
   * The address to really connect to for a logical one, for tunnels; asked before each connection. Names in certificates and messages stay those
   * of the logical address. Default: the same.
   */
  readonly dial?: ((address: string) => string) | undefined;
  /** Hears of new certificates and of files that are no good. */
  readonly logger?: Logger | undefined;
  /** How often the TLS files are looked at, in ms; default 1,000. */
  readonly reloadMs?: number | undefined;
}

/**
 * The network of real processes: gRPC, at most 16 MiB a message. Each channel has a connection of its own.
 *
 * @throws RheaError INVALID_CONFIG for TLS files that cannot be read or do not fit together.
 */
export function grpcNet(options: GrpcNetOptions = {}): Net {
  const source = options.tls === undefined ? undefined : new TlsSource(options.tls, options);
  const dial = options.dial ?? ((address: string) => address);
  return {
    connect: (address) => new GrpcChannel(address, source, dial),
    createServer: () => new GrpcServer(source),
  };
}
