import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { PassThrough, Readable } from "node:stream";
import { RheaError } from "@rhea/common";
import type { Admin, Entry, Operation, RheaClient, ScanOptions } from "@rhea/client";
import type { Target } from "./environment.js";
import { runCli } from "./program.js";

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly targets: Target[];
}

/** A client on a map, as far as the commands use it. */
function fakeClient(values: Map<string, Buffer>): RheaClient {
  const client: Partial<RheaClient> = {
    async get(key) {
      return values.get(String(key));
    },
    async put(key, value) {
      if (String(key).startsWith("bad")) throw new RheaError("VALUE_TOO_LARGE", "value: too large");
      values.set(String(key), Buffer.from(value));
    },
    async putIfAbsent(key, value) {
      const previous = values.get(String(key));
      if (previous === undefined) values.set(String(key), Buffer.from(value));
      return previous;
    },
    async delete(key) {
      values.delete(String(key));
    },
    async *iterator(options: ScanOptions = {}): AsyncGenerator<Entry, void, undefined> {
      const [start, end] = [options.start ?? "", options.end].map((bound) => bound?.toString());
      for (const key of [...values.keys()].sort()) {
        if (key < (start ?? "") || (end !== undefined && key >= end)) continue;
        yield { key: Buffer.from(key), value: values.get(key) ?? Buffer.alloc(0) };
      }
    },
    async getSequence(_key, step = 1) {
      return { start: 5, end: 5 + step };
    },
    async close() {
      return undefined;
    },
  };
  return client as RheaClient;
}

