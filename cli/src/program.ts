/** The commands of `rheactl` and their options. gRPC is loaded by `connect` of the environment, when a command needs it. */
import { createRequire } from "node:module";
import { Command, CommanderError, Option } from "commander";
import { ERROR_CODES, RheaError } from "@rhea/common";
import type { Admin, RheaClient } from "@rhea/client";
import { findCluster } from "./cluster-file.js";
import { addPeer, cancelDrain, cancelOperation, drain, removePeer, split, transferLeader } from "./commands/change.js";
import { cluster, operations, regions, stores } from "./commands/cluster.js";
import type { CommandContext } from "./commands/context.js";
import { del, get, put, scan, seq } from "./commands/data.js";
import { importLines } from "./commands/import.js";
import type { CliEnvironment, OfflineCommands, Target } from "./environment.js";
import type { OutputFormat } from "./output.js";

interface GlobalOptions {
  readonly pd?: string;
  readonly clusterFile?: string;
  readonly dataDir?: string;
  readonly clusterId?: string;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly timeout: string;
  readonly output: OutputFormat;
}

type Run = (context: CommandContext) => Promise<void>;

/** Connects on demand and closes at the end. */
class Session {
  readonly #cli: CliEnvironment;
  readonly #target: () => Target;
  #client: RheaClient | undefined;
  #admin: Admin | undefined;

  constructor(cli: CliEnvironment, target: () => Target) {
    this.#cli = cli;
    this.#target = target;
  }

