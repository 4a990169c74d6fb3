/**
 * `npm run smoke`: a cluster of real processes, started by the code of `npm start`, loaded with real records, hurt in every way that it must
 * survive, and scaled. No questions asked; ends with `N passed, N failed`. On failure it keeps the logs and says where.
 */
import { renameSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { LocalStatus } from "@rhea/operator/env-node";
import { checkRecords, checkScan, importRecords, readRecords } from "./smoke/records.js";
import { createReport, type StepLog } from "./smoke/report.js";
import { busiestStore, createScene, untilHealthy, storesOf, type Scene } from "./smoke/scene.js";
import { startWriters, type Writers } from "./smoke/writers.js";

const WRITERS = 64;
const REGIONS = 8;
const WRITE_BEFORE_MS = 2_000;
const WRITE_AFTER_MS = 6_000;
const RESUME_LIMIT_MS = 3_000;
const ALL_LIMIT_SECONDS = 240;
const HEALTHY_LIMIT_MS = 20_000;
const PEERS_LIMIT_MS = 30_000;

const records = readRecords(fileURLToPath(new URL("../package-lock.json", import.meta.url)));
const scene = createScene({ stores: 3 });
const report = createReport();
/** What was written while a store was killed: checked again in every later step. */
let written: Writers | undefined;

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const secondsSince = (ms: number) => `${((performance.now() - ms) / 1000).toFixed(1)} s`;

/** Everything that the cluster was told must still be there, on full strength. */
async function requireAll(log: StepLog): Promise<void> {
  const regions = await untilHealthy(await scene.admin(), 3, HEALTHY_LIMIT_MS);
  const count = await checkRecords(await scene.client(), records);
  log.figure("records read back", count);
  if (written !== undefined)
    log.figure("keys written during the kill, read back", await written.check(await scene.client()));
  log.figure("regions with 3 healthy peers", `${regions} of ${regions}`);
}

async function start(log: StepLog): Promise<void> {
  const begin = performance.now();
  await scene.start();
  const client = await scene.client();
  await client.put("smoke/first", "1");
  log.figure("first put acknowledged after", secondsSince(begin));
  await scene.cluster().ready(30_000);
  log.figure("Ready after", secondsSince(begin));
  log.figure("processes", scene.cluster().status().processes.length);
}

async function importAll(log: StepLog): Promise<void> {
  const client = await scene.client();
  const begin = performance.now();
  await importRecords(client, records);
  log.figure(`records imported from ${records.source}`, records.entries.size);
  log.figure("import took", secondsSince(begin));
  log.figure("records read back", await checkRecords(client, records));
}

async function scan(log: StepLog): Promise<void> {
  const client = await scene.client();
  for (const prefix of ["package/lib", "package/"]) {
    log.figure(`entries below ${prefix}`, await checkScan(client, records, prefix));
  }
}

async function split(log: StepLog): Promise<void> {
  const admin = await scene.admin();
  for (;;) {
    const { routes, health } = await admin.regions({ withHealth: true });
    if (routes.length >= REGIONS) break;
    const [largest] = [...health].sort((a, b) => b.approximateKeys - a.approximateKeys);
    await admin.addOperation({ kind: "split", regionId: largest?.regionId ?? 0, origin: "user", reason: "smoke test" });
    while ((await admin.regions()).routes.length === routes.length) await pause(50);
  }
  const status = await scene.cluster().until("all regions are healthy", 30_000, ({ isReady, cluster }) => {
    return isReady && (cluster.regions?.total ?? 0) >= REGIONS;
  });
  log.figure("regions", status.cluster.regions?.total ?? 0);
  log.figure(
    "leaders per store",
    storesOf(status)
      .map(({ leaders }) => leaders ?? 0)
      .join(", "),
  );
  await checkRecords(await scene.client(), records);
}

async function killWhileWriting(log: StepLog): Promise<void> {
  const cluster = scene.cluster();
  const { routes } = await (await scene.admin()).regions();
  const regions = routes.map(({ region }) => ({
    regionId: region?.regionId ?? 0,
    startKey: region?.startKey ?? Buffer.alloc(0),
  }));
  const writers = await startWriters(cluster.status().pd, WRITERS, regions);
  let victim;
  let killedMs;
  try {
    await pause(WRITE_BEFORE_MS);
    victim = busiestStore(cluster.status());
    cluster.kill(victim.name, "SIGKILL");
    killedMs = performance.now();
    await pause(WRITE_AFTER_MS);
  } finally {
    await writers.stop();
  }
  const pauses = [...writers.longestPauses(killedMs)];
  const [worst] = [...pauses].sort(([, a], [, b]) => b - a);
  log.figure("killed", `${victim.name}, which led ${victim.leaders ?? 0} of ${regions.length} regions`);
  log.figure(`writes acknowledged to ${WRITERS} clients`, writers.acknowledged());
  for (const [code, { count, first }] of writers.failures)
    log.figure(`writes that ended with ${code}`, `${count}, for instance ${first}`);
  log.figure(
    "longest pause in writing after the kill",
    `${((worst?.[1] ?? 0) / 1000).toFixed(2)} s, in region ${worst?.[0] ?? 0}`,
  );
  const slow = pauses.filter(([, ms]) => ms > RESUME_LIMIT_MS);
  if (slow.length > 0) throw new Error(`writing resumed after more than 3 s in ${slow.length} regions`);
  log.figure("keys with their last acknowledged or a later attempted value", await writers.check(await scene.client()));
  written = writers;
  await cluster.ready(30_000);
  await requireAll(log);
}

/** Loses the disk of the busiest store and waits for its replacement. */
async function loseDisk(log: StepLog, lose: (name: string, dataPath: string) => void): Promise<void> {
  const cluster = scene.cluster();
  const admin = await scene.admin();
  const before = cluster.status();
  const victim = busiestStore(before);
  const known = new Set((await admin.operations({ includeFinished: true })).map(({ operationId }) => operationId));
  const begin = performance.now();
  lose(victim.name, victim.dataPath);
  const after = await cluster.until(`${victim.name} is replaced`, 60_000, ({ processes, isReady }) => {
    return isReady && !processes.some(({ name }) => name === victim.name);
  });
  const fresh = storesOf(after).filter(({ name }) => !before.processes.some((row) => row.name === name));
  log.figure("replaced", `${victim.name} by ${fresh.map(({ name }) => name).join(", ")} after ${secondsSince(begin)}`);
  const operations = (await admin.operations({ includeFinished: true })).filter(
    ({ operationId }) => !known.has(operationId),
  );
  const healing = operations.filter(({ kind, state }) => kind === "replace-peer" && state === "succeeded");
  const origins = [...new Set(healing.map(({ origin }) => origin))];
  log.figure("replace-peer operations that succeeded", `${healing.length}, origin ${origins.join(", ")}`);
  if (healing.length === 0 || origins.join() !== "operator") throw new Error("peers were not replaced by the operator");
  await requireAll(log);
}

const killAndDelete = (log: StepLog) =>
  loseDisk(log, (name, dataPath) => {
    scene.cluster().kill(name, "SIGKILL");
    rmSync(dataPath, { recursive: true, force: true });
  });

const renameAndDelete = (log: StepLog) =>
  loseDisk(log, (_name, dataPath) => {
    renameSync(dataPath, `${dataPath}.gone`);
    rmSync(`${dataPath}.gone`, { recursive: true, force: true });
  });

async function scaleOut(log: StepLog): Promise<void> {
  const cluster = scene.cluster();
  const before = new Set(cluster.status().processes.map(({ name }) => name));
  const isNew = ({ name }: { readonly name: string }) => !before.has(name);
  const appeared = new Map<string, number>();
  const filled = new Map<string, number>();
  scene.want({ stores: 5 });
  await cluster.until("both new stores have peers", 60_000, (status) => {
    for (const { name, regions = 0 } of storesOf(status).filter(isNew)) {
      if (!appeared.has(name)) appeared.set(name, performance.now());
      if (regions > 0 && !filled.has(name)) filled.set(name, performance.now());
    }
    return filled.size === 2;
  });
  for (const [name, ms] of filled) {
    const took = ms - (appeared.get(name) ?? ms);
    log.figure(`${name} has peers after`, `${(took / 1000).toFixed(1)} s`);
    if (took > PEERS_LIMIT_MS) throw new Error(`${name} had no peer for more than 30 s`);
  }
  await cluster.ready(30_000);
  await requireAll(log);
}

async function cancelScaleIn(log: StepLog): Promise<void> {
  const cluster = scene.cluster();
  const names = (status: LocalStatus) =>
    storesOf(status)
      .map(({ name }) => name)
      .sort()
      .join(", ");
  const before = names(cluster.status());
  scene.want({ stores: 4, operationLimit: 1 });
  let victim = "";
  let first = 0;
  let left = 0;
  await cluster.until("a first peer has moved", 60_000, (status) => {
    const row = storesOf(status).find(({ state }) => state === "Draining");
    if (row === undefined) return false;
    victim = row.name;
    left = row.regions ?? 0;
    first = Math.max(first, left);
    return left < first;
  });
  scene.want({ stores: 5, operationLimit: 1 });
  log.figure("cancelled", `the drain of ${victim} with ${left} of ${first} peers left`);
  if (left === 0) throw new Error("the drain was over before it was cancelled");
  const after = await cluster.until("the drain is taken back", 60_000, ({ isReady, processes }) => {
    return isReady && processes.some(({ name, state }) => name === victim && state === "Up");
  });
  if (names(after) !== before) throw new Error(`stores are ${names(after)}, were ${before}`);
  log.figure("stores afterwards, the same as before", names(after));
  await requireAll(log);
}

async function scaleIn(log: StepLog): Promise<void> {
  const cluster = scene.cluster();
  const before = cluster.status();
  scene.want({ stores: 3 });
  const after = await cluster.until(
    "two stores are gone",
    60_000,
    (status) => status.isReady && storesOf(status).length === 3,
  );
  const left = new Set(after.processes.map(({ name }) => name));
  const gone = storesOf(before).filter(({ name }) => !left.has(name));
  log.figure("gone", gone.map(({ name }) => name).join(", "));
  const stores = await (await scene.admin()).stores();
  if (stores.length !== 3) throw new Error(`PD still has ${stores.length} stores`);
  await requireAll(log);
}

async function changeOperator(log: StepLog): Promise<void> {
  const pids = () =>
    scene
      .cluster()
      .status()
      .processes.map(({ name, pid }) => `${name} ${pid ?? 0}`)
      .join(", ");
  const before = pids();
  const refusal = await scene.start().then(
    () => "none",
    (error: unknown) => (error as Error).message,
  );
  if (!refusal.includes(`in use by process ${process.pid}`))
    throw new Error(`a second operator was refused with: ${refusal}`);
  log.figure("a second operator is refused", refusal.slice(refusal.indexOf("is in use"), refusal.indexOf(":")));
  scene.write(
    "apiVersion: rheakv.io/v1alpha1\nkind: RheaCluster\nmetadata: { name: smoke }\nspec:\n  stores: { replica: 1 }\n",
  );
  const wrong = await scene.cluster().until("the wrong file shows", 10_000, ({ problems }) => problems.length > 0);
  log.figure("a wrong file shows as", (wrong.problems[0] ?? "").split("\n").at(-1) ?? "");
  scene.want({ stores: 3 });
  await scene
    .cluster()
    .until("the file is right again", 10_000, ({ problems, isReady }) => isReady && problems.length === 0);
  await scene.letGo();
  await scene.start();
  await scene.cluster().ready(30_000);
  if (pids() !== before) throw new Error(`processes are ${pids()}, were ${before}`);
  log.figure("processes taken over by the next operator", scene.cluster().status().processes.length);
  await requireAll(log);
}

async function restart(log: StepLog): Promise<void> {
  const begin = performance.now();
  await scene.stop();
  log.figure("stopped after", secondsSince(begin));
  const again = performance.now();
  await scene.start();
  log.figure("records read back", await checkRecords(await scene.client(), records));
  log.figure("all records read again after", secondsSince(again));
  await scene.cluster().ready(30_000);
  log.figure("Ready after", secondsSince(again));
  await requireAll(log);
}

const STEPS: readonly (readonly [name: string, limitSeconds: number, run: (log: StepLog) => Promise<void>])[] = [
  ["start PD and three stores", 30, start],
  ["import real records and read each back", 20, importAll],
  ["scan by prefix", 10, scan],
  [`split into ${REGIONS} regions`, 30, split],
  [`kill -9 the busiest store while ${WRITERS} clients write`, 45, killWhileWriting],
  ["kill a store and delete its directory", 60, killAndDelete],
  ["rename and delete the directory of a running store", 60, renameAndDelete],
  ["edit the file: 3 to 5 stores", 60, scaleOut],
  ["cancel a scale-in after its first peer has moved", 60, cancelScaleIn],
  ["edit the file: 5 to 3 stores", 60, scaleIn],
  ["a second operator, a wrong file, the next operator", 30, changeOperator],
  ["stop and start again", 45, restart],
];

async function main(smoke: Scene): Promise<boolean> {
  let isWell = true;
  const onSignal = (signal: NodeJS.Signals) => {
    void smoke.cleanUp(true).finally(() => process.exit(signal === "SIGINT" ? 130 : 143));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    for (const [name, limitSeconds, run] of STEPS) {
      if (isWell) isWell = await report.step(name, limitSeconds, run);
      else report.leaveOut(name);
    }
  } finally {
    const kept = await smoke.cleanUp(!isWell);
    if (kept !== undefined) process.stdout.write(`logs are kept in ${kept}\n`);
  }
  return report.close(ALL_LIMIT_SECONDS);
}

process.exitCode = (await main(scene)) ? 0 : 1;
// A step that was given up at its limit may still hold a timer or a connection.
setTimeout(() => process.exit(), 2_000).unref();
