/** The process `rhea-pd`: `rhea-pd --config pd.yaml`, every key also by flag and environment. */
import { readFileSync } from "node:fs";
import { loadConfig, RheaError, type LogLevel } from "@rhea/common";
import { createLogger, runMain } from "@rhea/common/env-node";
import { PD_CONFIG, startPd } from "../env-node/index.js";

/** Takes `--config FILE` out of the arguments and reads the file. */
function readConfigFile(argv: readonly string[]): {
  file: { name: string; text: string } | undefined;
  rest: readonly string[];
} {
  const at = argv.findIndex((argument) => argument === "--config" || argument.startsWith("--config="));
  const argument = argv[at];
  if (argument === undefined) return { file: undefined, rest: argv };
  const isJoined = argument.startsWith("--config=");
  const name = isJoined ? argument.slice("--config=".length) : argv[at + 1];
  if (name === undefined || name === "") throw new RheaError("INVALID_CONFIG", "--config needs a file name");
  const rest = argv.filter((_, i) => i !== at && (isJoined || i !== at + 1));
  try {
    return { file: { name, text: readFileSync(name, "utf8") }, rest };
  } catch (cause) {
    throw new RheaError("INVALID_CONFIG", `${name} cannot be read: ${RheaError.from(cause).message}`, { cause });
  }
}

runMain("rhea-pd", async (context) => {
  const { argv, env, shutdown } = context;
  const { file, rest } = readConfigFile(argv);
  const config = loadConfig(PD_CONFIG, { ...(file === undefined ? {} : { file }), argv: rest, env });
  const logger = createLogger({ name: config.name, level: config.logLevel as LogLevel });
  const setLevel = (level: string): void => logger.setLevel((level === "" ? config.logLevel : level) as LogLevel);
  const starting = startPd(config, logger, (error) => context.fail(error), setLevel);
  // Stopped while it waits to be taken in: there is nothing yet that would have to be closed in order.
  const pd = await Promise.race([starting, shutdown.then(() => undefined)]);
  if (pd === undefined) return;
  pd.ready.then(
    () =>
      console.log(
        `rhea-pd ${config.name} ready: cluster ${config.clusterId}, address ${pd.address}, status ${pd.statusAddress}`,
      ),
    () => undefined, // closed before it was ready
  );
  const reason = await shutdown;
  logger.log("info", "stops", { reason });
  await pd.close();
});
