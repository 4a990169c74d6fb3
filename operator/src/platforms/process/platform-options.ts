import { fileURLToPath } from "node:url";
import type { Clock } from "@rhea/common";
import type { Layout } from "./layout.js";
import type { OperatorState } from "./state-file.js";

const PROJECT = fileURLToPath(new URL("../../../../", import.meta.url));

/** The programs that are run. */
export interface Programs {
  readonly store: string;
  readonly pd: string;
}

/** The built programs of this project. */
export const BUILT_PROGRAMS: Programs = {
  store: `${PROJECT}store/dist/bin/rhea-store.js`,
  pd: `${PROJECT}pd/dist/bin/rhea-pd.js`,
};

/** What a platform is made of. */
export interface PlatformOptions {
  readonly layout: Layout;
  readonly state: OperatorState;
  /** `default`: 7400 and upwards, with a free one where such a port is busy; `free`: any free ones. */
  readonly ports: "default" | "free";
  readonly programs: Programs;
  readonly clock: Clock;
  /** Hears, in one line, what people may want to know. */
  readonly onEvent: (line: string) => void;
  /** Called when a process ended. */
  readonly onEnd: () => void;
  /** Writes nothing, for a look from another process. Default false. */
  readonly isReadOnly?: boolean;
}
