import { relative } from "node:path";
import type { LocalStatus, ProcessRow } from "./local-status.js";

const HEADINGS = ["NAME", "STATE", "PID", "ADDRESS", "STATUS", "REGIONS", "LEADERS", "DATA", "LOG"] as const;
/** The columns of paths: where lines are narrow they stand in a table of their own. */
const FIRST_PATH = HEADINGS.indexOf("DATA");

/**
 * Renders a cluster as lines: a heading, one row per process, what is planned, what is wrong. Pure.
 *
 * @param from directory to which paths below it are relative
 * @param columns characters that fit in a line
 */
export function renderStatus(status: LocalStatus, from: string, columns = Infinity): readonly string[] {
  const { cluster, problems } = status;
  const ready = cluster.conditions.find(({ type }) => type === "Ready");
  const heading = `${status.name}: ${status.isReady ? "Ready" : (ready?.reason ?? "NotReady")}; ${ready?.message ?? ""}`;
  const planned = cluster.plan.map(({ action, reason }) => `  next: ${action} (${reason})`);
  return [
    heading,
    "",
    ...renderProcesses([HEADINGS, ...status.processes.map((row) => cells(row, from))], columns),
    ...(planned.length + problems.length > 0 ? [""] : []),
    ...planned,
    ...problems.map((problem) => `  ! ${problem}`),
  ];
}

/** Three things to try, with what this cluster has. Pure. */
export function renderHints(status: LocalStatus, file: string, dataDir: string | undefined): readonly string[] {
  const where = dataDir === undefined ? "" : ` --data-dir ${dataDir}`;
  const victim = status.processes.find(({ role, pid }) => role === "store" && pid !== undefined);
  return [
    `clients reach it at PD ${status.pd.join(", ")}; data, logs and settings are in ${status.dataDir}`,
    "",
    "three things to try:",
    `  npx --no rheactl${where} put a 1 && npx --no rheactl${where} get a`,
    `  set stores.replicas to 5 in ${file} and save; later 3 again`,
    `  kill -9 ${victim?.pid ?? "PID"}   (${victim?.name ?? "a store"}: writes go on, and it is started again)`,
  ];
}

function cells(row: ProcessRow, from: string): readonly string[] {
  const shorten = (path: string) => (relative(from, path).startsWith("..") ? path : relative(from, path));
  return [
    row.name,
    row.state,
    row.pid === undefined ? "-" : String(row.pid),
    row.address,
    row.statusAddress,
    row.regions === undefined ? "-" : String(row.regions),
    row.leaders === undefined ? "-" : String(row.leaders),
    shorten(row.dataPath),
    shorten(row.logPath),
  ];
}

function renderProcesses(rows: readonly (readonly string[])[], columns: number): readonly string[] {
  const whole = renderTable(rows);
  if (whole.every((line) => line.length <= columns)) return whole;
  const paths = rows.map((row) => [row[0] ?? "", ...row.slice(FIRST_PATH)]);
  return [...renderTable(rows.map((row) => row.slice(0, FIRST_PATH))), "", ...renderTable(paths)];
}

function renderTable(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
