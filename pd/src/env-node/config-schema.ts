/** The settings of `rhea-pd`. */
import type { ConfigSchema } from "@rhea/common";

/** Every key of `rhea-pd`, for `loadConfig`. */
export const PD_CONFIG = {
  clusterId: { type: "integer", default: 1, min: 1, doc: "id of the cluster" },
  name: { type: "string", required: true, format: "name", doc: "name of this PD member" },
  address: {
    type: "string",
    default: "127.0.0.1:7400",
    format: "address",
    doc: "host:port to listen on; port 0 picks a free one",
  },
  advertiseAddress: {
    type: "string",
    format: "address",
    doc: "host:port under which others reach it; default: the one it listens on",
  },
  statusAddress: {
    type: "string",
    default: "127.0.0.1:7401",
    format: "address",
    doc: "host:port of the status pages (HTTP)",
  },
  dataDir: { type: "string", required: true, doc: "directory of its data" },
  join: {
    type: "strings",
    default: [],
    format: "address",
    doc: "host:port of PD's members: an empty dataDir becomes a new member there; later, further places to look for them",
  },
  initialState: {
    type: "string",
    values: ["new", "existing"],
    doc: 'what an empty dataDir means: "new" a first start, "existing" a lost disk; default: a first start',
  },
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
  repair: {
    type: "string",
    default: "pd",
    values: ["pd", "operator"],
    doc: "who replaces peers on down stores: PD, or an operator through AddOperation",
  },
  replicas: { type: "integer", default: 3, min: 1, max: 7, doc: "voters per region: 1, 3, 5 or 7" },
  "region.maxBytes": { type: "integer", default: 96 * 1024 * 1024, min: 4096, doc: "a larger region is split; bytes" },
  "region.maxKeys": { type: "integer", default: 960_000, min: 2, doc: "a region with more keys is split" },
  "schedule.maxDownTimeMs": {
    type: "integer",
    default: 1_800_000,
    min: 1000,
    doc: "silence after which a store's peers count as lost; ms",
  },
  "schedule.disconnectedAfterMs": {
    type: "integer",
    default: 20_000,
    min: 1000,
    doc: "silence after which a store gets nothing new; ms",
  },
  "schedule.operationLimit": {
    type: "integer",
    default: 8,
    min: 1,
    doc: "concurrent operations of one kind that PD makes itself",
  },
  "schedule.leaderBalanceLimit": { type: "integer", default: 4, doc: "concurrent balance-leader operations; 0 = off" },
  "schedule.regionBalanceLimit": { type: "integer", default: 4, doc: "concurrent balance-region operations; 0 = off" },
  "schedule.isPaused": {
    type: "boolean",
    default: false,
    doc: "true: PD proposes nothing; requested operations still run",
  },
  "schedule.locationLabels": {
    type: "strings",
    default: ["zone", "rack", "host"],
    doc: "labels of failure domains, widest first",
  },
} as const satisfies ConfigSchema;
