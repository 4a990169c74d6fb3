/** What certificates in PEM say, and which of them belong together. Nothing here signs anything. */
import { X509Certificate, createHash, createPrivateKey } from "node:crypto";
import type { Usage } from "./issue.js";

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** The contents of a certificate that decisions and status are made from. */
export interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** Hexadecimal, upper case. */
  readonly serial: string;
  /** SHA-256 of the public key, hexadecimal: the same key has the same id, also in another certificate. */
  readonly keyId: string;
  /** SHA-256 of the whole certificate, hexadecimal. */
  readonly fingerprint: string;
  /** Whether it may sign certificates. */
  readonly isCa: boolean;
  readonly isSelfSigned: boolean;
  /** Absent: neither. */
  readonly usages: Usage | undefined;
}

/** How many answers are remembered: certificates are judged again and again, and a signature takes 0.2 ms to check. */
const MEMORY = 4_096;

/** Remembers a function of texts. By their hash, so that it keeps no keys. */
function remember<T>(judge: (one: string, other: string) => T): (one: string, other: string) => T {
  const known = new Map<string, T>();
  return (one, other) => {
    const key = createHash("sha256").update(`${one.length} ${one}${other}`).digest("base64");
    const before = known.get(key);
    if (before !== undefined) return before;
    const answer = judge(one, other);
    if (known.size >= MEMORY) known.clear();
    known.set(key, answer);
    return answer;
  };
}

/** Cuts a PEM text into its certificates. */
export function splitPem(text: string): string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => `${block}\n`);
}

function usagesOf(certificate: X509Certificate): Usage | undefined {
  // The declaration says string[], but a certificate without the extension has none.
  const purposes = Array.isArray(certificate.keyUsage) ? certificate.keyUsage : [];
  const isServer = purposes.includes(SERVER_AUTH);
  const isClient = purposes.includes(CLIENT_AUTH);
  if (isServer && isClient) return "both";
  if (isServer) return "server";
  return isClient ? "client" : undefined;
}

/** One spelling per address: IPv6 has many. */
export function canonicalAddress(address: string): string {
  if (!address.includes(":")) return address;
  try {
    return new URL(`http://[${address}]`).hostname.slice(1, -1);
  } catch {
    return address; // no address: it equals nothing but itself
  }
}

/** Describes the first certificate of a PEM text. Throws for a text without one. */
export function describe(certPem: string): CertificateFacts {
  return described(certPem, "");
}

const described = remember((certPem): CertificateFacts => {
  const certificate = new X509Certificate(certPem);
  const names = (certificate.subjectAltName ?? "").split(", ");
  const namesOf = (prefix: string): string[] =>
    names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  return {
    subject: certificate.subject.replaceAll("\n", ", "),
    issuer: certificate.issuer.replaceAll("\n", ", "),
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
    dnsNames: namesOf("DNS:"),
    ipAddresses: namesOf("IP Address:").map(canonicalAddress),
    serial: certificate.serialNumber,
    keyId: createHash("sha256")
      .update(certificate.publicKey.export({ type: "spki", format: "der" }))
      .digest("hex"),
    fingerprint: createHash("sha256").update(certificate.raw).digest("hex"),
    isCa: certificate.ca,
    isSelfSigned: certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey),
    usages: usagesOf(certificate),
  };
});

/** Whether the private key belongs to the first certificate of the text. False for what cannot be read. */
export const isPair = remember((certPem, keyPem): boolean => {
  try {
    return new X509Certificate(certPem).checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    return false; // not readable, so no pair
  }
});

/** Whether the first certificate of `certPem` carries a signature of that of `caPem`, in whose name it was issued. */
export const isSignedBy = remember((certPem, caPem): boolean => {
  try {
    const [certificate, ca] = [new X509Certificate(certPem), new X509Certificate(caPem)];
    return certificate.checkIssued(ca) && certificate.verify(ca.publicKey);
  } catch {
    return false; // not readable, so not signed
  }
});
