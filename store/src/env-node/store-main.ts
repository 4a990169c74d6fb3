/** The store process on Node: configuration, status pages, signals. */
import { readFileSync } from "node:fs";
import { RheaError, loadConfig, tlsFiles, type LogLevel, type Logger } from "@rhea/common";
import {
  createLogger,
  grpcNet,
  nodeClock,
  nodeDisk,
  nodeRng,
  nodeScheduler,
  startStatusServer,
  type MainContext,
} from "@rhea/common/env-node";
import { STORE_CONFIG, type StoreConfig } from "../process/config.js";
import { parseFakePd } from "../process/fake-pd.js";
import { startStore, type RunningStore } from "../process/start-store.js";
import { createPages } from "../status/pages.js";
import type { KvEngine } from "../kv/engine.js";
import { openMemoryKv } from "../kv/memory-engine.js";
import { openLevelKv } from "./leveldb-engine.js";

/** Runs a store until a signal; throws what stops it. Prints one line on standard output when it serves. */
export async function storeMain(context: MainContext): Promise<void> {
  const config = readConfig(context);
  const logger = createLogger({ name: `rhea-store ${config.name}`, level: config.logLevel as "error" });
  const tls = tlsFiles({
    caFile: config["tls.caFile"],
    certFile: config["tls.certFile"],
    keyFile: config["tls.keyFile"],
  });
  const net = grpcNet({ tls, logger });
  const env = { clock: nodeClock, scheduler: nodeScheduler, rng: nodeRng, disk: nodeDisk, net, logger };
  const served: { store?: RunningStore } = {};
  let phase = "begins";
  const status = await startStatusServer({
    address: config.statusAddress,
    routes: createPages(
      () => served.store,
      env,
      () => phase,
    ),
  });
  const starting = startStore(config, {
    env,
    fakePd: config.fakePd === undefined ? undefined : parseFakePd(config.fakePd, readText(config.fakePd)),
    statusAddress: status.address,
    openKv: (directory) => openKv(config, directory),
    onLogLevel: (level) => logger.setLevel((level === "" ? config.logLevel : level) as LogLevel),
    onPhase: (next) => (phase = next),
    onFatal: (error) => stop(logger, context, error),
  });
  const running = await Promise.race([starting, context.shutdown.then(() => undefined)]);
  // Stopped while it waited for PD at its first start: there is nothing yet that would have to be closed in order.
  if (running === undefined) return;
  served.store = running;
  // A second look at a process that behaves oddly, without stopping it.
  process.on("SIGUSR2", () => process.stdout.write(running.engine.host.describe()));
  process.stdout.write(
    `rhea-store ${config.name} ready: store ${running.storeId}, address ${running.address}, status ${status.address}\n`,
  );
  const reason = await context.shutdown;
  logger.log("info", "stopping", { reason });
  await running.close();
  await status.close();
}

function readConfig(context: MainContext): StoreConfig {
  const argv = [...context.argv];
  const at = argv.findIndex((argument) => argument === "--config" || argument.startsWith("--config="));
  if (at === -1) return loadConfig(STORE_CONFIG, { argv, env: context.env });
  const [flag, next] = argv.splice(at, argv[at] === "--config" ? 2 : 1);
  const name = flag === "--config" ? next : flag?.slice("--config=".length);
  if (name === undefined || name === "") throw new RheaError("INVALID_CONFIG", "--config needs a file");
  return loadConfig(STORE_CONFIG, { file: { name, text: readText(name) }, argv, env: context.env });
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new RheaError("INVALID_CONFIG", `${file}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

async function openKv(config: StoreConfig, directory: string): Promise<KvEngine> {
  if (config.engine === "leveldb") {
    return openLevelKv({
      directory,
      cacheBytes: config["leveldb.cacheBytes"],
      writeBufferBytes: config["leveldb.writeBufferBytes"],
      compression: config["leveldb.compression"],
    });
  }
  // Node has no file locks; LevelDB takes one on its directory, so an empty one guards the journal.
  const lock = await openLevelKv({ directory: `${directory}-lock`, cacheBytes: 0, writeBufferBytes: 65_536 });
  const engine = await openMemoryKv({ disk: nodeDisk, directory });
  return {
    get: (key) => engine.get(key),
    batch: () => engine.batch(),
    write: (batch) => engine.write(batch),
    iterate: (range) => engine.iterate(range),
    snapshot: () => engine.snapshot(),
    clearRange: (start, end) => engine.clearRange(start, end),
    approximateSize: (start, end) => engine.approximateSize(start, end),
    close: async () => {
      await engine.close();
      await lock.close();
    },
  };
}

function stop(logger: Logger, context: MainContext, error: RheaError): never {
  logger.log("error", error.message, { code: error.code });
  return context.fail(error);
}
