/**
 * Decides what must be issued next: pure, from the Secrets as they are. All state is in the Secrets themselves, so an operator that is killed
 * between any two writes goes on where they stand.
 *
 * A new authority comes in by three writes to the authority's Secret, each after every certificate Secret has followed the one before:
 *
 * | the authority's Secret holds | name | certificates are issued by | their ca.crt holds | goes on |
 * |---|---|---|---|---|
 * | nothing, and no Secret trusts any CA | absent | nobody | - | `create`, at once |
 * | nothing, but Secrets trust a CA (it was deleted) | absent | nobody | as found | `distribute`: a new CA beside the one found, whose key is lost |
 * | ca | steady | ca | ca | `distribute`, when a new CA is wanted: by age, by annotation, the given CA is another, the key is gone |
 * | ca, next-ca | distributing | ca (if its key is there) | ca, next-ca | `activate`, once all ca.crt are so for `propagationMs`; next-ca is exchanged if another one is wanted meanwhile |
 * | ca, old-ca | replacing | ca | ca, old-ca | `drop`, once all are issued by ca for `overlapMs` (at least `propagationMs`) |
 * | ca, next-ca, old-ca | distributing | ca (if its key is there) | all three | `activate`, as above |
 * | what cannot be read or does not fit | damaged | nobody | as found | blocked |
 *
 * `activate` makes ca an old-ca and next-ca the ca; `drop` removes old-ca. So at every moment each certificate in use is signed by a CA that is
 * in everybody's file, also in those that kubelet has not refreshed yet. An authority that has expired is no reason to wait: nothing verifies.
 */
import type { Authority, SecretContent } from "./authority.js";
import { bundle, isSameAuthority, readAuthority, readCertificates, readGiven } from "./authority.js";
import type { CertificateRequest, KeyPair } from "./issue.js";
import { ANNOTATIONS, judgeLeaf } from "./leaf.js";

/** Times of certificates. */
export interface CertificatePolicy {
  /** Life of an authority made here, in ms; default 10 years. */
  readonly caValidMs: number;
  /** Life of a certificate, in ms; default 90 days. */
  readonly leafValidMs: number;
  /** The part of its life that is left when it is renewed, 0..1; default 1/3. */
  readonly renewBeforeRatio: number;
  /** How long an old CA stays trusted after the last certificate was issued anew, for copies outside the cluster; default 1 hour. */
  readonly overlapMs: number;
  /** How long kubelet and the processes may take to see a changed Secret, in ms; default 120 s. */
  readonly propagationMs: number;
}

/** The defaults of {@link CertificatePolicy}. */
export const DEFAULT_CERTIFICATE_POLICY: CertificatePolicy = {
  caValidMs: 3_650 * 86_400_000,
  leafValidMs: 90 * 86_400_000,
  renewBeforeRatio: 1 / 3,
  overlapMs: 3_600_000,
  propagationMs: 120_000,
};

/** A certificate that somebody needs. */
export interface WantedLeaf extends CertificateRequest {
  /** Name of its Secret. */
  readonly name: string;
}

/** Everything the decision needs. */
export interface CertificateInput {
  readonly nowMs: number;
  /** Name of the authority's Secret. */
  readonly caName: string;
  readonly ca: SecretContent | undefined;
  /** The certificates' Secrets by name; those that do not exist are absent. */
  readonly leaves: ReadonlyMap<string, SecretContent>;
  readonly wanted: readonly WantedLeaf[];
  readonly policy: CertificatePolicy;
  /** The Secret with the user's own authority, where one is named. */
  readonly given?: { readonly name: string; readonly content: SecretContent | undefined } | undefined;
  /** The cluster's annotation `rheakv.io/rotate-ca`: each new value asks for a new CA once. */
  readonly rotateCa?: string | undefined;
  /** The cluster's annotation `rheakv.io/rotate-certificates`: each new value asks for new certificates once. */
  readonly rotateCertificates?: string | undefined;
}

/** A write to the authority's Secret. */
export interface CaAction {
  readonly kind: "write-ca";
  readonly step: "create" | "distribute" | "activate" | "drop";
  readonly name: string;
  readonly reason: string;
  /** All of the Secret's data, but for what is to be made. */
  readonly data: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** The authority to make, by the prefix of its keys in the data. */
  readonly make: "ca" | "next-ca" | undefined;
}

/** A write to a certificate's Secret. */
export interface LeafAction {
  readonly kind: "write-leaf";
  readonly name: string;
  readonly reason: string;
  /** All of the Secret's data that is ours, but for what is to be issued. */
  readonly data: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Absent: the certificate stays, its surroundings change. */
  readonly issue: { readonly ca: KeyPair; readonly chainPem: string; readonly request: CertificateRequest } | undefined;
}

