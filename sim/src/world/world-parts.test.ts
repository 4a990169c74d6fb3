import assert from "node:assert/strict";
import { RheaError, type RpcMethod } from "@rhea/common";
import { createEventQueue, createProcessTime } from "./event-queue.js";
import { createRandom } from "./random.js";
import { createSimDisk } from "./sim-disk.js";
import { createSimNet } from "./sim-net.js";

const codec = {
  encodeRequest: (text: string) => Buffer.from(text),
  decodeRequest: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
  encodeResponse: (text: string) => Buffer.from(text),
  decodeResponse: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
};
const Upper: RpcMethod<string, string, string, string> = { path: "/t/Upper", kind: "unary", ...codec };
const Talk: RpcMethod<string, string, string, string> = { path: "/t/Talk", kind: "stream", ...codec };

describe("event queue", () => {
  it("runs by time, then by order of planning, and settles promises after each event", async () => {
    const queue = createEventQueue();
    const seen: string[] = [];
    queue.plan(5, () => seen.push("c"));
    queue.plan(1, () => {
      seen.push("a");
      void Promise.resolve().then(() => seen.push("a'"));
    });
    queue.plan(1, () => seen.push("b"));
    queue.plan(1, () => seen.push("never")).cancel();
    await queue.runUntil(10);
    assert.deepEqual(seen, ["a", "a'", "b", "c"]);
    assert.equal(queue.nowMs, 10);
  });

  it("keeps order in a heap of random times", async () => {
    const random = createRandom(7);
    const queue = createEventQueue();
    const seen: number[] = [];
    const times = Array.from({ length: 500 }, () => random.int(100));
    for (const time of times) queue.plan(time, () => seen.push(time));
    await queue.runUntil(1000);
    assert.deepEqual(
      seen,
      times.toSorted((a, b) => a - b),
    );
  });

  it("drops what a killed process planned and holds back a paused one", async () => {
    const queue = createEventQueue();
    const seen: string[] = [];
    const dead = createProcessTime(queue, { rate: 1, wallOffsetMs: 0 });
    const slow = createProcessTime(queue, { rate: 1, wallOffsetMs: 0 });
    dead.scheduler.setTimer(5, () => seen.push("dead"));
    slow.scheduler.setTimer(5, () => seen.push(`slow at ${String(queue.nowMs)}`));
    dead.kill();
    slow.pause(50);
    await queue.runUntil(100);
    assert.deepEqual(seen, ["slow at 50"]);
  });
});

describe("simulated disk", () => {
  /** Runs `act` in virtual time. */
  async function run<T>(queue: ReturnType<typeof createEventQueue>, act: () => Promise<T>): Promise<T> {
    let result: { value: T } | undefined;
    let failure: unknown;
    act().then(
      (value) => {
        result = { value };
      },
      (error: unknown) => {
        failure = error;
      },
    );
    await queue.runUntil(queue.nowMs + 1000);
    if (result === undefined) throw failure instanceof Error ? failure : new Error("did not finish");
    return result.value;
  }

  it("keeps what was synced over any crash, and tears only what was not", async () => {
    const outcomes = new Set<string>();
    for (let seed = 1; seed <= 60; seed++) {
      const queue = createEventQueue();
      const disk = createSimDisk(queue, createRandom(seed));
      await run(queue, async () => {
        await disk.mkdir("/d");
        const file = await disk.open("/d/f", { create: true });
        await file.write(0, [Buffer.alloc(1024, "a")]);
        await file.datasync();
        await disk.syncDir("/d");
        await file.write(1024, [Buffer.alloc(1024, "b")]);
      });
      disk.crash();
      const content = await run(queue, async () => (await disk.view().open("/d/f", { create: false })).read(0, 5000));
      assert(content.subarray(0, 1024).equals(Buffer.alloc(1024, "a")), "synced bytes");
      outcomes.add(String(content.length));
    }
    assert.deepEqual([...outcomes].sort(), ["1024", "1536", "2048"]);
  });

  it("may lose a file whose directory was not synced, and lies when told to", async () => {
    let lost = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const queue = createEventQueue();
      const disk = createSimDisk(queue, createRandom(seed));
      await run(queue, async () => {
        await disk.mkdir("/d");
        const file = await disk.open("/d/f", { create: true });
        await file.write(0, [Buffer.from("x")]);
        await file.datasync();
      });
      disk.crash();
      if (disk.files().length === 0) lost++;
    }
    assert(lost > 5 && lost < 35, `lost ${String(lost)} of 40`);
  });

  it("fails on demand, and a dead process never hears back", async () => {
    const queue = createEventQueue();
    const disk = createSimDisk(queue, createRandom(1));
    await run(queue, async () => {
      const file = await disk.open("/f", { create: true });
      disk.failNext("datasync", "EIO", 1);
      await assert.rejects(file.datasync(), /EIO/);
    });
    let heard = false;
    const old = disk.view();
    void old.stat("/f").then(() => {
      heard = true;
    });
    disk.crash();
    await queue.runUntil(queue.nowMs + 100);
    assert.equal(heard, false);
  });
});

