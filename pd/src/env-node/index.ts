/** Node's side of PD: configuration keys, status pages and the wiring of the process main. Used by the main and by tests only. */
export { PD_CONFIG } from "./config-schema.js";
export { startPd } from "./start-pd.js";
export type { PdConfig } from "./start-pd.js";
