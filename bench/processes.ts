/** What the kernel knows of processes (Linux): CPU time and memory, from /proc. */
import { readFileSync } from "node:fs";

/** The unit of utime and stime: USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MICROSECONDS = 10_000;

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // no Linux, or the process is gone
  }
}

/** CPU time that a process has used, user and system, in microseconds; undefined where it is not known. */
export function cpuMicroseconds(pid: number): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // the name may hold blanks
  return (Number(fields[11]) + Number(fields[12])) * TICK_MICROSECONDS;
}

/** Resident memory in bytes; undefined where it is not known. */
export function residentBytes(pid: number): number | undefined {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

/** Measures the CPU time that processes use while `run` runs, in microseconds each. */
export async function withCpu<T>(
  pids: ReadonlyMap<string, number>,
  run: () => Promise<T>,
): Promise<{ result: T; used: ReadonlyMap<string, number> }> {
  const before = new Map([...pids].map(([name, pid]) => [name, cpuMicroseconds(pid)]));
  const result = await run();
  const used = new Map<string, number>();
  for (const [name, pid] of pids) {
    const [from, to] = [before.get(name), cpuMicroseconds(pid)];
    if (from !== undefined && to !== undefined) used.set(name, to - from);
  }
  return { result, used };
}
