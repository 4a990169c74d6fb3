import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { PlatformOptions } from "./platform-options.js";
import { pickPort } from "./ports.js";
import type { OperatorState, ProcessEntry } from "./state-file.js";
import type { Supervisor } from "./supervisor.js";

/** Starts processes: picks their ports, writes their settings. */
export interface Launcher {
  /** Gives an entry ports that can be listened on now, the same as before where possible; `first` is the usual one for clients. */
  withPorts<T extends ProcessEntry>(state: OperatorState, entry: T, first: number): Promise<T>;
  /** Starts a process of this name with these settings. */
  run(name: string, script: string, config: string): Promise<Required<ProcessEntry>["process"]>;
}

/** Makes a launcher. */
export function createLauncher(
  { layout, clock, ports, onEvent }: Pick<PlatformOptions, "layout" | "clock" | "ports" | "onEvent">,
  supervisor: Supervisor,
): Launcher {
  return {
    async withPorts(state, entry, first) {
      const others = [...state.pds, ...state.stores].filter(({ name }) => name !== entry.name);
      const taken = new Set(others.flatMap(({ port, statusPort }) => [port, statusPort]));
      const pick = async (before: number, usual: number, what: string) => {
        const wanted = before !== 0 ? before : ports === "default" ? usual : 0;
        const port = await pickPort(wanted === 0 ? [] : [wanted], taken);
        if (wanted !== 0 && port !== wanted) {
          onEvent(`port ${wanted} is in use: ${entry.name} takes ${port} for its ${what}`);
        }
        taken.add(port);
        return port;
      };
      const port = await pick(entry.port, first, "clients");
      return { ...entry, port, statusPort: await pick(entry.statusPort, first + 1, "status") };
    },
    async run(name, script, config) {
      const configFile = layout.configFile(name);
      mkdirSync(dirname(configFile), { recursive: true });
      writeFileSync(configFile, config);
      const identity = await supervisor.start(name, {
        script,
        args: ["--config", configFile],
        env: childEnvironment(),
        logFile: layout.logFile(name),
      });
      return { ...identity, startedAt: clock.wallMs() };
    },
  };
}

/** The environment of this process, without settings of Rhea's own: a process gets those from its file alone. */
function childEnvironment(): Record<string, string | undefined> {
  const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith("RHEA_"));
  return { ...Object.fromEntries(inherited), UV_THREADPOOL_SIZE: "16" };
}
