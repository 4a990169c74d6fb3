/**
 * How long the write-ahead log takes to open: writes one of `--gib` (default 1) in a temporary directory as a busy host writes it (big frames of
 * many groups), then opens it in a process of its own and prints seconds and CPU. Goal: 1 GiB in under 4 s, also with small entries.
 *
 *     node --conditions=rhea-source --import=tsx bench/raft-log-open.ts [--entry-bytes 100,1000] [--groups 100] [--run 8] [--gib 1]
 *
 * `--entry-bytes`: sizes of an entry's data, one log each. `--run`: entries of one group that stand together in a frame. The appending is timed too,
 * fsync included: entries per second and microseconds of CPU per entry.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { silentLogger } from "@rhea/common";
import { nodeClock, nodeDisk } from "@rhea/common/env-node";
import { openLog, type LogRecord, type RaftLog } from "@rhea/raft";
import { renderFigure } from "./report.js";

const GIB = 1024 ** 3;
const GOAL_SECONDS_PER_GIB = 4;
/** What a turn of a busy host hands to the log at most. */
const TURN_BYTES = 512 * 1024;

const { values: flags } = parseArgs({
  options: {
    "entry-bytes": { type: "string", default: "100,1000" },
    groups: { type: "string", default: "100" },
    run: { type: "string", default: "8" },
    gib: { type: "string", default: "1" },
    open: { type: "string" },
  },
});

function open(directory: string): Promise<RaftLog> {
  return openLog({
    ...{ disk: nodeDisk, directory, clock: nodeClock, logger: silentLogger },
    onFailed: (error) => {
      throw error;
    },
  });
}

/** Seconds and CPU seconds of something. */
async function timed<T>(run: () => Promise<T>): Promise<{ result: T; seconds: number; cpuSeconds: number }> {
  const start = performance.now();
  const cpu = process.cpuUsage();
  const result = await run();
  const { user, system } = process.cpuUsage(cpu);
  return { result, seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6 };
}

/** Fills a log in turns and returns its number of entries. */
async function fill(directory: string, entryBytes: number, groups: number, run: number): Promise<number> {
  const log = await open(directory);
  const ids = Array.from({ length: groups }, (_, i) => i + 1);
  await log.append(ids.map((groupId) => ({ kind: "created", groupId, peerId: groupId, index: 0, term: 0 })));
  const data = Buffer.alloc(entryBytes, "x");
  const turnRuns = Math.max(1, Math.floor(TURN_BYTES / ((entryBytes + 32) * run)));
  const nextIndex = ids.map(() => 1);
  let entries = 0;
  let next = 0;
  let before = Promise.resolve();
  while (log.stats().fileBytes < Number(flags.gib) * GIB) {
    const records: LogRecord[] = [];
    for (let i = 0; i < turnRuns; i++, next = (next + 1) % groups) {
      const first = nextIndex[next] ?? 1;
      nextIndex[next] = first + run;
      const made = Array.from({ length: run }, (_, k) => ({
        term: 7,
        index: first + k,
        type: "normal" as const,
        data,
      }));
      records.push({ kind: "entries", groupId: next + 1, entries: made });
    }
    entries += run * turnRuns;
    const done = log.append(records);
    await before;
    before = done;
  }
  await log.close();
  return entries;
}

interface Opened {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly fileBytes: number;
  readonly residentMiB: number;
}

async function measureOpen(directory: string): Promise<void> {
  const { result: log, seconds, cpuSeconds } = await timed(() => open(directory));
  const { fileBytes } = log.stats();
  const residentMiB = process.memoryUsage.rss() / 2 ** 20;
  await log.close();
  process.stdout.write(JSON.stringify({ seconds, cpuSeconds, fileBytes, residentMiB } satisfies Opened));
}

async function measure(entryBytes: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "rhea-bench-log-"));
  try {
    const groups = Number(flags.groups);
    const written = await timed(() => fill(directory, entryBytes, groups, Number(flags.run)));
    const entries = written.result;
    const name = (what: string): string => `${what}, entries of ${entryBytes} bytes`;
    const show = (figure: Parameters<typeof renderFigure>[0]): void => {
      process.stdout.write(`${renderFigure(figure)}\n`);
    };
    show({ name: name("append"), unit: "/s", measured: entries / written.seconds, better: "more" });
    show({ name: name("append CPU"), unit: "us", measured: (written.cpuSeconds / entries) * 1e6, better: "less" });
    const program = fileURLToPath(import.meta.url);
    const output = execFileSync(process.execPath, [...process.execArgv, program, "--open", directory]);
    const opened = JSON.parse(output.toString()) as Opened;
    const gib = opened.fileBytes / GIB;
    const goal = GOAL_SECONDS_PER_GIB * gib;
    show({ name: name(`open ${gib.toFixed(2)} GiB`), unit: "s", measured: opened.seconds, goal, better: "less" });
    show({ name: name("open CPU"), unit: "s", measured: opened.cpuSeconds, better: "less" });
    show({ name: name("memory of the opener"), unit: "MiB", measured: opened.residentMiB, better: "less" });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (flags.open === undefined) {
  for (const size of flags["entry-bytes"].split(",")) await measure(Number(size));
} else await measureOpen(flags.open);