/** One write. */
export type CertificateAction = CaAction | LeafAction;

/** When something expires. */
export interface Expiry {
  readonly name: string;
  readonly notAfterMs: number;
  /** From now; negative when it has expired. */
  readonly expiresInMs: number;
}

/** What is to be done now, and how things stand. */
export interface CertificatePlan {
  /** Independent of each other. Empty: nothing to do before `nextMs`. */
  readonly actions: readonly CertificateAction[];
  readonly phase: "absent" | "steady" | "distributing" | "replacing" | "damaged";
  /** Why something cannot be done, and what the user can do. */
  readonly blocked: string | undefined;
  /** When to look again although nothing changed. */
  readonly nextMs: number;
  readonly ca: Expiry | undefined;
  readonly leaves: readonly Expiry[];
}

type Given =
  | { readonly kind: "none" }
  | { readonly kind: "usable"; readonly authority: Authority }
  | { readonly kind: "refused"; readonly reason: string };

/** With nothing to do, the next look is not sooner than this, in ms: what is overdue and blocked must not spin. */
const LOOK_AGAIN_MS = 10_000;

/** Days or hours, for reasons. */
function spell(ms: number): string {
  const hours = ms / 3_600_000;
  return Math.abs(hours) >= 48 ? `${(hours / 24).toFixed(0)} days` : `${hours.toFixed(1)} hours`;
}

function judgeGiven({ given, nowMs }: CertificateInput): Given {
  if (given === undefined) return { kind: "none" };
  const authority = readGiven(given.content, nowMs);
  if (typeof authority !== "string") return { kind: "usable", authority };
  return { kind: "refused", reason: `Secret ${given.name} cannot be the CA: ${authority}` };
}

/** Decides. See the file's header. Never throws for what Secrets hold. */
export function planCertificates(input: CertificateInput): CertificatePlan {
  const decided = decide(input);
  if (decided.actions.length > 0) return { ...decided, nextMs: input.nowMs };
  return { ...decided, nextMs: Math.max(decided.nextMs, input.nowMs + LOOK_AGAIN_MS) };
}

function decide(input: CertificateInput): CertificatePlan {
  const { nowMs, policy } = input;
  const given = judgeGiven(input);
  const state = readAuthority(input.ca, given.kind === "usable" ? given.authority : undefined);
  const refusal = given.kind === "refused" ? given.reason : undefined;
  const idle = { actions: [], nextMs: Infinity, ca: undefined, leaves: [], blocked: refusal };
  if (state.kind === "damaged") {
    const reason = `Secret ${input.caName}: ${state.reason}: restore it, or delete it to have a new CA brought in`;
    return { ...idle, phase: "damaged", blocked: reason };
  }
  if (state.kind === "absent")
    return { ...idle, phase: "absent", actions: given.kind === "refused" ? [] : [begin(input, given)] };

  const { active, next, old } = state;
  const phase = next !== undefined ? "distributing" : old.length > 0 ? "replacing" : "steady";
  const isDead = active.facts.notAfterMs <= nowMs;
  const trust = bundle(active.certificates, next?.certificates ?? [], old);
  const leaves = input.wanted.map((wanted) => judgeLeaf(wanted, input, active, trust));
  const report = {
    phase,
    blocked: refusal,
    ca: { name: input.caName, notAfterMs: active.facts.notAfterMs, expiresInMs: active.facts.notAfterMs - nowMs },
    leaves: leaves.flatMap(({ name, notAfterMs }) =>
      notAfterMs === undefined ? [] : [{ name, notAfterMs, expiresInMs: notAfterMs - nowMs }],
    ),
  } as const;
  const wantsNew = reasonForNew(input, given, active, next, old);
  if (wantsNew !== undefined) {
    return { ...report, actions: [distribute(input, given, wantsNew)], nextMs: nowMs };
  }

  const writes = leaves.flatMap(({ action }) => (action === undefined ? [] : [action]));
  const since = Math.max(0, ...leaves.map(({ writtenMs }) => writtenMs ?? 0));
  const dueMs = Math.min(
    ...leaves.map((leaf) => leaf.dueMs),
    given.kind === "none" ? caDueMs(active, policy) : Infinity,
  );
  if (phase === "distributing") {
    const isKnown = leaves.every((leaf) => !leaf.exists || (leaf.trusts && leaf.writtenMs !== undefined));
    const readyMs = since + policy.propagationMs;
    if (isKnown && (isDead || readyMs <= nowMs)) return { ...report, actions: [activate(input)], nextMs: nowMs };
    return { ...report, actions: writes, nextMs: Math.min(readyMs, dueMs) };
  }
  if (phase === "replacing" && writes.length === 0) {
    const isFollowed = leaves.every((leaf) => leaf.isOfActive);
    const readyMs = since + Math.max(policy.overlapMs, policy.propagationMs);
    if (isFollowed && readyMs <= nowMs) return { ...report, actions: [drop(input)], nextMs: nowMs };
    return { ...report, actions: [], nextMs: isFollowed ? Math.min(readyMs, dueMs) : dueMs };
  }
  return { ...report, actions: writes, nextMs: dueMs };
}

