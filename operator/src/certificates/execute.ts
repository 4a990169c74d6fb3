/** Turns a planned write into the Secret to write: makes the keys and signs. The caller writes it to the API server and plans again. */
import type { Rng } from "@rhea/common";
import { createCa, issue } from "./issue.js";
import { ANNOTATIONS } from "./leaf.js";
import type { CertificateAction, CertificatePolicy } from "./plan-certificates.js";

/** A Secret's new contents. Data and annotations of others in it stay theirs. */
export interface SecretWrite {
  readonly name: string;
  readonly data: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Makes what the action needs. Throws for a given authority whose key cannot sign. */
export async function makeSecret(
  action: CertificateAction,
  env: { readonly nowMs: number; readonly policy: CertificatePolicy; readonly rng: Rng },
): Promise<SecretWrite> {
  const { nowMs, policy, rng } = env;
  const { name, data, annotations } = action;
  if (action.kind === "write-ca") {
    if (action.make === undefined) return { name, data, annotations };
    const { certPem, keyPem } = await createCa({ name, nowMs, validMs: policy.caValidMs, rng });
    const made = { [`${action.make}.crt`]: certPem, [`${action.make}.key`]: keyPem };
    return { name, data: { ...data, ...made }, annotations };
  }
  const dated = { ...annotations, [ANNOTATIONS.writtenAt]: new Date(nowMs).toISOString() };
  if (action.issue === undefined) return { name, data, annotations: dated };
  const { ca, chainPem, request } = action.issue;
  const { certPem, keyPem } = await issue({ ...request, ca, validMs: policy.leafValidMs, nowMs, rng });
  return { name, data: { ...data, "tls.crt": certPem + chainPem, "tls.key": keyPem }, annotations: dated };
}
