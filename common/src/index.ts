/**
 * common: what every package of Rhea shares and nothing more: the error table, byte helpers, and the interfaces of the
 * injected environment (clock, timers, randomness, disk, network, logging). Imports nothing of ours.
 * The Node implementations are a separate entry, `@rhea/common/env-node`, used by process mains and tests only.
 */
export { ERROR_CODES, InvariantError, RheaError, invariant, isErrorCode } from "./errors.js";
export type { ErrorCode, ErrorCodeRow, ErrorDetails, RegionDetail } from "./errors.js";
export {
  EMPTY_BYTES,
  asBuffer,
  assertSafeUint,
  compareBytes,
  crc32,
  fromLatin1,
  isInRange,
  toLatin1,
} from "./bytes.js";
export { readWholeFile, replaceFile } from "./env.js";
export type { Clock, Disk, DiskFile, DiskStat, Rng, Scheduler, TimerHandle } from "./env.js";
export type { Net, RpcChannel, RpcContext, RpcMethod, RpcServer, RpcStream, StreamListener, TlsFiles } from "./net.js";
export { tlsFiles } from "./tls-files.js";
export { silentLogger } from "./logger.js";
export type { LogLevel, Logger } from "./logger.js";
export { errorFromJson, errorToJson } from "./error-json.js";
export { errorFromWire, errorToWire } from "./error-wire.js";
export type { WireError } from "./error-wire.js";
export { envName, flagName, loadConfig } from "./config.js";
export type { ConfigKey, ConfigOf, ConfigSchema, ConfigSources, ConfigValue } from "./config.js";
