/**
 * A message-stream network: unary calls and bidirectional streams of typed messages. gRPC implements it in `env-node/`,
 * the simulator in memory. One channel is one connection; callers that must not share a window open a second channel.
 */

/** One remote method: how to name it and how to turn its messages into bytes and back. */
export interface RpcMethod<ReqInit, Req, ResInit, Res> {
  /** Full path, for instance `/rhea.Pd/AllocId`. */
  readonly path: string;
  readonly kind: "unary" | "stream";
  encodeRequest(message: ReqInit): Uint8Array;
  decodeRequest(bytes: Uint8Array): Req;
  encodeResponse(message: ResInit): Uint8Array;
  decodeResponse(bytes: Uint8Array): Res;
}

/** What the owner of a stream wants to hear. Callbacks run on the event loop, never from within `send`. */
export interface StreamListener<In> {
  onMessage(message: In): void;
  /** Called exactly once, whichever side ended the stream; `error` is absent after a clean end. */
  onClose(error: Error | undefined): void;
  /** Called when a stream whose `send` returned false has drained. */
  onDrain?(): void;
}

/** One end of a bidirectional stream. Messages arrive in order or the stream closes. */
export interface RpcStream<In, Out> {
  /** The other end's address, for messages and logs only. */
  readonly remote: string;
  /** Sets the listener. Messages that came before are delivered then. Called once. */
  listen(listener: StreamListener<In>): void;
  /** Queues a message. Returns false above the high-water mark; the message is queued all the same. Ignored once closed. */
  send(message: Out): boolean;
  /** Bytes queued and not yet handed to the connection. */
  readonly queuedBytes: number;
  /** Ends the stream after what is queued; with `error` at once. */
  close(error?: Error): void;
}

/** A client's connection to one address; connects lazily, reconnects by itself for later calls, re-resolving the name. */
export interface RpcChannel {
  readonly address: string;
  /** Throws {@link RheaError} with the server's code, `UNAVAILABLE` for a broken connection, `DEADLINE_EXCEEDED` after `timeoutMs`. */
  unary<ReqInit, Req, ResInit, Res>(
    method: RpcMethod<ReqInit, Req, ResInit, Res>,
    request: ReqInit,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<Res>;
  stream<ReqInit, Req, ResInit, Res>(method: RpcMethod<ReqInit, Req, ResInit, Res>): RpcStream<Res, ReqInit>;
  close(): void;
}

/** What a handler may know about its caller. */
export interface RpcContext {
  readonly remote: string;
}

/** Serves methods on one address. */
export interface RpcServer {
  unary<ReqInit, Req, ResInit, Res>(
    method: RpcMethod<ReqInit, Req, ResInit, Res>,
    handler: (request: Req, context: RpcContext) => Promise<ResInit>,
  ): void;
  stream<ReqInit, Req, ResInit, Res>(
    method: RpcMethod<ReqInit, Req, ResInit, Res>,
    handler: (stream: RpcStream<Req, ResInit>) => void,
  ): void;
  /** Binds `host:port` (port 0 picks a free one) and returns the bound address. */
  listen(address: string): Promise<string>;
  /** Refuses new calls, waits up to `graceMs` for open unary calls, then cuts everything. */
  close(graceMs: number): Promise<void>;
}

/** Makes channels and servers. */
export interface Net {
  /** Opens a channel of its own connection to `host:port`. */
  connect(address: string): RpcChannel;
  createServer(): RpcServer;
}

/** Files in PEM that secure a side's connections. They are read again when they change. */
export interface TlsFiles {
  /** The CAs that the other side's certificate may be signed by; several while a CA is being changed. */
  readonly caFile: string;
  /** The own certificate, followed by intermediate ones if there are any. */
  readonly certFile: string;
  /** The own private key. */
  readonly keyFile: string;
}
