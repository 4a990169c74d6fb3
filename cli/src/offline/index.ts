/**
 * offline: `rheactl offline`, which looks into the directory of a store or PD member that does not run. Called by the program for these commands only
 * (it loads the log's code and LevelDB's lock); it needs no cluster, never writes, and refuses while a process holds the directory.
 */
export { logDump, logVerify } from "./log-commands.js";
