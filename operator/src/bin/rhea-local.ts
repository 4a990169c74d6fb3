/** rhea-local, what `npm start` runs: a cluster of local processes under the operator. See operator/README.md. */
import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { RheaError } from "@rhea/common";
import { runMain, type MainContext } from "@rhea/common/env-node";
import { Command, CommanderError } from "commander";
import {
  inspectLocalCluster,
  renderHints,
  renderStatus,
  resetLocalCluster,
  startLocalCluster,
  stopLocalCluster,
  type LocalCluster,
  type LocalStatus,
} from "../platforms/process/index.js";
import { agrees } from "./question.js";
import { createScreen, type Screen } from "./screen.js";

const PROJECT = fileURLToPath(new URL("../../../", import.meta.url));
const ONCE_TIMEOUT_MS = 120_000;

interface Options {
  readonly dataDir: string;
  readonly once?: true;
  readonly status?: true;
  readonly stop?: true;
  readonly reset?: true;
  readonly yes?: true;
}

runMain("rhea-local", async (context) => {
  const command = makeCommand();
  try {
    command.parse([...context.argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return; // --help
    throw new RheaError("INVALID_ARGUMENT", `${error.message.replace(/^error: /, "")}: see npm start -- --help`);
  }
  const options = command.opts<Options>();
  const file = shorten(command.args[0] ?? `${PROJECT}examples/rheacluster.yaml`);
  const modes = [options.once, options.status, options.stop, options.reset].filter((flag) => flag === true);
  if (modes.length > 1) throw new RheaError("INVALID_ARGUMENT", "give one of --once, --status, --stop, --reset");
  if (options.status === true) return showStatus(options);
  if (options.stop === true) return stop(options);
  if (options.reset === true) return reset(options);
  return run(file, options, context);
});

function makeCommand(): Command {
  return new Command("npm start --")
    .description(
      "Runs the cluster that FILE describes as local processes, and keeps it as described while FILE changes.",
    )
    .argument("[FILE]", "the RheaCluster (default: examples/rheacluster.yaml)")
    .option("--data-dir <DIR>", "where everything of the cluster lies", `${PROJECT}.rhea`)
    .option("--once", "wait until Ready, print the table, and leave the cluster running")
    .option("--status", "print the state of the cluster")
    .option("--stop", "stop the cluster; its data stay")
    .option("--reset", "stop the cluster and delete its data")
    .option("--yes", "answer yes to questions")
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
}

/** A path as it is shortest from here. */
function shorten(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith("..") ? resolve(path) : fromHere;
}

async function run(file: string, options: Options, { shutdown }: MainContext): Promise<void> {
  const screen = createScreen(process.stdout);
  const hints = (status: LocalStatus) =>
    renderHints(status, file, resolve(options.dataDir) === resolve(`${PROJECT}.rhea`) ? undefined : options.dataDir);
  const isLive = screen.isLive && options.once !== true;
  const cluster = await startLocalCluster({
    dataDir: options.dataDir,
    source: { file },
    onEvent: (line) => screen.event(line),
    ...(isLive
      ? {
          onStatus: (status) =>
            screen.draw([...renderStatus(status, process.cwd(), screen.columns()), "", ...hints(status)]),
        }
      : {}),
  });
  const stopped = shutdown.then(async (signal) => {
    screen.event(`${signal}: stops the stores, then the placement driver; data stay in ${cluster.dataDir}`);
    await cluster.stop();
    screen.close();
  });
  const first = await Promise.race([cluster.ready(ONCE_TIMEOUT_MS).catch(orWait(cluster, options)), stopped]);
  if (first !== undefined) {
    if (!isLive) screen.print(["", ...renderStatus(first, process.cwd()), "", ...hints(first), ""]);
    if (options.once === true) return cluster.detach();
  }
  await Promise.race([stopped, endsByBug(cluster, screen)]);
}

/** A bug ends this process with an error; the stores serve on, and the next `npm start` takes them over. */
async function endsByBug(cluster: LocalCluster, screen: Screen): Promise<void> {
  try {
    await cluster.failure;
  } catch (error) {
    screen.event("its processes run on: npm start takes them over, npm start -- --stop stops them");
    screen.close();
    await cluster.detach().catch(() => undefined); // the same error
    throw error;
  }
}

/** `--once` fails when the cluster does not become Ready; without it the operator goes on trying. */
function orWait(cluster: LocalCluster, options: Options): (error: unknown) => Promise<LocalStatus | undefined> {
  return async (error) => {
    if (options.once !== true) return undefined;
    await cluster.detach();
    throw error;
  };
}

async function showStatus({ dataDir }: Options): Promise<void> {
  const found = await inspectLocalCluster(dataDir);
  if (found === undefined) throw new RheaError("NOT_FOUND", `${dataDir}: no cluster was ever started here: npm start`);
  const { status, operatorPid } = found;
  const operator = operatorPid === undefined ? "no operator runs on it" : `operator: process ${operatorPid}`;
  process.stdout.write(
    [...renderStatus(status, process.cwd()), "", `${operator}; data in ${status.dataDir}`, ""].join("\n"),
  );
}

async function stop({ dataDir }: Options): Promise<void> {
  const count = await stopLocalCluster(dataDir, (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(
    count === 0 ? `nothing runs in ${dataDir}\n` : `stopped ${count} processes; data stay in ${dataDir}\n`,
  );
}

async function reset({ dataDir, yes }: Options): Promise<void> {
  if (yes !== true && !(await agreesToDelete(dataDir))) {
    process.stdout.write("nothing was deleted\n");
    return;
  }
  const existed = await resetLocalCluster(dataDir, (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(existed ? `deleted ${dataDir}\n` : `there is no ${dataDir}\n`);
}

function agreesToDelete(dataDir: string): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new RheaError("INVALID_ARGUMENT", "--reset asks on a terminal; without one give --yes");
  return agrees(`Stop the cluster and delete all data in ${dataDir}? [y/N] `, process.stdin, process.stdout);
}
