/**
 * cli: the client side of raft's administration, JRaft's CliService and RouteTable, and configurations as text. Called by embedders and their
 * tools, in any process; it speaks to the CliService of hosts (`../node/cli-service.ts`) over the net it is given. It proposes nothing itself,
 * keeps no timers while nothing is asked, and knows nothing of PD: a group whose members PD looks after is changed through PD.
 */
export {
  firstPeers,
  formatConfiguration,
  formatPeer,
  parseConfiguration,
  parsePeer,
  storeIdOf,
  type Configuration,
} from "./configuration.js";
export {
  createCliService,
  type CliCallOptions,
  type CliService,
  type CliServiceOptions,
  type GivenConfiguration,
  type RebalanceResult,
} from "./cli-service.js";
export { createRouteTable, type RouteTable } from "./route-table.js";