describe("simulated network", () => {
  it("carries calls and streams, and holds them back while blocked", async () => {
    const queue = createEventQueue();
    const net = createSimNet(queue, createRandom(3));
    const a = net.processNet("a").net;
    const b = net.processNet("b").net;
    const server = b.createServer();
    server.unary(Upper, (text) =>
      text === "no" ? Promise.reject(new RheaError("NOT_FOUND", "none")) : Promise.resolve(text.toUpperCase()),
    );
    server.stream(Talk, (stream) => {
      stream.listen({ onMessage: (text) => void stream.send(`${text}!`), onClose: () => undefined });
    });
    await server.listen("b:1");
    const channel = a.connect("b:1");
    const answers: string[] = [];
    void channel.unary(Upper, "x", { timeoutMs: 100 }).then((text) => answers.push(text));
    void channel
      .unary(Upper, "no", { timeoutMs: 100 })
      .catch((error: unknown) => answers.push(RheaError.from(error).code));
    void a
      .connect("b:9")
      .unary(Upper, "x", { timeoutMs: 100 })
      .catch((error: unknown) => answers.push(RheaError.from(error).code));
    const stream = channel.stream(Talk);
    const closed: (Error | undefined)[] = [];
    stream.listen({ onMessage: (text) => answers.push(text), onClose: (error) => closed.push(error) });
    stream.send("1");
    stream.send("2");
    await queue.runUntil(200);
    assert.deepEqual(answers.toSorted(), ["1!", "2!", "NOT_FOUND", "UNAVAILABLE", "X"]);
    net.block("a", "b");
    stream.send("3");
    await queue.runUntil(1000);
    assert.deepEqual(closed, []);
    net.unblockAll();
    await queue.runUntil(1200);
    assert(answers.includes("3!"));
    net.block("b", "a");
    stream.send("4");
    await queue.runUntil(10_000);
    assert.deepEqual(
      closed.map((error) => RheaError.from(error).code),
      ["UNAVAILABLE"],
    );
  });

  it("resets the streams of a killed process", async () => {
    const queue = createEventQueue();
    const net = createSimNet(queue, createRandom(4));
    const a = net.processNet("a").net;
    const b = net.processNet("b");
    const server = b.net.createServer();
    const ends: string[] = [];
    server.stream(Talk, (stream) => {
      stream.listen({ onMessage: () => undefined, onClose: () => ends.push("dead process heard") });
    });
    await server.listen("b:1");
    const stream = a.connect("b:1").stream(Talk);
    stream.listen({ onMessage: () => undefined, onClose: () => ends.push("a") });
    stream.send("1");
    await queue.runUntil(50);
    b.kill();
    await queue.runUntil(100);
    assert.deepEqual(ends, ["a"]);
  });

  it("loses, doubles and reorders messages of unreliable methods only", async () => {
    const queue = createEventQueue();
    const net = createSimNet(queue, createRandom(5));
    net.faults.unreliable = [Talk.path];
    Object.assign(net.faults, { lossRatio: 0.2, duplicateRatio: 0.2, reorderRatio: 0.3 });
    const heard: number[] = [];
    const server = net.processNet("b").net.createServer();
    server.stream(Talk, (stream) => {
      stream.listen({ onMessage: (text) => heard.push(Number(text)), onClose: () => undefined });
    });
    await server.listen("b:1");
    const stream = net.processNet("a").net.connect("b:1").stream(Talk);
    for (let i = 0; i < 200; i++) stream.send(String(i));
    await queue.runUntil(1000);
    assert.equal(heard[0], 0, "the first message of a stream arrives, first");
    const distinct = new Set(heard);
    assert(distinct.size < 190 && distinct.size > 100, "some are lost");
    assert(heard.length > distinct.size, "some are doubled");
    assert(
      heard.some((value, i) => i > 0 && value < (heard[i - 1] ?? 0)),
      "some are reordered",
    );
  });
});