  async client(): Promise<RheaClient> {
    return (this.#client ??= await this.#cli.connect(this.#target()));
  }

  async admin(): Promise<Admin> {
    return (this.#admin ??= await this.#cli.connectAdmin(this.#target()));
  }

  async close(): Promise<void> {
    await this.#client?.close();
    this.#admin?.close();
  }
}

function parseWhole(text: string, name: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new RheaError("INVALID_ARGUMENT", `${name}: ${JSON.stringify(text)} given, a whole number from 1 on is needed`);
}

function buildProgram(cli: CliEnvironment): Command {
  const program = new Command("rheactl");
  program
    .description("Reads, writes and administers a Rhea cluster.")
    .version((createRequire(import.meta.url)("../package.json") as { version: string }).version)
    .option("--pd <addresses>", "PD members, host:port[,host:port]; default: the cluster of npm start, else RHEA_PD")
    .option("--cluster-file <path>", "a cluster.json, as in the Secret NAME-client; default: RHEA_CLUSTER_FILE")
    .option("--data-dir <dir>", "data directory of an npm start, where it is not found by itself")
    .option("--cluster-id <id>", "id of the cluster at that PD")
    .option("--ca-file <path>", "CAs that the servers' certificates are signed by; default: RHEA_CA_FILE")
    .option("--cert-file <path>", "your certificate; default: RHEA_CERT_FILE")
    .option("--key-file <path>", "your private key; default: RHEA_KEY_FILE")
    .option("--timeout <ms>", "time for the command's calls", "10000")
    .addOption(new Option("-o, --output <format>", "output format").choices(["table", "json"]).default("table"))
    .helpCommand(false)
    .addHelpText("after", exitCodes());

  const run = async (command: Run): Promise<void> => {
    const options = program.opts<GlobalOptions>();
    const timeoutMs = parseWhole(options.timeout, "--timeout");
    const clusterId = options.clusterId === undefined ? undefined : parseWhole(options.clusterId, "--cluster-id");
    const session = new Session(cli, () => ({
      ...findCluster({
        ...{ pd: options.pd, clusterFile: options.clusterFile, dataDir: options.dataDir, clusterId },
        tls: { caFile: options.caFile, certFile: options.certFile, keyFile: options.keyFile },
        ...{ cwd: cli.cwd, projectRoot: cli.projectRoot, env: cli.env },
      }),
      timeoutMs,
    }));
    try {
      await command({
        cli,
        output: options.output,
        timeoutMs,
        client: () => session.client(),
        admin: () => session.admin(),
      });
    } finally {
      await session.close();
    }
  };
  addDataCommands(program, run);
  addClusterCommands(program, run);
  addChangeCommands(program, run);
  addOfflineCommands(program, cli);
  return program;
}

type Runner = (command: Run) => Promise<void>;

function addDataCommands(program: Command, run: Runner): void {
  program
    .command("put <key> [value]")
    .description("write a value")
    .option("--file <path>", "take the value from a file, - is standard input")
    .option("--base64", "the value is given in base64")
    .option("--if-absent", "refuse with ALREADY_EXISTS if the key has a value")
    .action((key: string, value: string | undefined, options: object) =>
      run((context) => put(context, key, value, options)),
    );
  program
    .command("get <key>")
    .description("print a value and a newline; exit code 1 if the key is absent")
    .option("--base64", "print the value in base64")
    .option("--stale", "let any replica answer, also without a quorum")
    .action((key: string, options: object) => run((context) => get(context, key, options)));
  program
    .command("del [keys...]")
    .description("delete keys, or a range of them")
    .option("--prefix <prefix>", "all keys that begin so")
    .option("--start <key>", "all keys from here (inclusive)")
    .option("--end <key>", "all keys up to here (exclusive)")
    .action((keys: string[], options: object) => run((context) => del(context, keys, options)));
  program
    .command("scan")
    .description("print keys and values in key order; JSON output is what import reads")
    .option("--prefix <prefix>", "keys that begin so")
    .option("--start <key>", "from here (inclusive)")
    .option("--end <key>", "up to here (exclusive)")
    .option("--limit <n>", "entries at most")
    .option("--reverse", "greatest key first")
    .option("--keys-only", "print no values")
    .option("--base64", "print keys and values in base64")
    .action((options: object) => run((context) => scan(context, options)));
  program
    .command("seq <key>")
    .description("take numbers from a sequence")
    .option("--step <n>", "how many, default 1; prints START END (exclusive) if more than one")
    .option("--latest", "only show the next number")
    .option("--reset", "start the sequence anew at 0")
    .action((key: string, options: object) => run((context) => seq(context, key, options)));
  program
    .command("import [file]")
    .description('write JSON lines {"key": ..., "value": ...} from a file or standard input')
    .option("--concurrency <n>", "writes under way at a time, default 256")
    .option("--base64", "keys and values are given in base64")
    .action((file: string | undefined, options: object) => run((context) => importLines(context, file, options)));
}

function addClusterCommands(program: Command, run: Runner): void {
  const collect = (value: string, all: string[] = []): string[] => [...all, value];
  program
    .command("cluster")
    .description("show the cluster's id, PD members and configuration")
    .option("--set <key=value>", "change the configuration, repeatable", collect)
    .action((options: object) => run((context) => cluster(context, options)));
  program
    .command("stores")
    .description("list the stores")
    .option("--all", "with tombstones")
    .action((options: object) => run((context) => stores(context, options)));
  program
    .command("regions")
    .description("list the regions in key order, with their health")
    .option("--start <key>", "from the region that holds this key")
    .option("--end <key>", "up to here (exclusive)")
    .option("--limit <n>", "regions at most")
    .action((options: object) => run((context) => regions(context, options)));
  program
    .command("operations")
    .description("list the operations under way")
    .option("--all", "with the finished ones that PD remembers")
    .option("--region <id>", "of one region")
    .option("--limit <n>", "operations at most")
    .action((options: object) => run((context) => operations(context, options)));
}

function addChangeCommands(program: Command, run: Runner): void {
  program
    .command("split [region]")
    .description("split a region near its middle, or at a key")
    .option("--key <key>", "where to split; names the region too if none is given")
    .option("--no-wait", "return once PD has accepted it")
    .action((region: string | undefined, options: object) => run((context) => split(context, region, options)));
  program
    .command("transfer-leader <region> <store>")
    .description("make the region's peer on a store its leader")
    .option("--no-wait", "return once PD has accepted it")
    .action((region: string, store: string, options: object) =>
      run((context) => transferLeader(context, region, store, options)),
    );
  program
    .command("add-peer <region> <store>")
    .description("add a replica of a region on a store")
    .option("--no-wait", "return once PD has accepted it")
    .action((region: string, store: string, options: object) =>
      run((context) => addPeer(context, region, store, options)),
    );
  program
    .command("remove-peer <region> [store]")
    .description("remove a region's replica from a store")
    .option("--peer <id>", "the peer, instead of a store")
    .option("--no-wait", "return once PD has accepted it")
    .action((region: string, store: string | undefined, options: object) =>
      run((context) => removePeer(context, region, store, options)),
    );
  program
    .command("drain <store>")
    .description("move all regions off a store")
    .action((store: string) => run((context) => drain(context, store)));
  program
    .command("cancel-drain <store>")
    .description("let a draining store keep its regions")
    .action((store: string) => run((context) => cancelDrain(context, store)));
  program
    .command("cancel-operation <id>")
    .description("stop an operation after its present step")
    .action((id: string) => run((context) => cancelOperation(context, id)));
}

function addOfflineCommands(program: Command, cli: CliEnvironment): void {
  const offline = program
    .command("offline")
    .description("look into the directory of a store or PD member that does not run; nothing in it is changed");
  const log = offline.command("log").description("its write-ahead log");
  const where = "the log's directory, where it is not log/ in DIR";
  const offlineCommands = (): Promise<OfflineCommands> => {
    if (cli.offline === undefined) throw new RheaError("INVALID_ARGUMENT", "there are no offline commands here");
    return cli.offline();
  };
  const context = (): { stdout: CliEnvironment["stdout"]; output: OutputFormat } => ({
    stdout: cli.stdout,
    output: program.opts<GlobalOptions>().output,
  });
  const index = (text: string | undefined, name: string): number | undefined =>
    text === undefined ? undefined : parseWhole(text, name);
  log
    .command("verify <dir>")
    .description(
      "what is in each segment and what an open would cut or refuse; exit code 6 if it would refuse anything",
    )
    .option("--log-dir <dir>", where)
    .action(async (dir: string, options: { readonly logDir?: string }) => {
      const { logVerify } = await offlineCommands();
      await logVerify(context(), dir, options);
    });
  log
    .command("dump <dir>")
    .description(
      "every frame and record that can be read; exit code 6 if some cannot; with -o json one document per line",
    )
    .option("--log-dir <dir>", where)
    .option("--group <id>", "records of one group")
    .option("--from <index>", "no entries before this index")
    .option("--to <index>", "no entries after this index")
    .option("--json", "as -o json")
    .action(
      async (
        dir: string,
        options: Readonly<Record<"logDir" | "group" | "from" | "to", string | undefined>> & { readonly json?: boolean },
      ) => {
        const { logDump } = await offlineCommands();
        const range = {
          group: index(options.group, "--group"),
          from: index(options.from, "--from"),
          to: index(options.to, "--to"),
        };
        const output = options.json === true ? "json" : context().output;
        await logDump({ ...context(), output }, dir, { logDir: options.logDir, ...range });
      },
    );
}

function exitCodes(): string {
  const byExit = new Map<number, string[]>();
  for (const [code, { exit }] of Object.entries(ERROR_CODES)) byExit.set(exit, [...(byExit.get(exit) ?? []), code]);
  const lines = [...byExit].sort(([a], [b]) => a - b).map(([exit, codes]) => `  ${exit}  ${codes.join(", ")}`);
  return `\nExit codes:\n  0  success\n${lines.join("\n")}`;
}

function withChildren(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withChildren)];
}

