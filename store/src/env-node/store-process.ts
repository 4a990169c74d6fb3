/** A real `rhea-store` process on loopback. Tests only. */
import { spawn, type ChildProcess } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../bin/rhea-store.ts", import.meta.url));

/** A started process. */
export interface StoreProcess {
  readonly address: string;
  readonly statusAddress: string;
  readonly storeId: number;
  /** Sends a signal and resolves with the exit code (or the signal's name) once it is gone. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<number | string>;
  /** Resolves when the process ends by itself or otherwise. */
  readonly ended: Promise<number | string>;
  /** What it wrote on standard error so far. */
  stderr(): string;
}

/** Starts a process with these flags and waits until it says that it serves. Rejects with its last words if it ends before. */
export async function startStoreProcess(flags: Readonly<Record<string, string>>): Promise<StoreProcess> {
  const child = spawnStore(flags);
  let stderr = "";
  let stdout = "";
  child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<number | string>((resolve) => {
    child.on("exit", (code, signal) => resolve(code ?? signal ?? "?"));
  });
  const ready = new Promise<RegExpExecArray>((resolve, reject) => {
    child.stdout?.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
      const match = /ready: store (\d+), address (\S+), status (\S+)/.exec(stdout);
      if (match !== null) resolve(match);
    });
    void ended.then((code) => reject(new Error(`rhea-store ended with ${code}: ${stderr}`)));
  });
  const [, storeId, address, statusAddress] = await ready;
  return {
    storeId: Number(storeId),
    address: address ?? "",
    statusAddress: statusAddress ?? "",
    ended,
    stderr: () => stderr,
    end: (signal) => {
      child.kill(signal);
      return ended;
    },
  };
}

function spawnStore(flags: Readonly<Record<string, string>>): ChildProcess {
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
  const node = ["--conditions=rhea-source", "--import=tsx", MAIN, ...args];
  return spawn(process.execPath, node, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof bound === "object" && bound !== null ? bound.port : 0;
}
