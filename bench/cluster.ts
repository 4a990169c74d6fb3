/**
 * `npm run bench` (or `npm run bench -- cluster`): starts a cluster of three stores as `npm start` does, measures, prints goal and measured
 * per line. Ends with exit code 1 if a figure is not even half met.
 *
 * `npm run bench -- --pd HOST:PORT[,...]` measures a running cluster instead (its processes' CPU and memory are unknown then);
 * `--seconds N` (default 5) per measurement, `--concurrency N` (default 256), `--value-bytes N` (default 100), `--keys N` (default 10,000).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { RheaClient } from "@rhea/client";
import { connect } from "@rhea/client/env-node";
import { startLocalCluster } from "@rhea/operator/env-node";
import { runLoad, type LoadResult } from "./load.js";
import { residentBytes, withCpu } from "./processes.js";
import { judge, renderFigure, type Figure } from "./report.js";

const STORES = 3;
const IDLE_MS = 3_000;
const WARM_UP_SECONDS = 2;
const SINGLE_SECONDS = 2;

const { values: flags } = parseArgs({
  options: {
    pd: { type: "string" },
    seconds: { type: "string", default: "5" },
    concurrency: { type: "string", default: "256" },
    "value-bytes": { type: "string", default: "100" },
    keys: { type: "string", default: "10000" },
  },
});

/** Reads a flag that must be a whole number from 1 on. */
function count(name: "seconds" | "concurrency" | "value-bytes" | "keys"): number {
  const value = Number(flags[name]);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  process.stderr.write(`--${name}: ${flags[name]} given, a whole number from 1 on is needed\n`);
  process.exit(2);
}

const settings = {
  seconds: count("seconds"),
  concurrency: count("concurrency"),
  valueBytes: count("value-bytes"),
  keys: count("keys"),
};
const figures: Figure[] = [];

function note(figure: Figure): void {
  figures.push(figure);
  process.stdout.write(`${renderFigure(figure)}\n`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** A cluster to measure. */
interface Subject {
  readonly pd: readonly string[];
  /** Processes by name, without this one; empty where they are not known. */
  readonly pids: ReadonlyMap<string, number>;
  readonly stores: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

async function startSubject(): Promise<Subject> {
  const folder = mkdtempSync(join(tmpdir(), "rhea-bench-"));
  const beginMs = performance.now();
  const cluster = await startLocalCluster({
    dataDir: join(folder, "data"),
    source: {
      cluster: {
        apiVersion: "rheakv.io/v1alpha1",
        kind: "RheaCluster",
        metadata: { name: "bench" },
        spec: { pd: { replicas: 1 }, stores: { replicas: STORES } },
      },
    },
    ports: "free",
  });
  const close = async (): Promise<void> => {
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const { pd } = await cluster.until("PD has an address", 30_000, (status) => status.pd.length > 0);
    const client = await connect({ pd, timeoutMs: 30_000 });
    await client.put("bench/first", "1");
    const measured = (performance.now() - beginMs) / 1000;
    note({ name: "start of the cluster to the first put", unit: "s", measured, goal: 6, better: "less" });
    await client.close();
    const { processes } = await cluster.ready(60_000);
    const known = processes.flatMap(({ name, role, pid }) => (pid === undefined ? [] : [{ name, role, pid }]));
    return {
      pd,
      pids: new Map(known.map(({ name, pid }) => [name, pid])),
      stores: new Map(known.filter(({ role }) => role === "store").map(({ name, pid }) => [name, pid])),
      close,
    };
  } catch (error) {
    for (const problem of cluster.status().problems) say(`    ${problem}`);
    await cluster.stop();
    say(`    the logs stay below ${folder}`);
    throw error;
  }
}

async function measureIdle(stores: ReadonlyMap<string, number>): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  for (const [name, pid] of stores) {
    const bytes = residentBytes(pid);
    if (bytes === undefined) continue;
    const measured = bytes / 1024 / 1024;
    note({ name: `memory of the idle store ${name}`, unit: "MiB", measured, goal: 150, better: "less" });
  }
}

/** Runs one load, prints rate, latencies and where the CPU went. */
async function measure(
  subject: Subject,
  name: string,
  goal: number | undefined,
  concurrency: number,
  seconds: number,
  call: (n: number) => Promise<unknown>,
): Promise<LoadResult> {
  const pids = new Map([...subject.pids, ["client (this process)", process.pid]]);
  const { result, used } = await withCpu(pids, () => runLoad(concurrency, seconds, call));
  note({
    name: `${name}, ${concurrency} at a time`,
    unit: "/s",
    measured: result.perSecond,
    ...(goal === undefined ? {} : { goal }),
    better: "more",
  });
  say(
    `    latency p50 ${result.p50Ms.toFixed(2)} ms, p99 ${result.p99Ms.toFixed(2)} ms; longest pause ${result.longestPauseMs.toFixed(0)} ms`,
  );
  const total = [...used.values()].reduce((sum, each) => sum + each, 0);
  const parts = [...used].map(([process, each]) => `${process} ${(each / result.operations).toFixed(1)}`);
  say(`    CPU per operation: ${(total / result.operations).toFixed(1)} us (${parts.join(", ")})`);
  return result;
}

async function measureAll(subject: Subject, client: RheaClient): Promise<void> {
  const value = Buffer.alloc(settings.valueBytes, "v");
  const keyOf = (n: number): string => `bench/${(n * 7919) % settings.keys}`;
  const put = (n: number): Promise<void> => client.put(keyOf(n), value);
  const get = (n: number): Promise<Buffer | undefined> => client.get(keyOf(n));
  const { concurrency, seconds, valueBytes } = settings;
  await runLoad(concurrency, WARM_UP_SECONDS, put);
  await measure(subject, `puts of ${valueBytes} bytes`, 15_000, concurrency, seconds, put);
  await runLoad(concurrency, WARM_UP_SECONDS, get);
  await measure(subject, "linearizable gets", 60_000, concurrency, seconds, get);
  await measure(subject, "puts", undefined, 1, SINGLE_SECONDS, put);
  await measure(subject, "linearizable gets", undefined, 1, SINGLE_SECONDS, get);
  const { messages, operations, retries } = client.stats();
  say(`    ${(operations / messages).toFixed(1)} operations per message, ${retries} retries`);
}

async function main(): Promise<number> {
  const where = flags.pd === undefined ? `${STORES} stores on this machine` : `cluster at ${flags.pd}`;
  say(`${where}; ${cpus().length} cores, Node ${process.version}`);
  const subject =
    flags.pd === undefined
      ? await startSubject()
      : { pd: flags.pd.split(","), pids: new Map(), stores: new Map(), close: async () => undefined };
  try {
    await measureIdle(subject.stores);
    const client = await connect({ pd: subject.pd });
    try {
      await measureAll(subject, client);
    } finally {
      await client.close();
    }
  } finally {
    await subject.close();
  }
  const verdicts = figures.map(judge);
  const countOf = (verdict: string): number => verdicts.filter((each) => each === verdict).length;
  say(`${countOf("met")} met, ${countOf("half")} at least half, ${countOf("missed")} missed`);
  return countOf("missed") === 0 ? 0 : 1;
}

process.exitCode = await main();
