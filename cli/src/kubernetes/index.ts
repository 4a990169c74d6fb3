/**
 * kubernetes: `kubectl rhea`. Reads the operator's objects, asks the operator for changes by changing those objects, and carries
 * `rheactl`'s commands through a tunnel. Called by `bin/kubectl-rhea.ts`. It never changes pods, volumes or regions itself.
 */
export type { KubeAccess } from "./cluster-objects.js";
export type { KubeChoice } from "./context.js";
export { runPlugin } from "./plugin.js";
