/** A process in a container, as the kubelet and the process itself see each other. */

/** What a volume holds. It outlives containers and pods; a deleted volume's content is gone. */
export interface VolumeContent {
  /** Written by the first process that served from it. */
  identity?: { readonly kind: "store" | "pd"; readonly id: number; readonly name: string };
}

/** What a starting process gets. */
export interface ProcessStart {
  readonly component: "store" | "pd";
  /** Name of the pod, which is the name of the store or member. */
  readonly name: string;
  readonly namespace: string;
  /** Flags: `--pd.join a,b` is ["pd.join", "a,b"]. */
  readonly flags: ReadonlyMap<string, string>;
  readonly image: string;
  /** Data volume, and the log volume if there is one. */
  readonly volumes: readonly VolumeContent[];
  /** Ends the process. */
  readonly exit: (code: number) => void;
  /** What its readiness check says from now on. */
  readonly setReady: (isReady: boolean) => void;
}

/** A running process. */
export interface SimulatedProcess {
  /** SIGTERM, and the end some time later; the kubelet does not ask how. */
  kill: () => void;
  /** Whether others can reach it: false while its node is cut off. */
  setReachable: (isReachable: boolean) => void;
}

/** Starts programs: the placement part of the simulation. */
export type StartProcess = (start: ProcessStart) => SimulatedProcess;

/** Reads the flags out of a container's arguments. */
export function parseFlags(args: readonly string[]): ReadonlyMap<string, string> {
  const flags = new Map<string, string>();
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    if (!arg.startsWith("--")) continue;
    const at = arg.indexOf("=");
    if (at > 0) flags.set(arg.slice(2, at), arg.slice(at + 1));
    else flags.set(arg.slice(2), args[++i] ?? "");
  }
  return flags;
}
