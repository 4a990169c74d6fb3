/**
 * offline: what tools need to look into the directory of a store that does not run. Called by `rheactl offline`; it changes nothing there.
 */
export { lockStoppedStore } from "../env-node/stopped-store.js";
export type { HeldLock } from "../env-node/stopped-store.js";
