/** Built programs as a user runs them: their output, exit codes and signals. Tests only. */
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** What can be run; by `npm run build`. */
export const PROGRAMS = {
  start: at("operator/dist/bin/rhea-local.js"),
  rheactl: at("cli/dist/bin/rheactl.js"),
  store: at("store/dist/bin/rhea-store.js"),
  pd: at("pd/dist/bin/rhea-pd.js"),
};

/** How a process ended and what it said. */
export interface Ended {
  /** The exit code, or the signal's name. */
  readonly code: number | string;
  readonly out: string;
  readonly err: string;
}

/** A process that runs. */
export interface Running {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** Everything said so far, on both outputs. */
  said(): string;
  /** Resolves with what the pattern found in what the process says; rejects when it ends before or the time is over. */
  says(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  kill(signal: NodeJS.Signals): void;
}

const alive = new Set<ChildProcess>();

/** Starts a program. Nothing of the caller's settings reaches it. */
export function launch(program: string, args: readonly string[], input?: string | Buffer): Running {
  const env = Object.entries(process.env).filter(([name]) => !name.startsWith("RHEA_") && name !== "NODE_OPTIONS");
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...Object.fromEntries(env), UV_THREADPOOL_SIZE: "16" },
  });
  alive.add(child);
  let [out, err] = ["", ""];
  const listeners = new Set<() => void>();
  child.stdin.on("error", () => undefined); // it has not waited for its input
  child.stdin.end(input);
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
    for (const listener of [...listeners]) listener();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
    for (const listener of [...listeners]) listener();
  });
  const said = () => out + err;
  const ended = new Promise<Ended>((resolve) => {
    child.once("close", (code, signal) => {
      alive.delete(child);
      resolve({ code: code ?? signal ?? "?", out, err });
      for (const listener of [...listeners]) listener();
    });
  });
  return {
    pid: child.pid ?? 0,
    ended,
    said,
    kill: (signal) => void child.kill(signal),
    says: (pattern, timeoutMs = 20_000) =>
      new Promise((resolve, reject) => {
        const finish = () => {
          clearTimeout(timer);
          listeners.delete(look);
        };
        const look = () => {
          const found = pattern.exec(said());
          if (found !== null) {
            finish();
            resolve(found);
          } else if (!alive.has(child)) {
            finish();
            reject(new Error(`it ended without saying ${String(pattern)}:\n${said()}`));
          }
        };
        const timer = setTimeout(() => {
          finish();
          reject(new Error(`not said within ${timeoutMs} ms: ${String(pattern)}; but:\n${said()}`));
        }, timeoutMs);
        listeners.add(look);
        look();
      }),
  };
}

/** Runs a program to its end. One that does not end in time is killed, which its `code` shows. */
export async function run(
  program: string,
  args: readonly string[],
  options: { readonly input?: string | Buffer; readonly timeoutMs?: number } = {},
): Promise<Ended> {
  const running = launch(program, args, options.input);
  const timer = setTimeout(() => running.kill("SIGKILL"), options.timeoutMs ?? 20_000);
  try {
    return await running.ended;
  } finally {
    clearTimeout(timer);
  }
}

/** Ends whatever {@link launch} started and still runs. */
export async function killAll(): Promise<void> {
  await Promise.all(
    [...alive].map(
      (child) =>
        new Promise<void>((resolve) => {
          child.once("close", () => resolve());
          child.kill("SIGKILL");
        }),
    ),
  );
}

/** Asks again and again until the answer is something, and returns it. */
export async function until<T>(what: string, ask: () => Promise<T | undefined>, timeoutMs = 20_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Whether a process runs; one that has ended and that nobody has asked about yet (a zombie) does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false; // nothing has this number
  }
  if (process.platform !== "linux") return true;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) !== "Z";
  } catch {
    return false; // it went between the two questions
  }
}
