/**
 * A network with faults. Nodes are named by the host part of addresses. Messages go through their codecs, so that both
 * ends share nothing. Within a stream messages arrive in order (as in TCP) unless the stream's method is declared
 * unreliable, then they may also be lost, doubled and reordered. A blocked direction holds everything back, also what is on
 * its way already; streams that it holds too long break on both ends, new ones are refused after a while.
 */
import {
  RheaError,
  type Net,
  type RpcChannel,
  type RpcContext,
  type RpcMethod,
  type RpcServer,
  type RpcStream,
  type StreamListener,
} from "@rhea/common";
import type { EventQueue } from "./event-queue.js";
import type { SimRandom } from "./random.js";

const CONNECT_TIMEOUT_MS = 1_000;
const KEEPALIVE_MS = 3_000;

/** The dials of the network, changed by a nemesis while the world runs. */
export interface NetFaults {
  /** Chances per message of a method in `unreliable`. */
  lossRatio: number;
  duplicateRatio: number;
  reorderRatio: number;
  /** Extra delay of slow messages, and how many of them are slow. */
  tailMs: number;
  tailRatio: number;
  /** Chance that what a killed process had sent on such a stream arrives much later, perhaps after its restart. */
  ghostRatio: number;
  /** How late ghosts are at most. */
  ghostMs: number;
  /** Paths of methods whose messages need not arrive in order. Their first message of a stream always does. */
  unreliable: readonly string[];
}

/** The network of a world. */
export interface SimNet {
  readonly faults: NetFaults;
  /** The network as a process on `node` sees it; `kill` cuts all its connections and servers, with a reset to the others. */
  processNet(node: string): { readonly net: Net; kill(): void };
  /** Blocks one direction. */
  block(from: string, to: string): void;
  unblock(from: string, to: string): void;
  unblockAll(): void;
  /** Breaks every stream between two nodes. */
  reset(a: string, b: string): void;
  /** Sees every message of streams, before it is encoded: from which node to which, and whether it answers. Undefined: nobody looks. */
  tap: ((from: string, to: string, path: string, message: unknown, isAnswer: boolean) => void) | undefined;
  /** Messages delivered so far. */
  readonly delivered: number;
  /** Messages that came long after their sender's death. */
  readonly ghosts: number;
  /** Digest of their times and lengths. */
  readonly digest: string;
}

interface UnaryHandler {
  (bytes: Uint8Array, context: RpcContext): Promise<Uint8Array>;
}
interface ServerEntry {
  readonly node: string;
  readonly unary: Map<string, UnaryHandler>;
  readonly streams: Map<string, (connection: Connection) => void>;
  isOpen: boolean;
}

/** One end of a stream, bytes only; the typed face is laid over it. */
interface End {
  readonly node: string;
  readonly remote: string;
  deliver(bytes: Uint8Array): void;
  finish(error: Error | undefined): void;
  /** Hands over what came before the listener was set. */
  attach(): void;
  onBytes: ((bytes: Uint8Array) => void) | undefined;
  onEnd: ((error: Error | undefined) => void) | undefined;
  isOpen: boolean;
}

interface Connection {
  readonly client: End;
  readonly server: End;
  readonly isUnreliable: boolean;
  /** The links from client to server and back. */
  readonly up: string;
  readonly down: string;
  readonly lastArrivalMs: { client: number; server: number };
  /** When the first message to the server arrives: none may overtake it. */
  openMs: number;
  /** Whether it has arrived. */
  isBegun: boolean;
  /** What has not arrived yet, in order. */
  readonly onWay: { readonly client: Uint8Array[]; readonly server: Uint8Array[] };
  sent: number;
  isOpen: boolean;
}

