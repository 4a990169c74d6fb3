/** Wrong input and rude treatment, as a user of `npm start`, `rheactl` and the two processes meets them. Runs the built programs. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlive, killAll, launch, PROGRAMS, run, type Ended, type Running } from "./harness/process.js";

const HEAD = "apiVersion: rheakv.io/v1alpha1\nkind: RheaCluster\nmetadata: { name: bad }\n";
const CLUSTER = `${HEAD}spec:\n  stores: { replicas: 3 }\n  pd: { replicas: 1 }\n`;
const LISTEN = ["--address", "127.0.0.1:0", "--status-address", "127.0.0.1:0"];

let folder = "";
let file = "";
let dataDir = "";

beforeEach(() => {
  if (existsSync(folder)) return;
  folder = mkdtempSync(join(tmpdir(), "rhea-bad-input-"));
  file = join(folder, "cluster.yaml");
  dataDir = join(folder, "data");
});

after(() => rmSync(folder, { recursive: true, force: true }));

describe("npm start with wrong input", () => {
  after(() => rmSync(folder, { recursive: true, force: true }));

  const files: readonly (readonly [name: string, content: string | Buffer | undefined, message: RegExp])[] = [
    ["an unknown key", `${CLUSTER}  storez: 1\n`, /:7:3: unknown key spec\.storez: allowed here: .*pd, stores, /],
    [
      "a wrong type",
      CLUSTER.replace("3", "three"),
      /:5:23: spec\.stores\.replicas is "three": wanted a whole number from 1/,
    ],
    ["an empty file", "", /:1:1: the file has no YAML document/],
    ["bytes that are no text", Buffer.from([0xff, 0xfe, 0x00, 0x80]), /:1:1: the file is not UTF-8 text/],
    ["no file", undefined, /cannot be read: ENOENT/],
  ];
  for (const [name, content, message] of files) {
    it(`refuses ${name} and starts nothing`, async () => {
      if (content === undefined) rmSync(file, { force: true });
      else writeFileSync(file, content);
      const { code, err } = await run(PROGRAMS.start, [file, "--data-dir", dataDir]);
      assert.equal(code, 2, err);
      assert.match(err, /^rhea-local: INVALID_CONFIG: [^\n]*cluster\.yaml/);
      assert.match(err, message);
      assert.ok(!existsSync(dataDir));
    });
  }

  it("refuses a data directory that cannot be one", async () => {
    writeFileSync(file, CLUSTER);
    for (const path of [file, join(file, "below")]) {
      const { code, err } = await run(PROGRAMS.start, [file, "--data-dir", path]);
      assert.deepEqual(
        [code, /^rhea-local: INVALID_ARGUMENT: .* cannot be a data directory: /.test(err)],
        [2, true],
        err,
      );
    }
  });

  it("refuses flags that are not there, and says where they are listed", async () => {
    const { code, err } = await run(PROGRAMS.start, ["--nonsense"]);
    assert.deepEqual(
      [code, err],
      [2, "rhea-local: INVALID_ARGUMENT: unknown option '--nonsense': see npm start -- --help\n"],
    );
  });

  it("does not delete without a yes, nor what is no cluster's", async () => {
    const unasked = await run(PROGRAMS.start, ["--reset", "--data-dir", folder]);
    assert.equal(unasked.code, 2);
    const foreign = await run(PROGRAMS.start, ["--reset", "--yes", "--data-dir", folder]);
    assert.equal(foreign.code, 2);
    assert.match(foreign.err, /not a cluster's data directory/);
    assert.ok(existsSync(folder));
  });
});

describe("rheactl without a cluster", () => {
  it("says how to get one", async () => {
    const { code, err } = await run(PROGRAMS.rheactl, ["--data-dir", join(tmpdir(), "rhea-nowhere"), "get", "a"]);
    assert.equal(code, 2);
    assert.match(err, /^error INVALID_ARGUMENT: --data-dir: there is no .*cluster\.json: is this .* npm start\?\n$/);
  });

  it("ends with the code for unavailable where nobody answers", async () => {
    const { code, err } = await run(PROGRAMS.rheactl, ["--pd", "127.0.0.1:1", "--timeout", "500", "get", "a"]);
    assert.equal(code, 4);
    assert.match(err, /^error [A-Z_]+: [^\n]*127\.0\.0\.1:1[^\n]*\n$/);
  });
});

describe("the processes with wrong settings", () => {
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const [name, program] of [
    ["rhea-store", PROGRAMS.store],
    ["rhea-pd", PROGRAMS.pd],
  ] as const) {
    it(`${name} names file, line, column and the allowed keys`, async () => {
      writeFileSync(file, "name: x\naddres: 127.0.0.1:1\n");
      const { code, err } = await run(program, ["--config", file]);
      assert.equal(code, 2);
      assert.match(
        err,
        new RegExp(`^${name}: INVALID_CONFIG: .*cluster\\.yaml:2:1: unknown key "addres"; known: .*address`),
      );
    });

    it(`${name} refuses an address that is none, and a directory that cannot be made`, async () => {
      const wrong = await run(program, ["--name", "x", "--data-dir", dataDir, "--address", "nonsense"]);
      assert.equal(wrong.code, 2);
      assert.match(wrong.err, /--address: "nonsense" is not host:port/);
      writeFileSync(file, "");
      const pd = name === "rhea-store" ? ["--pd", "127.0.0.1:1"] : [];
      const blocked = await run(program, ["--name", "x", "--data-dir", join(file, "x"), ...pd, ...LISTEN]);
      assert.equal(blocked.code, 8, blocked.err);
      assert.match(blocked.err, /DISK_FAILED: ENOTDIR.*dataDir/);
    });
  }
});

describe("a running cluster", function () {
  this.timeout(40_000);
  let operator: Running | undefined;
  let guard: Server | undefined;

  const start = (...more: string[]) => launch(PROGRAMS.start, [file, "--data-dir", dataDir, ...more]);
  const ctl = (args: readonly string[], input?: string): Promise<Ended> =>
    run(PROGRAMS.rheactl, ["--data-dir", dataDir, ...args], input === undefined ? {} : { input });
  const ok = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await ctl(args);
    assert.equal(code, 0, err);
    return out;
  };
  /** The processes as the operator has noted them. */
  const noted = (): readonly number[] => {
    const path = join(dataDir, "operator", "state.json");
    if (!existsSync(path)) return [];
    const { pds, stores } = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    return [...(pds as unknown[]), ...(stores as unknown[])].flatMap(
      (entry) => (entry as { process?: { pid: number } }).process?.pid ?? [],
    );
  };
  const signal = (pid: number, name: NodeJS.Signals) => {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  };

  before(async () => {
    // The default port is busy: by us, or by whoever had it before.
    const server = createServer();
    guard = await new Promise<Server | undefined>((resolve) => {
      server.once("error", () => resolve(undefined));
      server.listen(7400, "127.0.0.1", () => resolve(server));
    });
  });
  beforeEach(async () => {
    if (operator !== undefined) return;
    writeFileSync(file, CLUSTER);
    operator = start();
    await operator.says(/three things to try/);
  });
  after(async () => {
    await run(PROGRAMS.start, ["--stop", "--data-dir", dataDir]);
    await killAll();
    for (const pid of noted()) signal(pid, "SIGKILL");
    await new Promise<void>((resolve) => (guard === undefined ? resolve() : guard.close(() => resolve())));
    rmSync(folder, { recursive: true, force: true });
  });

  it("takes another port for a busy default and is found there", async () => {
    const { pd } = JSON.parse(readFileSync(join(dataDir, "cluster.json"), "utf8")) as { pd: readonly string[] };
    assert.notDeepEqual(pd, ["127.0.0.1:7400"]);
    await ok("put", "port", "1");
    assert.equal(await ok("get", "port"), "1\n");
  });

  it("refuses a second start, naming the process that runs", async () => {
    const { code, err } = await run(PROGRAMS.start, [file, "--data-dir", dataDir]);
    assert.equal(code, 3);
    assert.match(err, new RegExp(`is in use by process ${operator?.pid}:`));
  });

  it("answers wrong keys and values with typed errors", async () => {
    for (const [args, code, message] of [
      [["put", "k".repeat(4097), "x"], 2, /^error KEY_TOO_LARGE: /],
      [["put", "", "x"], 2, /^error KEY_TOO_LARGE: /],
      [["get", "nobody"], 1, /^error NOT_FOUND: /],
      [["stores", "-o", "yaml"], 2, /Allowed choices are table, json/],
    ] as const) {
      const ended = await ctl(args);
      assert.deepEqual([ended.code, ended.out], [code, ""]);
      assert.match(ended.err, message);
    }
    const large = await ctl(["put", "large", "--file", "-"], "x".repeat(6 * 2 ** 20 + 1));
    assert.equal(large.code, 2);
    assert.match(large.err, /^error VALUE_TOO_LARGE: value: 6291457 bytes, 6291456 \(6 MiB\) are allowed/);
    await ok("put", "k".repeat(4096), "longest");
    assert.equal(await ok("get", "k".repeat(4096)), "longest\n");
  });

  it("imports the good lines, the last without its newline, and names the others", async () => {
    const input = '{"key":"i/1","value":"a"}\nnot json\n{"key":7,"value":"b"}\n{"key":"i/2","value":"c"}';
    const { code, out, err } = await ctl(["import"], input);
    assert.equal(code, 2);
    assert.match(out, /^imported 2 records, 2 failed/);
    assert.match(err, /^line 2: INVALID_ARGUMENT: it is not JSON\nline 3: INVALID_ARGUMENT: "key" is no string\n/);
    assert.equal(await ok("scan", "--prefix", "i/"), "i/1\ta\ni/2\tc\n");
  });

  it("keeps what it has while its file is wrong, shows the mistake, and takes the repaired file", async () => {
    writeFileSync(file, "spec: [\t");
    await operator?.says(/the cluster file is not taken over: [^\n]*cluster\.yaml:1:/);
    const status = await run(PROGRAMS.start, ["--status", "--data-dir", dataDir]);
    assert.match(status.out, /3 of 3 stores serve[\s\S]*cluster\.yaml:1:/);
    writeFileSync(file, CLUSTER.replace("spec:", "spec:\n  failover: { deadAfterSeconds: 60 }"));
    await operator?.says(/the cluster file has changed: generation \d+/);
    writeFileSync(file, CLUSTER);
  });

  it("refuses a store that comes without its disk under a known name", async () => {
    const { pd } = JSON.parse(readFileSync(join(dataDir, "cluster.json"), "utf8")) as { pd: readonly string[] };
    const empty = join(folder, "empty");
    const args = ["--name", "bad-store-0", "--data-dir", empty, "--pd", pd.join(","), ...LISTEN];
    const { code, err } = await run(PROGRAMS.store, args);
    assert.equal(code, 7);
    assert.match(err, /^rhea-store: DISK_LOST: PD knows bad-store-0 as store \d+/m);
    rmSync(empty, { recursive: true, force: true });
  });

  it("refuses a second process on a directory in use", async () => {
    const { pd } = JSON.parse(readFileSync(join(dataDir, "cluster.json"), "utf8")) as { pd: readonly string[] };
    const store = join(dataDir, "stores", "bad-store-1");
    const first = await run(PROGRAMS.store, [
      "--name",
      "bad-store-1",
      "--data-dir",
      store,
      "--pd",
      pd.join(","),
      ...LISTEN,
    ]);
    assert.equal(first.code, 3, first.err);
    const member = join(dataDir, "pd", "bad-pd-0");
    const second = await run(PROGRAMS.pd, ["--name", "bad-pd-0", "--data-dir", member, ...LISTEN]);
    assert.equal(second.code, 3, second.err);
  });

  it("reads and writes for a new client while PD does not answer", async () => {
    const [pd = 0] = noted();
    signal(pd, "SIGSTOP");
    try {
      await ok("put", "without-pd", "1");
      assert.equal(await ok("get", "without-pd"), "1\n");
    } finally {
      signal(pd, "SIGCONT");
    }
  });

  it("goes on with its processes after kill -9 of the operator", async () => {
    await ok("put", "adopted", "1");
    const before = noted();
    operator?.kill("SIGKILL");
    await operator?.ended;
    assert.equal(await ok("get", "adopted"), "1\n");
    operator = start();
    await operator.says(/three things to try/);
    assert.match(operator.said(), new RegExp(`runs already as process ${before[0]}`));
    assert.deepEqual(noted(), before);
  });

  it("keeps what it acknowledged over kill -9 of everything", async () => {
    await ok("put", "survivor", "1");
    operator?.kill("SIGKILL");
    await operator?.ended;
    for (const pid of noted()) signal(pid, "SIGKILL");
    operator = start();
    await operator.says(/three things to try/);
    assert.equal(await ok("get", "survivor"), "1\n");
  });

  it("stops all at SIGTERM, and the next start goes on", async () => {
    await ok("put", "resumed", "1");
    const before = noted();
    operator?.kill("SIGTERM");
    assert.equal((await operator?.ended)?.code, 0);
    for (const pid of before) assert(!isAlive(pid), `process ${pid} still runs`);
    const stopped = await ctl(["get", "resumed"]);
    assert.equal(stopped.code, 2);
    operator = start();
    await operator.says(/three things to try/);
    assert.equal(await ok("get", "resumed"), "1\n");
  });
});