describe("rheactl", () => {
  let values: Map<string, Buffer>;
  let admin: Partial<Admin>;

  async function rheactl(args: readonly string[], input = ""): Promise<Result> {
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    const targets: Target[] = [];
    let nowMs = 0;
    const code = await runCli(args, {
      env: { RHEA_PD: "127.0.0.1:7400" },
      cwd: "/",
      projectRoot: "/",
      stdin: Readable.from([input]),
      stdout,
      stderr,
      isTerminal: false,
      connect: async (target) => {
        targets.push(target);
        return fakeClient(values);
      },
      connectAdmin: async (target) => {
        targets.push(target);
        return { close: () => undefined, ...admin } as Admin;
      },
      now: () => nowMs,
      sleep: async (ms) => {
        nowMs += ms;
      },
    });
    const text = (stream: PassThrough): string => String(stream.read() ?? "");
    return { code, out: text(stdout), err: text(stderr), targets };
  }

  beforeEach(() => {
    values = new Map();
    admin = {};
  });

  it("puts silently and gets the value with a newline", async () => {
    assert.deepEqual((await rheactl(["put", "a", "1"])).out, "");
    const { code, out, err } = await rheactl(["get", "a"]);
    assert.deepEqual([code, out, err], [0, "1\n", ""]);
  });

  it("takes a value from standard input and shows bytes in base64", async () => {
    await rheactl(["put", "a", "--file", "-"], "line 1\nline 2");
    assert.equal((await rheactl(["get", "a", "--base64"])).out, "bGluZSAxCmxpbmUgMg==\n");
    assert.equal((await rheactl(["put", "a", "%", "--base64"])).code, 2);
  });

  it("ends with 1 and one line on stderr when a key is absent", async () => {
    const { code, out, err } = await rheactl(["get", "nobody"]);
    assert.deepEqual([code, out, err], [1, "", 'error NOT_FOUND: key "nobody": it is absent\n']);
  });

  it("takes exit codes from the error table", async () => {
    admin.drainStore = async () => {
      throw new RheaError("UNAVAILABLE", "pd: connection\n  refused");
    };
    const { code, err } = await rheactl(["drain", "3"]);
    assert.deepEqual([code, err], [4, "error UNAVAILABLE: pd: connection; refused\n"]);
  });

  it("names wrong usage in one line and ends with 2", async () => {
    for (const args of [["put"], ["nonsense"], ["stores", "--what"], ["drain", "x"], ["stores", "-o", "xml"]]) {
      const { code, out, err } = await rheactl(args);
      assert.equal(code, 2, args.join(" "));
      assert.equal(out, "");
      assert.match(err, /^error INVALID_ARGUMENT: [^\n]+\n$/, args.join(" "));
    }
  });

  it("prints help with the exit codes", async () => {
    const { code, out } = await rheactl(["--help"]);
    assert.equal(code, 0);
    assert.match(out, /transfer-leader/);
    assert.match(out, /\n {2}7 {2}DISK_LOST/);
  });

  it("passes address, cluster and time on, wherever they stand on the line", async () => {
    values.set("a", Buffer.from("1"));
    const { targets } = await rheactl(["get", "--pd", "x:1,y:2", "a", "--cluster-id", "4", "--timeout", "50"]);
    assert.deepEqual(targets, [{ pd: ["x:1", "y:2"], stores: [], clusterId: 4, timeoutMs: 50, source: "--pd" }]);
  });

  it("scans by prefix, as lines and as JSON that import reads back", async () => {
    for (const key of ["a/1", "a/2", "b"]) values.set(key, Buffer.from(`v ${key}`));
    assert.equal((await rheactl(["scan", "--prefix", "a/"])).out, "a/1\tv a/1\na/2\tv a/2\n");
    const { out } = await rheactl(["scan", "--prefix", "a/", "-o", "json"]);
    values.clear();
    const { code, out: said } = await rheactl(["import"], out);
    assert.equal(code, 0);
    assert.match(said, /^imported 2 records, 0 failed/);
    assert.equal(values.get("a/2")?.toString(), "v a/2");
  });

  it("loses no byte of a value that is no text, in JSON and back", async () => {
    const bytes = Buffer.from([0xff, 0x00, 0x61]);
    values.set("a", bytes);
    const { out } = await rheactl(["scan", "-o", "json"]);
    assert.deepEqual(JSON.parse(out), { key: "a", valueBase64: "/wBh" });
    assert.deepEqual(JSON.parse((await rheactl(["get", "a", "-o", "json"])).out), { key: "a", valueBase64: "/wBh" });
    values.clear();
    assert.equal((await rheactl(["import"], out)).code, 0);
    assert.deepEqual(values.get("a"), bytes);
  });

  it("refuses an argument whose bytes Node could not read, as it would be another key", async () => {
    const { code, err } = await rheactl(["put", Buffer.from([0xff]).toString(), "1"]);
    assert.deepEqual([code, [...values.keys()]], [2, []]);
    assert.match(err, /^error INVALID_ARGUMENT: an argument is not UTF-8 text/);
  });

  it("refuses to import a directory", async () => {
    const { code, err } = await rheactl(["import", tmpdir()]);
    assert.equal(code, 2);
    assert.match(err, /^error INVALID_ARGUMENT: import: .* cannot be read: it is a directory$/m);
  });

  it("imports what is good, names the lines that are not, and ends with the first error's code", async () => {
    const lines = [
      '{"key":"a","value":"1"}',
      "",
      "{oops",
      '{"key":"b"}',
      '{"key":"bad","value":"1"}',
      '{"key":"c","value":"2"}',
    ];
    const { code, out, err } = await rheactl(["import", "-", "-o", "json", "--concurrency", "2"], lines.join("\n"));
    assert.equal(code, 2);
    assert.deepEqual(JSON.parse(out), { imported: 2, failed: 3, seconds: 0 });
    assert.match(err, /^line 3: INVALID_ARGUMENT: it is not JSON$/m);
    assert.match(err, /^line 4: INVALID_ARGUMENT: "value" is no string$/m);
    assert.match(err, /^line 5: VALUE_TOO_LARGE: /m);
    assert.match(err, /^error INVALID_ARGUMENT: import: 3 of 5 records failed/m);
    assert.deepEqual([...values.keys()], ["a", "c"]);
  });

  it("refuses a deletion that names both keys and a range, or neither", async () => {
    assert.equal((await rheactl(["del"])).code, 2);
    assert.equal((await rheactl(["del", "a", "--prefix", "a"])).code, 2);
    values.set("a", Buffer.from("1"));
    assert.equal((await rheactl(["del", "a"])).code, 0);
    assert.equal(values.size, 0);
  });

  it("waits for an operation and fails when it did not succeed", async () => {
    const states = ["running", "running", "timed-out"];
    const operation = (state: string): Operation => ({
      ...{ operationId: 9, regionId: 2, kind: "split", origin: "user", reason: "", state, steps: [], currentStep: 0 },
      ...{ ageMs: 1, finishedMsAgo: 0, message: "no progress", epoch: null },
    });
    admin.addOperation = async () => ({ operation: operation("running"), alreadyDone: false });
    admin.operations = async () => [operation(states.shift() ?? "")];
    const { code, out, err } = await rheactl(["split", "2"]);
    assert.equal(code, 1);
    assert.match(out, /timed-out/);
    assert.equal(err, "error OPERATION_REFUSED: operation 9 ended timed-out: no progress\n");
  });

  it("changes the configuration with the right types and refuses unknown keys", async () => {
    let set: unknown;
    admin.setClusterConfig = async (config) => (set = config) as never;
    admin.clusterInfo = async () => ({
      ...{ clusterId: 1, bootstrapped: true, featureLevel: 1, members: [], version: "0.1.0" },
      config: { regionMaxKeys: 100, repair: "operator", replicas: null } as never,
    });
    const { out } = await rheactl(["cluster", "--set", "regionMaxKeys=100", "--set", "schedulingPaused=true"]);
    assert.deepEqual(set, { regionMaxKeys: 100, schedulingPaused: true });
    assert.match(out, /^regionMaxKeys +100$/m);
    assert.match((await rheactl(["cluster", "--set", "nope=1"])).err, /no such key, there are replicas, /);
  });
});
