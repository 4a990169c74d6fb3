/**
 * process: a PD member put together on any environment: directory, identity, engine, services. Called by Node's main and by tests; decides
 * nothing about the cluster.
 */
export { startMember } from "./start-member.js";
export type { MemberConfig, MemberDependencies, RunningPd } from "./start-member.js";