/** Makes a network without nodes. */
export function createSimNet(queue: EventQueue, random: SimRandom): SimNet {
  const servers = new Map<string, ServerEntry>();
  const blocked = new Set<string>();
  const held: { readonly connection: Connection; readonly send: () => void; readonly link: string }[] = [];
  const connections = new Set<Connection>();
  const faults: NetFaults = {
    lossRatio: 0,
    duplicateRatio: 0,
    reorderRatio: 0,
    tailMs: 50,
    tailRatio: 0.01,
    ghostRatio: 0,
    ghostMs: 600,
    unreliable: [],
  };
  let delivered = 0;
  let ghosts = 0;
  let tap: SimNet["tap"];
  let digest = 0;
  let nextPort = 40_000;

  const hostOf = (address: string): string => address.slice(0, address.lastIndexOf(":"));
  const linkOf = (from: string, to: string): string => `${from}>${to}`;
  const delay = (): number =>
    0.1 + random.fraction() * 0.8 + (random.chance(faults.tailRatio) ? random.fraction() * faults.tailMs : 0);

  const breakConnection = (connection: Connection, error: Error): void => {
    if (!connection.isOpen) return;
    connection.isOpen = false;
    connections.delete(connection);
    for (const end of [connection.client, connection.server])
      queue.plan(delay(), () => {
        end.finish(error);
      });
  };
  /** What a dying process had sent comes late, as what raft has seen worse of. */
  const haunt = (connection: Connection): void => {
    if (faults.ghostRatio === 0 || !connection.isUnreliable || !connection.isBegun) return;
    if (!random.chance(faults.ghostRatio)) return;
    for (const bytes of connection.onWay.server) {
      queue.plan(random.fraction() * faults.ghostMs, () => {
        ghosts++;
        connection.server.deliver(bytes);
      });
    }
  };
  const broken = (what: string): RheaError => new RheaError("UNAVAILABLE", `${what}: connection reset`);

  const breakIfHeld = (connection: Connection): void => {
    if (held.some((item) => item.connection === connection)) breakConnection(connection, broken("held"));
  };

  /** One message on its way. A class: closures with names cost more than all the rest here. */
  class Parcel {
    readonly connection: Connection;
    readonly toServer: boolean;
    readonly isFirst: boolean;
    readonly link: string;
    readonly bytes: Uint8Array;

    constructor(connection: Connection, toServer: boolean, bytes: Uint8Array) {
      this.connection = connection;
      this.toServer = toServer;
      this.isFirst = connection.sent++ === 0;
      this.link = toServer ? connection.up : connection.down;
      this.bytes = Buffer.from(bytes);
    }

    /** Leaves, or waits for the link to open. */
    leave(): void {
      const { connection } = this;
      if (!connection.isOpen) return;
      if (blocked.has(this.link)) {
        this.#hold(() => {
          this.leave();
        });
        return;
      }
      const isLoose = connection.isUnreliable && this.toServer && !this.isFirst;
      if (isLoose && random.chance(faults.lossRatio)) return;
      const overtakes = isLoose && random.chance(faults.reorderRatio);
      if (!overtakes) this.#onWay().push(this.bytes);
      this.#travel(overtakes);
      if (isLoose && random.chance(faults.duplicateRatio)) this.#travel(true);
    }

    #onWay(): Uint8Array[] {
      return this.connection.onWay[this.toServer ? "server" : "client"];
    }

    #hold(send: () => void): void {
      held.push({ connection: this.connection, send, link: this.link });
      queue.plan(KEEPALIVE_MS, () => {
        breakIfHeld(this.connection);
      });
    }

    #travel(overtakes: boolean): void {
      const { connection, isFirst } = this;
      const side = this.toServer ? "server" : "client";
      let atMs = Math.max(queue.nowMs + delay(), isFirst ? 0 : connection.openMs);
      if (!overtakes) {
        atMs = Math.max(atMs, connection.lastArrivalMs[side]);
        connection.lastArrivalMs[side] = atMs;
      }
      if (isFirst) connection.openMs = atMs;
      queue.plan(atMs - queue.nowMs, () => {
        this.#arrive(overtakes);
      });
    }

    /** What arrives is the oldest on its way, or just this message if it overtakes. */
    #arrive(overtakes: boolean): void {
      const { connection, toServer } = this;
      if (!connection.isOpen) return;
      if (blocked.has(this.link)) {
        this.#hold(() => {
          this.#travel(overtakes);
        });
        return;
      }
      const arriving = overtakes ? this.bytes : this.#onWay().shift();
      if (arriving === undefined || (overtakes && !connection.isBegun)) return;
      if (toServer) connection.isBegun = true;
      delivered++;
      digest = Math.imul(digest ^ arriving.length, 0x01000193) ^ Math.trunc(queue.nowMs * 1e3);
      (toServer ? connection.server : connection.client).deliver(arriving);
    }
  }

  const release = (): void => {
    for (const item of held.splice(0)) {
      if (blocked.has(item.link)) held.push(item);
      else item.send();
    }
  };

  const createEnd = (node: string, remote: string): End => {
    const waiting: Uint8Array[] = [];
    let ended: { error: Error | undefined } | undefined;
    const end: End = {
      node,
      remote,
      isOpen: true,
      onBytes: undefined,
      onEnd: undefined,
      deliver(bytes) {
        if (end.onBytes === undefined) waiting.push(bytes);
        else end.onBytes(bytes);
      },
      finish(error) {
        if (ended !== undefined) return;
        ended = { error };
        end.isOpen = false;
        end.onEnd?.(error);
      },
      attach() {
        if (end.onBytes !== undefined) for (const bytes of waiting.splice(0)) end.onBytes(bytes);
        if (ended !== undefined) end.onEnd?.(ended.error);
      },
    };
    return end;
  };

  const face = <In, Out>(
    connection: Connection,
    isServer: boolean,
    encode: (message: Out) => Uint8Array,
    decode: (bytes: Uint8Array) => In,
    isAlive: () => boolean,
    path = "",
  ): RpcStream<In, Out> => {
    const end = isServer ? connection.server : connection.client;
    return {
      remote: end.remote,
      queuedBytes: 0,
      listen(listener: StreamListener<In>) {
        queue.plan(0, () => {
          end.onBytes = (bytes) => {
            if (isAlive()) listener.onMessage(decode(bytes));
          };
          end.onEnd = (error) => {
            if (isAlive()) listener.onClose(error);
          };
          end.attach();
        });
      },
      send(message) {
        if (!end.isOpen || !connection.isOpen) return false;
        tap?.(end.node, isServer ? end.remote : hostOf(end.remote), path, message, isServer);
        new Parcel(connection, !isServer, encode(message)).leave();
        return true;
      },
      close(error) {
        if (!end.isOpen) return;
        end.isOpen = false;
        const other = isServer ? connection.client : connection.server;
        const side = isServer ? "client" : "server";
        const atMs = Math.max(queue.nowMs + delay(), connection.lastArrivalMs[side]);
        queue.plan(atMs - queue.nowMs, () => {
          connection.isOpen = false;
          connections.delete(connection);
          other.finish(error);
        });
        queue.plan(0, () => {
          end.finish(error);
        });
      },
    };
  };

  return {
    faults,
    get tap() {
      return tap;
    },
    set tap(look) {
      tap = look;
    },
    get ghosts() {
      return ghosts;
    },
    get delivered() {
      return delivered;
    },
    get digest() {
      return (digest >>> 0).toString(16);
    },
    block: (from, to) => void blocked.add(linkOf(from, to)),
    unblock: (from, to) => {
      blocked.delete(linkOf(from, to));
      release();
    },
    unblockAll: () => {
      blocked.clear();
      release();
    },
    reset: (a, b) => {
      for (const connection of [...connections]) {
        const nodes = [connection.client.node, connection.server.node];
        if (nodes.includes(a) && nodes.includes(b)) breakConnection(connection, broken(b));
      }
    },
    processNet(node) {
      let isAlive = true;
      const own = new Set<ServerEntry>();
      const addresses = new Set<string>();
      const alive = (): boolean => isAlive;

      const connect = (address: string): RpcChannel => {
        const target = hostOf(address);
        let isClosed = false;
        const unavailable = (why: string): RheaError => new RheaError("UNAVAILABLE", `${address}: ${why}`);
        const isBlocked = (): boolean => blocked.has(linkOf(node, target)) || blocked.has(linkOf(target, node));
        return {
          address,
          unary(method, request, options) {
            const bytes = Buffer.from(method.encodeRequest(request));
            return new Promise((resolve, reject) => {
              let isDone = false;
              const finish = (act: () => void): void => {
                if (isDone || !isAlive) return;
                isDone = true;
                deadline.cancel();
                act();
              };
              const deadline = queue.plan(options.timeoutMs, () => {
                finish(() => {
                  reject(
                    new RheaError(
                      "DEADLINE_EXCEEDED",
                      `${method.path} at ${address}: no answer in ${String(options.timeoutMs)} ms`,
                    ),
                  );
                });
              });
              options.signal?.addEventListener("abort", () => {
                finish(() => {
                  reject(new RheaError("CANCELLED", `${method.path} at ${address}: cancelled`));
                });
              });
              if (isBlocked()) {
                queue.plan(CONNECT_TIMEOUT_MS, () => {
                  finish(() => {
                    reject(unavailable("no route"));
                  });
                });
                return;
              }
              queue.plan(delay(), () => {
                const server = servers.get(address);
                const handler = server?.unary.get(method.path);
                if (server?.isOpen !== true || handler === undefined) {
                  queue.plan(delay(), () => {
                    finish(() => {
                      reject(unavailable("ECONNREFUSED, connection refused"));
                    });
                  });
                  return;
                }
                handler(bytes, { remote: node }).then(
                  (answer) => {
                    if (!server.isOpen || isBlocked()) return;
                    queue.plan(delay(), () => {
                      finish(() => {
                        resolve(method.decodeResponse(answer));
                      });
                    });
                  },
                  (error: unknown) => {
                    if (!server.isOpen || isBlocked()) return;
                    queue.plan(delay(), () => {
                      finish(() => {
                        reject(RheaError.from(error));
                      });
                    });
                  },
                );
              });
            });
          },
          stream(method) {
            const connection: Connection = {
              client: createEnd(node, address),
              server: createEnd(target, node),
              isUnreliable: faults.unreliable.includes(method.path),
              up: linkOf(node, target),
              down: linkOf(target, node),
              lastArrivalMs: { client: queue.nowMs, server: queue.nowMs },
              openMs: queue.nowMs,
              isBegun: false,
              onWay: { client: [], server: [] },
              sent: 0,
              isOpen: true,
            };
            connections.add(connection);
            const refuse = (why: string): void => {
              connection.isOpen = false;
              connections.delete(connection);
              connection.client.finish(unavailable(why));
            };
            if (isClosed)
              queue.plan(0, () => {
                refuse("channel closed");
              });
            else if (isBlocked())
              queue.plan(CONNECT_TIMEOUT_MS, () => {
                refuse("no route");
              });
            else {
              const acceptedAtMs = queue.nowMs + delay();
              connection.lastArrivalMs.server = acceptedAtMs;
              queue.plan(acceptedAtMs - queue.nowMs, () => {
                const server = servers.get(address);
                const accept = server?.streams.get(method.path);
                if (server?.isOpen !== true || accept === undefined)
                  queue.plan(delay(), () => {
                    refuse("ECONNREFUSED, connection refused");
                  });
                else accept(connection);
              });
            }
            return face(
              connection,
              false,
              (message) => method.encodeRequest(message),
              (bytes) => method.decodeResponse(bytes),
              alive,
              method.path,
            );
          },
          close() {
            isClosed = true;
          },
        };
      };

      const createServer = (): RpcServer => {
        const entry: ServerEntry = { node, unary: new Map(), streams: new Map(), isOpen: true };
        own.add(entry);
        return {
          unary<ReqInit, Req, ResInit, Res>(
            method: RpcMethod<ReqInit, Req, ResInit, Res>,
            handler: (request: Req, context: RpcContext) => Promise<ResInit>,
          ) {
            entry.unary.set(method.path, async (bytes, context) =>
              Buffer.from(method.encodeResponse(await handler(method.decodeRequest(bytes), context))),
            );
          },
          stream<ReqInit, Req, ResInit, Res>(
            method: RpcMethod<ReqInit, Req, ResInit, Res>,
            handler: (stream: RpcStream<Req, ResInit>) => void,
          ) {
            entry.streams.set(method.path, (connection) => {
              handler(
                face(
                  connection,
                  true,
                  (message: ResInit) => method.encodeResponse(message),
                  (bytes) => method.decodeRequest(bytes),
                  alive,
                  method.path,
                ),
              );
            });
          },
          listen(address) {
            const bound = address.endsWith(":0") ? `${hostOf(address)}:${String(nextPort++)}` : address;
            if (servers.get(bound)?.isOpen === true)
              return Promise.reject(new RheaError("UNAVAILABLE", `cannot listen on ${bound}: in use`));
            servers.set(bound, entry);
            addresses.add(bound);
            return Promise.resolve(bound);
          },
          close() {
            entry.isOpen = false;
            return Promise.resolve();
          },
        };
      };

      return {
        net: { connect, createServer },
        kill() {
          isAlive = false;
          for (const entry of own) entry.isOpen = false;
          for (const connection of [...connections]) {
            if (connection.client.node !== node && connection.server.node !== node) continue;
            if (connection.client.node === node) haunt(connection);
            breakConnection(connection, broken(node));
          }
        },
      };
    },
  };
}
