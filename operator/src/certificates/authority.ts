/** Reads the authority's Secret, and a user's own one, into states. Damaged contents are a reason to stop, never to guess. */
import { describe, isPair, splitPem, type CertificateFacts } from "./facts.js";

/** A Kubernetes Secret: its texts, decoded, and its annotations. */
export interface SecretContent {
  readonly data: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** One authority: who signs, and what others must trust for it. */
export interface Authority {
  /** The issuer first; above it intermediate ones and roots, if it is not its own root. */
  readonly certificates: readonly string[];
  /** Of the issuer. */
  readonly facts: CertificateFacts;
  /** Absent: known and trusted, but it cannot issue. */
  readonly keyPem: string | undefined;
}

/** What the authority's Secret holds. */
type AuthorityState =
  | { readonly kind: "absent" }
  /** Somebody wrote into it what does not fit together. */
  | { readonly kind: "damaged"; readonly reason: string }
  | {
      readonly kind: "present";
      /** Issues certificates. */
      readonly active: Authority;
      /** Present: is being made known, before it becomes the active one. */
      readonly next: Authority | undefined;
      /** Authorities before the active one that are still trusted. */
      readonly old: readonly string[];
    };

/** Puts certificates together, each once, in order. */
export function bundle(...lists: readonly (readonly string[])[]): string[] {
  const seen = new Set<string>();
  return lists.flat().filter((certificate) => {
    const { fingerprint } = describe(certificate);
    return !seen.has(fingerprint) && seen.add(fingerprint);
  });
}

/** Whether two lists hold the same certificates, in whatever order. */
export function isSameBundle(one: readonly string[], other: readonly string[]): boolean {
  const key = (list: readonly string[]): string =>
    [...new Set(list.map((each) => describe(each).fingerprint))].sort().join(" ");
  return key(one) === key(other);
}

/** Whether both sign by the same certificate and ask for the same trust. */
export function isSameAuthority(one: Authority, other: Authority): boolean {
  return one.facts.fingerprint === other.facts.fingerprint && isSameBundle(one.certificates, other.certificates);
}

/** Cuts a text into certificates that can all be read; a string says what is wrong. */
export function readCertificates(text: string | undefined): readonly string[] | string {
  if (text === undefined || text === "") return "is missing";
  const certificates = splitPem(text);
  if (certificates.length === 0 || certificates.length !== text.split("-----BEGIN ").length - 1) {
    return "is no list of whole PEM certificates";
  }
  try {
    certificates.forEach((certificate) => describe(certificate));
  } catch {
    return "holds a certificate that cannot be read";
  }
  return certificates;
}

/** Reads the authority's Secret. `given`: the user's own, whose key is taken from there, never copied. */
export function readAuthority(secret: SecretContent | undefined, given: Authority | undefined): AuthorityState {
  if (secret === undefined || Object.keys(secret.data).length === 0) return { kind: "absent" };
  const read = (prefix: "ca" | "next-ca"): Authority | string => {
    const certificates = readCertificates(secret.data[`${prefix}.crt`]);
    if (typeof certificates === "string") return `${prefix}.crt ${certificates}`;
    const [issuer = ""] = certificates;
    const facts = describe(issuer);
    const own = secret.data[`${prefix}.key`];
    if (own !== undefined && !isPair(issuer, own)) return `${prefix}.key does not belong to ${prefix}.crt`;
    const isGiven = given?.facts.fingerprint === facts.fingerprint;
    return { certificates, facts, keyPem: own ?? (isGiven ? given.keyPem : undefined) };
  };
  const active = read("ca");
  const next = secret.data["next-ca.crt"] === undefined ? undefined : read("next-ca");
  const old = secret.data["old-ca.crt"] === undefined ? [] : readCertificates(secret.data["old-ca.crt"]);
  if (typeof active === "string") return { kind: "damaged", reason: active };
  if (typeof next === "string") return { kind: "damaged", reason: next };
  if (typeof old === "string") return { kind: "damaged", reason: `old-ca.crt ${old}` };
  return { kind: "present", active, next, old };
}

/** Reads a Secret of kubernetes.io/tls that is to issue: tls.crt, tls.key, and ca.crt unless tls.crt is its own root. A string says why it cannot. */
export function readGiven(secret: SecretContent | undefined, nowMs: number): Authority | string {
  if (secret === undefined) return "it does not exist: create it, or remove the reference";
  const certificates = readCertificates(secret.data["tls.crt"]);
  if (typeof certificates === "string") return `tls.crt ${certificates}`;
  const [issuer = ""] = certificates;
  const keyPem = secret.data["tls.key"];
  if (keyPem === undefined || keyPem === "") return "tls.key is missing: the operator needs it to issue certificates";
  if (!isPair(issuer, keyPem)) return "tls.key does not belong to tls.crt";
  const facts = describe(issuer);
  if (!facts.isCa) {
    return `tls.crt (${facts.subject}) is no CA: it needs basicConstraints CA:TRUE and key usage keyCertSign (cert-manager: isCA: true)`;
  }
  const date = (ms: number): string => new Date(ms).toISOString();
  if (facts.notAfterMs <= nowMs) return `tls.crt (${facts.subject}) expired at ${date(facts.notAfterMs)}: renew it`;
  if (facts.notBeforeMs > nowMs) return `tls.crt (${facts.subject}) is valid from ${date(facts.notBeforeMs)} only`;
  if (facts.isSelfSigned) return { certificates: [issuer], facts, keyPem };
  const roots = readCertificates(secret.data["ca.crt"]);
  if (typeof roots === "string") return `tls.crt is an intermediate CA, so its root is needed, but ca.crt ${roots}`;
  return { certificates: bundle(certificates, roots), facts, keyPem };
}
