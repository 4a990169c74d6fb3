/** The commands of `kubectl rhea`. */
import { createRequire } from "node:module";
import { Command, CommanderError, Option } from "commander";
import { ERROR_CODES, RheaError } from "@rhea/common";
import type { OutputFormat } from "../output.js";
import { errorLine } from "../program.js";
import { drainStore, restartAll, undoDrain } from "./change.js";
import { connectCluster } from "./connection.js";
import type { PluginContext, PluginEnvironment } from "./context.js";
import { previewRecovery } from "./recover.js";
import { writeReport } from "./report.js";
import { runShell } from "./shell.js";
import { explain, showPlan, showStatus } from "./show.js";

/** Commands of `rheactl` that take a cluster's name first here; the others go through `ctl`. */
const PASSED_ON: Readonly<Record<string, string>> = {
  put: "write a value: put NAME KEY [VALUE]",
  get: "print a value: get NAME KEY",
  del: "delete keys: del NAME KEY...",
  scan: "print keys and values in key order: scan NAME [--prefix P]",
  seq: "take numbers from a sequence: seq NAME KEY",
  import: "write JSON lines: import NAME [FILE]",
  stores: "list the stores as the placement driver has them",
  regions: "list the regions in key order, with their health",
  operations: "list the operations under way",
  ctl: "any other command of rheactl: ctl NAME COMMAND ...",
};

interface GlobalOptions {
  readonly namespace?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
  readonly timeout: string;
  readonly output: OutputFormat;
}

type Run = (context: PluginContext) => Promise<number | undefined>;

/** Runs one command line (without the program's own name) and returns the exit code. Never throws. */
export async function runPlugin(args: readonly string[], environment: PluginEnvironment): Promise<number> {
  let code = 0;
  const program = buildPlugin(environment, (result) => (code = result));
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .configureOutput({ writeOut: (text) => environment.cli.stdout.write(text), writeErr: () => undefined });
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      if (thrown.exitCode === 0) return 0;
      if (thrown.code === "commander.help") {
        environment.cli.stderr.write(program.helpInformation());
        return ERROR_CODES.INVALID_ARGUMENT.exit;
      }
    }
    const error =
      thrown instanceof CommanderError
        ? new RheaError("INVALID_ARGUMENT", `${thrown.message.replace(/^error: /, "")}: see kubectl rhea --help`)
        : RheaError.from(thrown);
    environment.cli.stderr.write(errorLine(error));
    return ERROR_CODES[error.code].exit;
  }
}

function buildPlugin(environment: PluginEnvironment, onCode: (code: number) => void): Command {
  const program = new Command("kubectl-rhea");
  program
    .description("Shows and steers Rhea clusters in Kubernetes, and reads and writes them through a tunnel.")
    .version((createRequire(import.meta.url)("../../package.json") as { version: string }).version)
    .usage("[options] COMMAND NAME [arguments]")
    .option("-n, --namespace <namespace>", "namespace of the cluster; default: the context's")
    .option("--context <name>", "context of the kubeconfig")
    .option("--kubeconfig <file>", "default: KUBECONFIG, then ~/.kube/config")
    .option("--timeout <ms>", "time for a call to the cluster", "10000")
    .addOption(new Option("-o, --output <format>", "output format").choices(["table", "json"]).default("table"))
    .enablePositionalOptions()
    .helpCommand(false);
  const run = async (command: Run): Promise<void> => {
    const { namespace, context, kubeconfig, timeout, output } = program.opts<GlobalOptions>();
    const timeoutMs = Number(timeout);
    if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1) {
      throw new RheaError(
        "INVALID_ARGUMENT",
        `--timeout: ${JSON.stringify(timeout)} given, a whole number of ms is needed`,
      );
    }
    const kube = environment.openKube({
      ...(namespace === undefined ? {} : { namespace }),
      ...(context === undefined ? {} : { context }),
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
    });
    try {
      onCode((await command({ kube, cli: environment.cli, output, timeoutMs, wallMs: environment.wallMs })) ?? 0);
    } finally {
      kube.close();
    }
  };
  const silent = (work: (context: PluginContext) => Promise<void>) =>
    run(async (context) => {
      await work(context);
      return undefined;
    });
  const command = (usage: string, description: string) => program.command(usage).description(description);

  command("status <name>", "conditions, members, stores and what is held back").action((name: string) =>
    silent((context) => showStatus(context, name)),
  );
  command("plan <name>", "what the operator does next: why, what proves it safe, how it is undone").action(
    (name: string) => silent((context) => showPlan(context, name)),
  );
  command("explain <name> [store]", "why the cluster or a store is as it is, with its pod and events").action(
    (name: string, store: string | undefined) => silent((context) => explain(context, name, store)),
  );
  command("drain <name> <store>", "empty a store and put another in its place").action((name: string, store: string) =>
    silent((context) => drainStore(context, name, store)),
  );
  command("undo <name> <store>", "take a drain back").action((name: string, store: string) =>
    silent((context) => undoDrain(context, name, store)),
  );
  command("restart <name>", "restart all pods, one by one").action((name: string) =>
    silent((context) => restartAll(context, name)),
  );
  command("recover <name>", "what a lost quorum means and what can still come back; changes nothing").action(
    (name: string) => silent((context) => previewRecovery(context, name)),
  );
  command("report <name>", "write status, events, pods and logs into a directory")
    .option("--directory <path>", "where; default rhea-report-NAME-TIME here")
    .action((name: string, options: object) => silent((context) => writeReport(context, name, options)));
  command("shell <name>", "a prompt for rheactl's commands").action((name: string) =>
    run((context) => runShell(context, name)),
  );
  for (const [word, description] of Object.entries(PASSED_ON)) {
    command(`${word} <name> [arguments...]`, description)
      .allowUnknownOption()
      .passThroughOptions()
      .action((name: string, rest: string[]) =>
        run((context) => passOn(context, name, word === "ctl" ? rest : [word, ...rest])),
      );
  }
  return program;
}

async function passOn(context: PluginContext, name: string, args: readonly string[]): Promise<number> {
  const connection = await connectCluster(context, name);
  try {
    return await connection.run(args);
  } finally {
    await connection.close();
  }
}
