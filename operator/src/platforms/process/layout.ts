import { join, resolve } from "node:path";

/** Where everything of a local cluster lies. The operator's own files lie outside the stores' directories. */
export interface Layout {
  readonly root: string;
  /** Who runs this data directory now. */
  readonly lockFile: string;
  readonly stateFile: string;
  /** For `rheactl`: cluster id and PD's addresses. */
  readonly clusterFile: string;
  readonly operatorDir: string;
  /** The settings file of a process. */
  configFile(name: string): string;
  /** What a process stores. */
  storeDir(name: string): string;
  pdDir(name: string): string;
  /** What a process prints. Survives the deletion of a store. */
  logFile(name: string): string;
}

/** Lays out a data directory; makes nothing. */
export function layoutOf(dataDir: string): Layout {
  const root = resolve(dataDir);
  const operatorDir = join(root, "operator");
  return {
    root,
    operatorDir,
    lockFile: join(operatorDir, "lock"),
    stateFile: join(operatorDir, "state.json"),
    clusterFile: join(root, "cluster.json"),
    configFile: (name) => join(operatorDir, "config", `${name}.yaml`),
    storeDir: (name) => join(root, "stores", name),
    pdDir: (name) => join(root, "pd", name),
    logFile: (name) => join(root, "logs", `${name}.log`),
  };
}
