/** A small world for the tests of this folder: virtual time, a network in memory, disks in memory, and stores that can be killed. */
import {
  RheaError,
  silentLogger,
  type Clock,
  type Net,
  type Rng,
  type RpcMethod,
  type RpcServer,
  type RpcStream,
  type Scheduler,
  type StreamListener,
  type TimerHandle,
} from "@rhea/common";

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Virtual time: events run one after the other, promises settle between them. */
export class VirtualTime implements Clock, Scheduler {
  readonly #settle: () => Promise<void>;
  #nowMs = 0;
  #order = 0;
  #events: Event[] = [];

  /** `settle` resolves when all promise callbacks that can run have run. */
  constructor(settle: () => Promise<void>) {
    this.#settle = settle;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  setTimer(delayMs: number, run: () => void): TimerHandle {
    const event: Event = { atMs: this.#nowMs + Math.max(0, delayMs), order: ++this.#order, run };
    let at = this.#events.length;
    while (at > 0 && (this.#events[at - 1] as Event).atMs > event.atMs) at--;
    this.#events.splice(at, 0, event);
    return {
      cancel: () => {
        const index = this.#events.indexOf(event);
        if (index >= 0) this.#events.splice(index, 1);
      },
    };
  }

  nextTurn(run: () => void): void {
    this.setTimer(0, run);
  }

  /** Lets `ms` pass. */
  async run(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await this.#settle();
    while ((this.#events[0]?.atMs ?? Infinity) <= endMs) await this.#step();
    this.#nowMs = endMs;
  }

  /** Lets time pass until `condition` holds; throws after `limitMs`. */
  async until(what: string, condition: () => boolean, limitMs = 20_000): Promise<void> {
    const endMs = this.#nowMs + limitMs;
    await this.#settle();
    while (!condition()) {
      if ((this.#events[0]?.atMs ?? Infinity) > endMs) throw new Error(`${what}: not within ${limitMs} ms`);
      await this.#step();
    }
  }

  /** Lets `ms` pass in which nothing runs: what was due meanwhile is late. */
  pause(ms: number): void {
    this.#nowMs += ms;
  }

  async #step(): Promise<void> {
    const event = this.#events.shift();
    if (event === undefined) return;
    this.#nowMs = Math.max(this.#nowMs, event.atMs);
    event.run();
    await this.#settle();
  }
}

/** A generator of numbers that depend on the seed only. */
export function seededRng(seed: number): Rng {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  return {
    int: (bound) => next() % bound,
    bytes: (length) => Buffer.from(Array.from({ length }, () => next() % 256)),
  };
}

interface Handler {
  readonly unary: Map<string, (bytes: Uint8Array) => Promise<Uint8Array>>;
  readonly streams: Map<string, (pipe: Pipe) => void>;
}

/** One direction-pair of bytes between two nodes. */
interface Pipe {
  readonly from: string;
  readonly to: string;
  readonly ends: [PipeEnd, PipeEnd];
  isOpen: boolean;
}

interface PipeEnd {
  onBytes: ((bytes: Uint8Array) => void) | undefined;
  onClose: ((error: Error | undefined) => void) | undefined;
  readonly early: Uint8Array[];
  closed: { error: Error | undefined } | undefined;
}

const LATENCY_MS = 1;

/** Messages between nodes, through their codecs. A cut pair loses everything silently until its streams are broken. */
export class MemoryNet {
  readonly #time: VirtualTime;
  readonly #servers = new Map<string, Handler>();
  readonly #pipes = new Set<Pipe>();
  readonly #cut = new Set<string>();
  /** Counts stream messages by method and direction: `path from>to`. */
  readonly counts = new Map<string, number>();
  /** May change or hold back (undefined) a message on its way. */
  intercept: ((path: string, from: string, to: string, bytes: Uint8Array) => Uint8Array | undefined) | undefined;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  /** Separates two nodes. */
  cut(a: string, b: string): void {
    this.#cut.add(`${a}|${b}`).add(`${b}|${a}`);
  }

  /** Separates a node from all of `others`. */
  isolate(node: string, others: readonly string[]): void {
    for (const other of others) if (other !== node) this.cut(node, other);
  }

  /** Ends all separations; streams that lost something break. */
  heal(): void {
    this.#cut.clear();
    for (const pipe of [...this.#pipes]) this.#break(pipe, new RheaError("UNAVAILABLE", "connection reset"));
  }

  /** Takes a node off the net, as a killed process is: connections are reset, new ones refused. */
  kill(node: string): void {
    this.#servers.delete(node);
    for (const pipe of [...this.#pipes]) {
      if (pipe.from === node || pipe.to === node) this.#break(pipe, new RheaError("UNAVAILABLE", "connection reset"));
    }
  }

  /** The net as `node` sees it; servers listen at their node's name. */
  of(node: string): Net {
    return {
      connect: (address) => ({
        address,
        unary: (method, request, options) => this.#unary(node, address, method, request, options.timeoutMs),
        stream: (method) => this.#open(node, address, method),
        close: () => undefined,
      }),
      createServer: () => this.#server(node),
    };
  }

  #server(node: string): RpcServer {
    const handler: Handler = { unary: new Map(), streams: new Map() };
    return {
      unary: (method, serve) => {
        handler.unary.set(method.path, async (bytes) =>
          method.encodeResponse(await serve(method.decodeRequest(bytes), { remote: "client" })),
        );
      },
      stream: (method, serve) => {
        handler.streams.set(method.path, (pipe) => {
          serve(
            this.#face(
              pipe,
              1,
              method.path,
              (m) => method.encodeResponse(m),
              (bytes) => method.decodeRequest(bytes),
            ),
          );
        });
      },
      listen: async (address) => {
        this.#servers.set(node, handler);
        return address;
      },
      close: async () => {
        this.#servers.delete(node);
      },
    };
  }

  async #unary<ReqInit, Req, ResInit, Res>(
    from: string,
    to: string,
    method: RpcMethod<ReqInit, Req, ResInit, Res>,
    request: ReqInit,
    timeoutMs: number,
  ): Promise<Res> {
    const handler = this.#servers.get(to)?.unary.get(method.path);
    if (handler === undefined || this.#cut.has(`${from}|${to}`)) {
      throw new RheaError("UNAVAILABLE", `connect ECONNREFUSED ${to} (${timeoutMs} ms)`);
    }
    return method.decodeResponse(await handler(method.encodeRequest(request)));
  }

  #open<ReqInit, Req, ResInit, Res>(
    from: string,
    to: string,
    method: RpcMethod<ReqInit, Req, ResInit, Res>,
  ): RpcStream<Res, ReqInit> {
    const end = (): PipeEnd => ({ onBytes: undefined, onClose: undefined, early: [], closed: undefined });
    const pipe: Pipe = { from, to, ends: [end(), end()], isOpen: true };
    this.#pipes.add(pipe);
    this.#time.setTimer(LATENCY_MS, () => {
      if (!pipe.isOpen || this.#cut.has(`${from}|${to}`)) return;
      const serve = this.#servers.get(to)?.streams.get(method.path);
      if (serve === undefined) this.#break(pipe, new RheaError("UNAVAILABLE", `connect ECONNREFUSED ${to}`));
      else serve(pipe);
    });

    return this.#face(
      pipe,
      0,
      method.path,
      (m) => method.encodeRequest(m),
      (bytes) => method.decodeResponse(bytes),
    );
  }

  #face<In, Out>(
    pipe: Pipe,
    side: 0 | 1,
    path: string,
    encode: (message: Out) => Uint8Array,
    decode: (bytes: Uint8Array) => In,
  ): RpcStream<In, Out> {
    const mine = pipe.ends[side];
    const [from, to] = side === 0 ? [pipe.from, pipe.to] : [pipe.to, pipe.from];
    return {
      remote: to,
      queuedBytes: 0,
      listen: (listener: StreamListener<In>) => {
        mine.onBytes = (bytes) => {
          listener.onMessage(decode(bytes));
        };
        mine.onClose = (error) => {
          listener.onClose(error);
        };
        this.#time.setTimer(0, () => {
          for (const bytes of mine.early.splice(0)) mine.onBytes?.(bytes);
          if (mine.closed !== undefined) mine.onClose?.(mine.closed.error);
        });
      },
      send: (message) => {
        const sent = Buffer.from(encode(message));
        this.counts.set(`${path} ${from}>${to}`, (this.counts.get(`${path} ${from}>${to}`) ?? 0) + 1);
        this.#time.setTimer(LATENCY_MS, () => {
          if (!pipe.isOpen || this.#cut.has(`${from}|${to}`)) return;
          const bytes = this.intercept === undefined ? sent : this.intercept(path, from, to, sent);
          const other = pipe.ends[side === 0 ? 1 : 0];
          if (bytes === undefined) return;
          if (other.onBytes === undefined) other.early.push(bytes);
          else other.onBytes(bytes);
        });
        return true;
      },
      close: (error) => {
        // After what is on its way.
        this.#time.setTimer(error === undefined ? LATENCY_MS : 0, () => {
          this.#break(pipe, error);
        });
      },
    };
  }

  #break(pipe: Pipe, error: Error | undefined): void {
    if (!pipe.isOpen) return;
    pipe.isOpen = false;
    this.#pipes.delete(pipe);
    for (const end of pipe.ends) {
      end.closed = { error };
      if (end.onClose !== undefined && end.early.length === 0) {
        this.#time.setTimer(0, () => {
          end.onClose?.(error);
        });
      }
    }
  }
}

/** A logger that keeps what is said from `warn` on. */
export function keepingLogger(lines: string[]) {
  return {
    ...silentLogger,
    isEnabled: (level: string) => level === "warn" || level === "error",
    log: (level: string, message: string, fields?: Readonly<Record<string, unknown>>) => {
      if (level === "warn" || level === "error") lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
    },
  };
}
