/** Judges one certificate's Secret: whether it may stay, and what it must be exchanged for. */
import type { Authority, SecretContent } from "./authority.js";
import { isSameBundle, readCertificates } from "./authority.js";
import { canonicalAddress, describe, isPair, isSignedBy, type CertificateFacts } from "./facts.js";
import type { CertificateInput, LeafAction, WantedLeaf } from "./plan-certificates.js";

/** What the operator remembers on its Secrets. */
export const ANNOTATIONS = {
  /** On the authority's Secret: the last `rotate-ca` that was fulfilled. */
  rotatedCa: "rheakv.io/rotated-ca",
  /** On a certificate's Secret: the last `rotate-certificates` that was fulfilled. */
  rotatedCertificates: "rheakv.io/rotated-certificates",
  /** On a certificate's Secret: when it was last written, ISO 8601. */
  writtenAt: "rheakv.io/written-at",
} as const;

/** How a certificate's Secret stands. */
interface Leaf {
  readonly name: string;
  readonly exists: boolean;
  /** Whether its ca.crt is as it should be. */
  readonly trusts: boolean;
  /** Whether it holds a certificate that the active authority signed. */
  readonly isOfActive: boolean;
  /** When it was last written, in wall ms. */
  readonly writtenMs: number | undefined;
  /** When its certificate is to be renewed. */
  readonly dueMs: number;
  readonly notAfterMs: number | undefined;
  readonly action: LeafAction | undefined;
}

function isSameSet(one: readonly string[], other: readonly string[]): boolean {
  return [...new Set(one)].sort().join(",") === [...new Set(other)].sort().join(",");
}

/** When it is to be renewed. One that already lasts as long as its authority gains nothing by it. */
function dueMsOf(facts: CertificateFacts, active: Authority, renewBeforeRatio: number): number {
  if (facts.notAfterMs >= active.facts.notAfterMs - 1_000) return Infinity;
  return facts.notAfterMs - (facts.notAfterMs - facts.notBeforeMs) * renewBeforeRatio;
}

function reasonToIssue(
  wanted: WantedLeaf,
  input: CertificateInput,
  active: Authority,
  secret: SecretContent | undefined,
  facts: CertificateFacts | undefined,
): string | undefined {
  if (secret === undefined) return "there is none";
  const { "tls.crt": crt = "", "tls.key": key = "" } = secret.data;
  if (facts === undefined) return "tls.crt cannot be read";
  if (!isPair(crt, key)) return "tls.key does not belong to tls.crt";
  if (!isSignedBy(crt, active.certificates[0] ?? "")) return `it is of ${facts.issuer}, not of ${active.facts.subject}`;
  if (!isSameSet(facts.dnsNames, wanted.dnsNames)) return `its names are ${facts.dnsNames.join(", ")}`;
  if (!isSameSet(facts.ipAddresses, (wanted.ipAddresses ?? []).map(canonicalAddress))) {
    return `its addresses are ${facts.ipAddresses.join(", ")}`;
  }
  if (facts.usages !== wanted.usages) return `it is for ${facts.usages ?? "no use"}, not for ${wanted.usages}`;
  const dueMs = dueMsOf(facts, active, input.policy.renewBeforeRatio);
  if (dueMs <= input.nowMs) return `it expires at ${new Date(facts.notAfterMs).toISOString()}`;
  const { rotateCertificates } = input;
  const isAsked =
    rotateCertificates !== undefined && secret.annotations[ANNOTATIONS.rotatedCertificates] !== rotateCertificates;
  return isAsked ? `annotation rheakv.io/rotate-certificates is ${JSON.stringify(rotateCertificates)}` : undefined;
}

/** Absent or out of any sense (a clock that went back): unknown. */
function writtenMsOf(secret: SecretContent | undefined, { nowMs, policy }: CertificateInput): number | undefined {
  const ms = Date.parse(secret?.annotations[ANNOTATIONS.writtenAt] ?? "");
  return ms <= nowMs + policy.propagationMs ? ms : undefined;
}

/** Judges one. `trust`: what its ca.crt must hold. */
export function judgeLeaf(
  wanted: WantedLeaf,
  input: CertificateInput,
  active: Authority,
  trust: readonly string[],
): Leaf {
  const { name } = wanted;
  const secret = input.leaves.get(name);
  const own = readCertificates(secret?.data["tls.crt"]);
  const [certificate] = typeof own === "string" ? [] : own;
  const facts = certificate === undefined ? undefined : describe(certificate);
  const theirs = readCertificates(secret?.data["ca.crt"]);
  const trusts = typeof theirs !== "string" && isSameBundle(theirs, trust);
  const writtenMs = writtenMsOf(secret, input);
  const due = reasonToIssue(wanted, input, active, secret, facts);
  const canIssue = active.keyPem !== undefined;

  const common = { kind: "write-leaf", name } as const;
  const rest = trusts ? undefined : "its ca.crt is not what is to be trusted now";
  const stale = rest ?? (writtenMs === undefined ? "it is not known since when it is so" : undefined);
  const { rotateCertificates } = input;
  let action: LeafAction | undefined;
  if (due !== undefined && canIssue) {
    const { commonName, dnsNames, ipAddresses, usages } = wanted;
    action = {
      ...{ ...common, reason: due, data: { "ca.crt": trust.join("") } },
      annotations: rotateCertificates === undefined ? {} : { [ANNOTATIONS.rotatedCertificates]: rotateCertificates },
      issue: {
        ca: { certPem: active.certificates[0] ?? "", keyPem: active.keyPem },
        chainPem: active.certificates.filter((each) => !describe(each).isSelfSigned).join(""),
        request: { commonName, dnsNames, ipAddresses, usages },
      },
    };
  } else if (secret !== undefined && stale !== undefined) {
    const { "tls.crt": crt = "", "tls.key": key = "" } = secret.data;
    const remembered = secret.annotations[ANNOTATIONS.rotatedCertificates];
    action = {
      ...{ ...common, reason: stale, data: { "ca.crt": trust.join(""), "tls.crt": crt, "tls.key": key } },
      annotations: remembered === undefined ? {} : { [ANNOTATIONS.rotatedCertificates]: remembered },
      issue: undefined,
    };
  }
  return {
    ...{ name, exists: secret !== undefined, trusts, writtenMs, action },
    isOfActive: certificate !== undefined && isSignedBy(certificate, active.certificates[0] ?? ""),
    dueMs: facts === undefined ? Infinity : dueMsOf(facts, active, input.policy.renewBeforeRatio),
    notAfterMs: facts?.notAfterMs,
  };
}
