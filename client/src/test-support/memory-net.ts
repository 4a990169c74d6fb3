/** A network in memory: messages pass through their codecs and arrive a turn later. */
import {
  RheaError,
  type Net,
  type RpcChannel,
  type RpcContext,
  type RpcMethod,
  type RpcServer,
  type RpcStream,
  type Scheduler,
  type StreamListener,
} from "@rhea/common";

type UnaryHandler = (request: unknown, context: RpcContext) => Promise<unknown>;
type StreamHandler = (stream: RpcStream<unknown, unknown>) => void;
type AnyMethod = RpcMethod<unknown, unknown, unknown, unknown>;

interface Endpoint {
  readonly unary: Map<string, UnaryHandler>;
  readonly streams: Map<string, StreamHandler>;
}

class End implements RpcStream<unknown, unknown> {
  readonly remote: string;
  readonly queuedBytes = 0;
  peer: End | undefined;
  isFull = false;
  #listener: StreamListener<unknown> | undefined;
  #isClosed = false;
  readonly #waiting: unknown[] = [];
  readonly #recode: (message: unknown) => unknown;
  readonly #net: MemoryNet;
  readonly #address: string;

  constructor(net: MemoryNet, address: string, remote: string, recode: (message: unknown) => unknown) {
    this.#net = net;
    this.#address = address;
    this.remote = remote;
    this.#recode = recode;
  }

  listen(listener: StreamListener<unknown>): void {
    this.#listener = listener;
    for (const message of this.#waiting.splice(0)) this.#net.scheduler.nextTurn(() => this.#deliver(message));
  }

  send(message: unknown): boolean {
    if (this.#isClosed) return false;
    const { peer } = this;
    const copy = this.#recode(message);
    if (!this.#net.isHung(this.#address)) this.#net.scheduler.nextTurn(() => peer?.receive(copy));
    return !this.isFull;
  }

  close(error?: Error): void {
    const { peer } = this;
    if (this.#isClosed) return;
    this.#net.scheduler.nextTurn(() => peer?.end(error));
    this.end(error);
  }

  /** Lets a full stream flow again. */
  drain(): void {
    this.isFull = false;
    this.#listener?.onDrain?.();
  }

  receive(message: unknown): void {
    if (this.#listener === undefined) this.#waiting.push(message);
    else this.#deliver(message);
  }

  end(error: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#net.scheduler.nextTurn(() => this.#listener?.onClose(error));
  }

  #deliver(message: unknown): void {
    if (!this.#isClosed) this.#listener?.onMessage(message);
  }
}

/** See the file's header. Addresses that nobody listens on refuse at once. */
export class MemoryNet implements Net {
  readonly scheduler: Scheduler;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #hung = new Set<string>();
  readonly #streams = new Map<string, Set<End>>();

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  isHung(address: string): boolean {
    return this.#hung.has(address);
  }

  /** From now on nothing reaches or leaves the address, and nobody is told. */
  hang(address: string): void {
    this.#hung.add(address);
  }

  /** Ends {@link MemoryNet.hang}. What was sent meanwhile is lost. */
  release(address: string): void {
    this.#hung.delete(address);
  }

  /** The process at the address dies: its streams break, its port refuses. */
  kill(address: string): void {
    this.#endpoints.delete(address);
    for (const end of this.#streams.get(address) ?? []) end.end(new Error("connection reset"));
    this.#streams.delete(address);
  }

  /** The client's ends of the streams to an address. */
  streamsTo(address: string): End[] {
    return [...(this.#streams.get(address) ?? [])];
  }

  connect(address: string): RpcChannel {
    return {
      address,
      unary: (method, request, options) => {
        const bytes = method.encodeRequest(request);
        return new Promise((resolve, reject) => {
          const timer = this.scheduler.setTimer(options.timeoutMs, () => {
            reject(new RheaError("DEADLINE_EXCEEDED", `${method.path} at ${address}: timed out`));
          });
          if (this.isHung(address)) return;
          this.scheduler.nextTurn(() => {
            const handler = this.#endpoints.get(address)?.unary.get(method.path);
            if (handler === undefined) {
              timer.cancel();
              reject(new RheaError("UNAVAILABLE", `${method.path} at ${address}: connection refused`));
              return;
            }
            handler(method.decodeRequest(bytes), { remote: "client" }).then(
              (answer) => {
                timer.cancel();
                resolve(method.decodeResponse(method.encodeResponse(answer as never)));
              },
              (error: unknown) => {
                timer.cancel();
                reject(RheaError.from(error));
              },
            );
          });
        });
      },
      stream: <ReqInit, Req, ResInit, Res>(method: RpcMethod<ReqInit, Req, ResInit, Res>) =>
        this.#openStream(address, method),
      close: () => undefined,
    };
  }

  createServer(): RpcServer {
    const endpoint: Endpoint = { unary: new Map(), streams: new Map() };
    return {
      unary: (method, handler) => {
        endpoint.unary.set(method.path, handler as UnaryHandler);
      },
      stream: (method, handler) => {
        endpoint.streams.set(method.path, handler);
      },
      listen: async (address) => {
        this.#endpoints.set(address, endpoint);
        return address;
      },
      close: async () => undefined,
    };
  }

  #openStream(address: string, method: AnyMethod): End {
    const client = new End(this, address, address, (message) => method.decodeRequest(method.encodeRequest(message)));
    const server = new End(this, address, "client", (message) => method.decodeResponse(method.encodeResponse(message)));
    client.peer = server;
    server.peer = client;
    const open = this.#streams.get(address) ?? new Set();
    this.#streams.set(address, open.add(client));
    this.scheduler.nextTurn(() => {
      if (this.isHung(address)) return;
      const handler = this.#endpoints.get(address)?.streams.get(method.path);
      if (handler === undefined) client.end(new Error("connection refused"));
      else handler(server);
    });
    return client;
  }
}
