import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { RheaError } from "../errors.js";
import type { RpcChannel, RpcMethod, RpcServer, RpcStream } from "../net.js";
import { grpcNet } from "./grpc-net.js";

const codec = {
  encodeRequest: (text: string) => Buffer.from(text),
  decodeRequest: (bytes: Uint8Array) => decode(bytes),
  encodeResponse: (text: string) => Buffer.from(text),
  decodeResponse: (bytes: Uint8Array) => decode(bytes),
};
function decode(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString();
  if (text === "garbage") throw new Error("cannot read this");
  return text;
}
const Upper: RpcMethod<string, string, string, string> = { path: "/test.T/Upper", kind: "unary", ...codec };
const Talk: RpcMethod<string, string, string, string> = { path: "/test.T/Talk", kind: "stream", ...codec };

describe("grpcNet", () => {
  const net = grpcNet();
  let server: RpcServer;
  let channel: RpcChannel;
  let accepted: ((stream: RpcStream<string, string>) => void) | undefined;

  beforeEach(async () => {
    server = net.createServer();
    server.unary(Upper, (text) => {
      if (text === "refuse") {
        return Promise.reject(
          new RheaError("NOT_LEADER", "region 7: peer 3 does not lead", {
            details: {
              regionId: 7,
              leader: { peerId: 4, storeId: 5 },
              currentRegions: [
                {
                  regionId: 7,
                  startKey: Buffer.of(0, 255),
                  endKey: Buffer.alloc(0),
                  epoch: { confVer: 1, version: 2 },
                  peers: [],
                },
              ],
            },
          }),
        );
      }
      return text === "hang" ? new Promise(() => undefined) : Promise.resolve(text.toUpperCase());
    });
    server.stream(Talk, (stream) => accepted?.(stream));
    channel = net.connect(await server.listen("127.0.0.1:0"));
  });
  afterEach(async () => {
    channel.close();
    await server.close(0);
  });

  it("carries calls, and errors with their code and details", async () => {
    assert.equal(await channel.unary(Upper, "abc", { timeoutMs: 5000 }), "ABC");
    await assert.rejects(channel.unary(Upper, "refuse", { timeoutMs: 5000 }), (error: unknown) => {
      assert(error instanceof RheaError);
      assert.equal(error.code, "NOT_LEADER");
      assert.deepEqual(error.details.leader, { peerId: 4, storeId: 5 });
      assert.deepEqual([...(error.details.currentRegions?.[0]?.startKey ?? [])], [0, 255]);
      return true;
    });
    await assert.rejects(channel.unary(Upper, "garbage", { timeoutMs: 5000 }), { code: "INVALID_ARGUMENT" });
    await assert.rejects(channel.unary(Upper, "hang", { timeoutMs: 50 }), { code: "DEADLINE_EXCEEDED" });
    const stop = new AbortController();
    const hanging = channel.unary(Upper, "hang", { timeoutMs: 5000, signal: stop.signal });
    stop.abort();
    await assert.rejects(hanging, { code: "CANCELLED" });
  });

  it("leaves no connection behind, at whatever moment of its making the channel is closed", async () => {
    const open = new Set<Socket>();
    let onClose = (): void => undefined;
    const silent = createServer((socket) => {
      open.add(socket);
      socket.resume();
      socket.on("error", () => undefined);
      socket.on("close", () => {
        open.delete(socket);
        onClose();
      });
    });
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    for (let turns = 0; turns < 40; turns++) {
      const hasty = net.connect(`127.0.0.1:${String(port)}`);
      const call = hasty.unary(Upper, "abc", { timeoutMs: 5_000 }).catch(() => undefined);
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      hasty.close();
      await call;
    }
    silent.close(); // refuses further connections, and tells when the last one has gone
    while (open.size > 0) await new Promise<void>((resolve) => (onClose = resolve));
  });

  it("answers UNAVAILABLE where nobody listens", async () => {
    const lonely = net.createServer();
    const address = await lonely.listen("127.0.0.1:0");
    await lonely.close(0);
    const other = net.connect(address);
    await assert.rejects(other.unary(Upper, "x", { timeoutMs: 5000 }), { code: "UNAVAILABLE" });
    other.close();
  });

  it("carries streams in order both ways and ends them once", async () => {
    accepted = (stream) => {
      stream.listen({
        onMessage: (text) => void stream.send(`${text}!`),
        onClose: () => {
          stream.close();
        },
      });
    };
    const stream = channel.stream(Talk);
    const heard: string[] = [];
    const closed = new Promise<Error | undefined>((resolve) => {
      stream.listen({
        onMessage: (text) => {
          heard.push(text);
          if (heard.length === 1000) stream.close();
        },
        onClose: resolve,
      });
    });
    for (let i = 0; i < 1000; i++) stream.send(String(i));
    assert.equal(await closed, undefined);
    assert.deepEqual(
      heard,
      Array.from({ length: 1000 }, (_, i) => `${String(i)}!`),
    );
    assert.equal(stream.queuedBytes, 0);
  });

  it("tells the client why the server cut a stream", async () => {
    accepted = (stream) => {
      stream.close(new RheaError("CLUSTER_MISMATCH", "cluster 1 met cluster 2"));
    };
    const stream = channel.stream(Talk);
    const error = await new Promise<Error | undefined>((resolve) => {
      stream.listen({ onMessage: () => undefined, onClose: resolve });
    });
    assert(error instanceof RheaError);
    assert.equal(error.code, "CLUSTER_MISMATCH");
  });

  it("closes both ends of a stream when the server stops", async () => {
    const ends: string[] = [];
    accepted = (stream) => {
      stream.listen({ onMessage: () => undefined, onClose: () => ends.push("server") });
    };
    const stream = channel.stream(Talk);
    const closed = new Promise((resolve) => {
      stream.listen({
        onMessage: () => undefined,
        onClose: (error) => {
          ends.push("client");
          resolve(error);
        },
      });
    });
    stream.send("hello");
    await channel.unary(Upper, "x", { timeoutMs: 5000 });
    await server.close(0);
    assert((await closed) instanceof RheaError);
    assert(ends.includes("client"));
  });
});
