/** Every configuration key of `rhea-store`. One name in YAML, flag and environment. */
import type { ConfigOf } from "@rhea/common";

/** The schema for `loadConfig`. */
export const STORE_CONFIG = {
  name: {
    type: "string",
    required: true,
    format: "name",
    doc: "the store's name, unique in its cluster, never reused after its disk was lost",
  },
  clusterId: { type: "integer", default: 1, min: 1, doc: "the cluster's id" },
  clusterName: { type: "string", default: "rhea", format: "name", doc: "the cluster's name in logs" },
  address: {
    type: "string",
    default: "127.0.0.1:7410",
    format: "address",
    doc: "host:port to listen on for clients and raft; port 0 picks a free one",
  },
  advertiseAddress: {
    type: "string",
    format: "address",
    doc: "host:port at which others reach this store; default: the address",
  },
  statusAddress: {
    type: "string",
    default: "127.0.0.1:7411",
    format: "address",
    doc: "host:port of health, metrics and debug pages over HTTP",
  },
  pd: { type: "strings", default: [], format: "address", doc: "host:port of PD's members" },
  fakePd: { type: "string", doc: "YAML or JSON file with fixed stores and regions, instead of PD" },
  dataDir: { type: "string", required: true, doc: "directory of everything that this store keeps" },
  logDir: { type: "string", doc: "directory of the write-ahead log, may be on another volume; default: dataDir/log" },
  engine: { type: "string", default: "leveldb", values: ["leveldb", "memory"], doc: "the key-value engine" },
  labels: { type: "map", default: {}, doc: "where the store stands, for placement: zone, rack, host" },
  logLevel: {
    type: "string",
    default: "info",
    values: ["error", "warn", "info", "debug"],
    doc: "least level that is logged",
  },
  "tls.caFile": {
    type: "string",
    doc: "PEM file of the CAs that others' certificates may be signed by; all three or none",
  },
  "tls.certFile": { type: "string", doc: "PEM file of the own certificate; read again when it changes" },
  "tls.keyFile": { type: "string", doc: "PEM file of the own private key" },
  "raft.tickMs": { type: "integer", default: 100, min: 1, max: 10_000, doc: "ms per raft tick" },
  "raft.electionTicks": {
    type: "integer",
    default: 8,
    min: 3,
    max: 1_000,
    doc: "ticks without a leader before an election, up to twice that",
  },
  "raft.heartbeatTicks": { type: "integer", default: 2, min: 1, max: 100, doc: "ticks between a leader's heartbeats" },
  "disk.reserveBytes": {
    type: "integer",
    default: 268_435_456,
    min: 0,
    doc: "free bytes on a volume below which writes other than deletes are refused",
  },
  "overlay.maxBytes": {
    type: "integer",
    default: 67_108_864,
    min: 1_048_576,
    doc: "bytes applied and not yet in the engine over which writes are refused as busy",
  },
  "leveldb.cacheBytes": { type: "integer", default: 67_108_864, min: 0, doc: "bytes of LevelDB's block cache" },
  "leveldb.writeBufferBytes": {
    type: "integer",
    default: 67_108_864,
    min: 65_536,
    doc: "bytes of LevelDB's write buffer",
  },
  "leveldb.compression": { type: "boolean", default: true, doc: "whether LevelDB compresses blocks" },
  "shutdown.transferMs": {
    type: "integer",
    default: 3_000,
    min: 0,
    max: 600_000,
    doc: "ms to hand leaders away at SIGTERM",
  },
} as const;

/** The values of {@link STORE_CONFIG}. */
export type StoreConfig = ConfigOf<typeof STORE_CONFIG>;