/** Errors are one line: what a message carries over several is joined. */
export function errorLine(error: RheaError): string {
  return `error ${error.code}: ${error.message.replace(/\s*\n\s*/g, "; ")}\n`;
}

/** Runs one command line (without the program's own name) and returns the exit code. Never throws. */
export async function runCli(args: readonly string[], cli: CliEnvironment): Promise<number> {
  const program = buildProgram(cli);
  for (const command of withChildren(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => cli.stdout.write(text),
      writeErr: () => undefined, // the error itself is printed below, in our form
    });
  }
  try {
    if (args.some((argument) => argument.includes("\u{fffd}"))) {
      // Node has put this character in the place of bytes that it cannot read: another key than was meant.
      throw new RheaError(
        "INVALID_ARGUMENT",
        "an argument is not UTF-8 text: give such keys and values in base64 (import --base64, put --base64)",
      );
    }
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      if (thrown.exitCode === 0) return 0;
      if (thrown.code === "commander.help") {
        cli.stderr.write(program.helpInformation());
        return ERROR_CODES.INVALID_ARGUMENT.exit;
      }
    }
    const error =
      thrown instanceof CommanderError
        ? new RheaError("INVALID_ARGUMENT", `${thrown.message.replace(/^error: /, "")}: see rheactl --help`)
        : RheaError.from(thrown);
    cli.stderr.write(errorLine(error));
    return ERROR_CODES[error.code].exit;
  }
}
