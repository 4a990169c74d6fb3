/** `shell NAME`: one line, one command of `rheactl`, over connections that stay open. */
import { createInterface } from "node:readline/promises";
import { RheaError } from "@rhea/common";
import { splitCommandLine } from "./command-line.js";
import { connectCluster } from "./connection.js";
import type { PluginContext } from "./context.js";

/** Runs until `exit`, Ctrl-D, or the end of the input. Returns the last command's exit code where nobody types. */
export async function runShell(context: PluginContext, name: string): Promise<number> {
  const { cli } = context;
  const connection = await connectCluster(context, name);
  const lines = createInterface({
    input: cli.stdin,
    output: cli.stdout,
    prompt: cli.isTerminal ? `${name}> ` : "",
    terminal: cli.isTerminal,
  });
  let code = 0;
  try {
    if (cli.isTerminal)
      cli.stdout.write(`connected to ${context.kube.namespace}/${name}: put, get, scan, stores, --help, exit\n`);
    lines.prompt();
    for await (const line of lines) {
      const words = line.trim();
      if (words === "exit" || words === "quit") break;
      if (words !== "") code = await runLine(words);
      lines.prompt();
    }
  } finally {
    lines.close();
    await connection.close();
  }
  return cli.isTerminal ? 0 : code;

  async function runLine(words: string): Promise<number> {
    try {
      return await connection.run(splitCommandLine(words));
    } catch (error) {
      cli.stderr.write(`${RheaError.from(error).message}\n`);
      return 2;
    }
  }
}
