/** Connections to PD with certificates that come as text: the network takes files, which it reads again when they change. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectAdmin } from "@rhea/client/env-node";
import type { TlsFiles } from "@rhea/common";
import type { PdCalls, PdTarget } from "../platforms/kubernetes/index.js";

const TIMEOUT_MS = 3_000;

/** Makes the calls to a PD. Certificates lie in a directory of its own, for this user only, until they are closed. */
export function connectPd({ addresses, clusterId, dial, tls }: PdTarget): PdCalls {
  const directory = tls === undefined ? undefined : mkdtempSync(join(tmpdir(), "rhea-pd-"));
  const write = (name: string, text: string): string => {
    const path = join(directory ?? "", name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const files: TlsFiles | undefined = tls && {
    caFile: write("ca.crt", tls.ca),
    certFile: write("tls.crt", tls.cert),
    keyFile: write("tls.key", tls.key),
  };
  const admin = connectAdmin({ pd: [...addresses], clusterId, timeoutMs: TIMEOUT_MS, dial, tls: files });
  return {
    ...admin,
    close() {
      admin.close();
      if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
    },
  };
}
