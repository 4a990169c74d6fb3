/**
 * What specs are written with: a namespace of their own, the API server, faults of nodes and of the operator, clients and load. It runs
 * inside `cluster exec`, where addresses and names of the cluster answer; `e2e/kube/run.mjs` sets it up. It decides nothing about the
 * order of specs, and holds no expectations about the operator.
 */
export { useLane } from "./lane.js";
export type { Lane, LaneOptions, PodOptions } from "./lane.js";
export { conditionOf } from "./rhea-cluster.js";
export type { RheaClusterHandle, RheaClusterObject, RheaStoreObject, StoreStatus } from "./rhea-cluster.js";
export type { Condition, Kind, KubeObject, Manifest, Pod, Secret } from "./kinds.js";
export { getRaw, KubeApiError } from "./api.js";
export { CommandError, mustRun, runProgram } from "./command.js";
export type { Ended } from "./command.js";
export { sleep, timed, until } from "./wait.js";
export { checksum, startLoad } from "./load.js";
export type { Checksum, Load, LoadOptions, LoadResult } from "./load.js";
export {
  hasNodeControl,
  healNode,
  killContainer,
  needsNodes,
  nodeExec,
  nodeOf,
  partitionNode,
  startNode,
  stopNode,
} from "./nodes.js";
export {
  installOperator,
  killOperator,
  operatorPods,
  operatorReady,
  scaleOperator,
  startOperatorKiller,
} from "./operator.js";
export { brokenImage, image, previousImage } from "./images.js";
export { note } from "./notes.js";
