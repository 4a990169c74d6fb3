/** Makes certificate authorities and certificates: ECDSA P-256, by @peculiar/x509, which is loaded when the first one is made. */
import { createPrivateKey, webcrypto } from "node:crypto";
import type * as X509 from "@peculiar/x509";
import { RheaError, type Rng } from "@rhea/common";
import { describe } from "./facts.js";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** Certificates are valid from a little before now, for clocks that are behind. */
const BACKDATE_MS = 5 * 60_000;
const SERIAL_BYTES = 16;

/** A certificate and its key, in PEM. */
export interface KeyPair {
  readonly certPem: string;
  /** PKCS #8. */
  readonly keyPem: string;
}

/** What a certificate's owner does with it. */
export type Usage = "server" | "client" | "both";

let loading: Promise<typeof X509> | undefined;

async function load(): Promise<typeof X509> {
  loading ??= import("reflect-metadata").then(() => import("@peculiar/x509"));
  return loading;
}

/** Positive, and without leading zeros that a reader may cut. */
function serialNumber(rng: Rng): string {
  const bytes = Buffer.from(rng.bytes(SERIAL_BYTES));
  bytes[0] = 0x40 | ((bytes[0] ?? 0) & 0x3f);
  return bytes.toString("hex");
}

async function newKey(): Promise<{ pair: webcrypto.CryptoKeyPair; keyPem: string }> {
  const pair = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", pair.privateKey));
  return { pair, keyPem: pem("PRIVATE KEY", der) };
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/** Names may hold anything; quotes and backslashes would end the text form. */
function commonNameOf(name: string): string {
  return `CN="${name.replace(/[\\"]/g, "")}"`;
}

/** The authority's key in the form that signs; a given one may be RSA or of another curve. */
async function signerOf(ca: KeyPair): Promise<{
  signingKey: webcrypto.CryptoKey;
  signingAlgorithm: { name: string; hash: string; namedCurve?: string };
}> {
  const key = createPrivateKey(ca.keyPem);
  const der = key.export({ type: "pkcs8", format: "der" });
  const curves: Readonly<Record<string, [curve: string, hash: string]>> = {
    prime256v1: ["P-256", "SHA-256"],
    secp384r1: ["P-384", "SHA-384"],
    secp521r1: ["P-521", "SHA-512"],
  };
  const curve = curves[key.asymmetricKeyDetails?.namedCurve ?? ""];
  if (key.asymmetricKeyType === "rsa") {
    const signingAlgorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    return {
      signingKey: await webcrypto.subtle.importKey("pkcs8", der, signingAlgorithm, false, ["sign"]),
      signingAlgorithm,
    };
  }
  if (curve === undefined) {
    throw new RheaError(
      "INVALID_ARGUMENT",
      `the CA's key is ${key.asymmetricKeyType ?? "unknown"}: RSA or ECDSA with P-256, P-384 or P-521 is needed`,
    );
  }
  const signingAlgorithm = { name: "ECDSA", namedCurve: curve[0], hash: curve[1] };
  return {
    signingKey: await webcrypto.subtle.importKey("pkcs8", der, signingAlgorithm, false, ["sign"]),
    signingAlgorithm,
  };
}

/**
 * Makes a self-signed authority. `name` shows in its subject, with a part of the serial number: two authorities never share a subject.
 * Valid from 5 minutes before `nowMs` to `validMs` after it.
 */
export async function createCa(options: {
  readonly name: string;
  readonly nowMs: number;
  readonly validMs: number;
  readonly rng: Rng;
}): Promise<KeyPair> {
  const { name, nowMs, validMs, rng } = options;
  const x509 = await load();
  const { pair, keyPem } = await newKey();
  const serial = serialNumber(rng);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial,
      name: commonNameOf(`${name} ${serial.slice(0, 8)}`),
      notBefore: new Date(nowMs - BACKDATE_MS),
      notAfter: new Date(nowMs + validMs),
      signingAlgorithm: ALGORITHM,
      keys: pair,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(pair.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certPem: `${certificate.toString("pem")}\n`, keyPem };
}

/** What a certificate is to say. */
export interface CertificateRequest {
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses?: readonly string[] | undefined;
  readonly usages: Usage;
}

/** Issues a certificate with a new key. It never outlives the authority: `validMs` is cut to that. Throws for an authority that cannot be read. */
export async function issue(
  request: CertificateRequest & {
    readonly ca: KeyPair;
    readonly validMs: number;
    readonly nowMs: number;
    readonly rng: Rng;
  },
): Promise<KeyPair> {
  const { ca, commonName, dnsNames, ipAddresses = [], usages, validMs, nowMs, rng } = request;
  const x509 = await load();
  const { pair, keyPem } = await newKey();
  const authority = new x509.X509Certificate(ca.certPem);
  const { signingKey, signingAlgorithm } = await signerOf(ca);
  const purposes = {
    server: [x509.ExtendedKeyUsage.serverAuth],
    client: [x509.ExtendedKeyUsage.clientAuth],
    both: [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth],
  }[usages];
  const names = [
    ...dnsNames.map((value) => ({ type: "dns", value }) as const),
    ...ipAddresses.map((value) => ({ type: "ip", value }) as const),
  ];
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serialNumber(rng),
      subject: commonNameOf(commonName),
      issuer: authority.subjectName,
      notBefore: new Date(nowMs - BACKDATE_MS),
      notAfter: new Date(Math.min(nowMs + validMs, describe(ca.certPem).notAfterMs)),
      signingAlgorithm,
      publicKey: pair.publicKey,
      signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(purposes),
        ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
        await x509.SubjectKeyIdentifierExtension.create(pair.publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(authority, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certPem: `${certificate.toString("pem")}\n`, keyPem };
}
