/** Which TLS files a process or a command was given. */
import { RheaError } from "./errors.js";
import type { TlsFiles } from "./net.js";

/**
 * Puts three optional paths together. `keys`: their names for messages. Undefined if none is given.
 *
 * @throws RheaError INVALID_CONFIG if only some are given, with the names of the others.
 */
export function tlsFiles(
  paths: { readonly [Name in keyof TlsFiles]?: string | undefined },
  keys: TlsFiles = { caFile: "tls.caFile", certFile: "tls.certFile", keyFile: "tls.keyFile" },
): TlsFiles | undefined {
  const { caFile, certFile, keyFile } = paths;
  if (caFile !== undefined && certFile !== undefined && keyFile !== undefined) return { caFile, certFile, keyFile };
  const missing = (["caFile", "certFile", "keyFile"] as const).filter((name) => paths[name] === undefined);
  if (missing.length === 3) return undefined;
  throw new RheaError(
    "INVALID_CONFIG",
    `TLS needs all of ${Object.values(keys).join(", ")}, or none: ${missing.map((name) => keys[name]).join(" and ")} missing`,
  );
}