function caDueMs({ facts }: Authority, policy: CertificatePolicy): number {
  return facts.notAfterMs - (facts.notAfterMs - facts.notBeforeMs) * policy.renewBeforeRatio;
}

function reasonForNew(
  input: CertificateInput,
  given: Given,
  active: Authority,
  next: Authority | undefined,
  old: readonly string[],
): string | undefined {
  if (given.kind === "refused") return undefined;
  if (given.kind === "usable") {
    if (isSameAuthority(given.authority, next ?? active)) return undefined;
    return `the given CA is ${given.authority.facts.subject}, not ${(next ?? active).facts.subject}`;
  }
  if (next !== undefined) return next.keyPem === undefined ? "the key of the next CA is gone" : undefined;
  if (active.keyPem === undefined) return `the key of ${active.facts.subject} is not here`;
  if (old.length > 0) return undefined; // one change at a time
  if (caDueMs(active, input.policy) <= input.nowMs) {
    return `${active.facts.subject} has ${spell(active.facts.notAfterMs - input.nowMs)} left`;
  }
  const isAsked = input.rotateCa !== undefined && input.ca?.annotations[ANNOTATIONS.rotatedCa] !== input.rotateCa;
  return isAsked ? `annotation rheakv.io/rotate-ca is ${JSON.stringify(input.rotateCa)}` : undefined;
}

/** Remembers the request as fulfilled. */
function fulfilled({ ca, rotateCa }: CertificateInput): Readonly<Record<string, string>> {
  const value = rotateCa ?? ca?.annotations[ANNOTATIONS.rotatedCa];
  return value === undefined ? {} : { [ANNOTATIONS.rotatedCa]: value };
}

function begin(input: CertificateInput, given: Given): CaAction {
  const common = { kind: "write-ca", name: input.caName, annotations: fulfilled(input) } as const;
  const found = bundle(
    ...input.wanted.map(({ name }) => {
      const certificates = readCertificates(input.leaves.get(name)?.data["ca.crt"]);
      return typeof certificates === "string" ? [] : certificates;
    }),
  );
  const [first, ...others] = found;
  const authority = given.kind === "usable" ? given.authority.certificates.join("") : undefined;
  if (first === undefined) {
    const data = authority === undefined ? {} : { "ca.crt": authority };
    return {
      ...common,
      step: "create",
      reason: "there is none",
      data,
      make: authority === undefined ? "ca" : undefined,
    };
  }
  const data = { "ca.crt": first, ...(others.length === 0 ? {} : { "old-ca.crt": others.join("") }) };
  const reason = `Secret ${input.caName} is gone, but certificates of its CA are in use`;
  return authority === undefined
    ? { ...common, step: "distribute", reason, data, make: "next-ca" }
    : { ...common, step: "distribute", reason, data: { ...data, "next-ca.crt": authority }, make: undefined };
}

function distribute(input: CertificateInput, given: Given, reason: string): CaAction {
  const { "next-ca.crt": _crt, "next-ca.key": _key, ...data } = input.ca?.data ?? {};
  const common = { kind: "write-ca", step: "distribute", name: input.caName, reason } as const;
  const annotations = fulfilled(input);
  if (given.kind !== "usable") return { ...common, annotations, data, make: "next-ca" };
  const authority = given.authority.certificates.join("");
  return { ...common, annotations, data: { ...data, "next-ca.crt": authority }, make: undefined };
}

function activate(input: CertificateInput): CaAction {
  const { data, annotations } = input.ca ?? { data: {}, annotations: {} };
  const { "ca.crt": crt = "", "next-ca.crt": nextCrt = "", "next-ca.key": nextKey, "old-ca.crt": old = "" } = data;
  return {
    kind: "write-ca",
    step: "activate",
    name: input.caName,
    reason: "every certificate's Secret holds both CAs",
    data: { "ca.crt": nextCrt, "old-ca.crt": old + crt, ...(nextKey === undefined ? {} : { "ca.key": nextKey }) },
    annotations,
    make: undefined,
  };
}

function drop(input: CertificateInput): CaAction {
  const { "old-ca.crt": _old, ...data } = input.ca?.data ?? {};
  const annotations = input.ca?.annotations ?? {};
  const reason = "every certificate is of the new CA";
  return { kind: "write-ca", step: "drop", name: input.caName, reason, data, annotations, make: undefined };
}
