/** Certificates of a cluster as Secrets: what the planner of ../../certificates decides, kept in the API server. */
import { RheaError } from "@rhea/common";
import type {
  CertificateAction,
  CertificateInput,
  CertificatePlan,
  CertificatePolicy,
  SecretContent,
  SecretWrite,
  WantedLeaf,
} from "../../certificates/index.js";
import { DEFAULT_CERTIFICATE_POLICY } from "../../certificates/index.js";
import { RESOURCES, type Secret } from "../../kube/index.js";
import type { Action, Blocked, Observed } from "../../plan/index.js";
import { buildSecret, caSecretName, clientFiles, clientSecretName } from "../../specs/index.js";
import { isOfAnother, type ClusterObjects } from "./cluster-objects.js";
import type { ClusterMemory, PlatformDeps } from "./deps.js";
import { wantedLeaves } from "./leaves.js";
import { keep } from "./sync-objects.js";
import type { Times } from "./times.js";
import type { Writer } from "./writer.js";

/** Decides about certificates and makes them: ../../certificates with a source of randomness. */
export interface CertificateMaker {
  plan(input: CertificateInput): CertificatePlan;
  makeSecret(
    action: CertificateAction,
    env: { readonly nowMs: number; readonly policy: CertificatePolicy },
  ): Promise<SecretWrite>;
}

/** What the status tells of certificates. Times are Unix milliseconds. */
export interface CertificatesState {
  readonly caExpiresMs: number | undefined;
  readonly nextExpiryMs: number | undefined;
  /** What a change of the CA waits for. */
  readonly rotation: string | undefined;
}

/** A plan and what it was made from: it holds until that changes or its time comes. */
export interface CertificateMemory {
  readonly basis: string;
  readonly plan: CertificatePlan;
}

/** What keeping certificates came to. */
export interface CertificatesOutcome {
  readonly state: CertificatesState | undefined;
  readonly blocked: readonly Blocked[];
}

/** create, issue, and once more to see that nothing is left; a rotation takes one step per pass. */
const ROUNDS = 3;
/** The user's own CA is no object that is watched: it is looked at this often. */
const GIVEN_EVERY_MS = 30_000;

type Deps = Pick<PlatformDeps, "caches" | "kube" | "certificates" | "logger">;

/**
 * Keeps the Secrets of a cluster: its authority, one certificate per member, and what clients mount. Without TLS only the last, with the
 * addresses alone.
 *
 * @param writer absent: nothing is written, only the state is told
 */
export async function keepCertificates(
  deps: Deps,
  objects: ClusterObjects,
  observed: Observed,
  actions: readonly Action[],
  memory: ClusterMemory,
  times: Times,
  writer: Writer | undefined,
): Promise<CertificatesOutcome> {
  const { identity, desired } = objects;
  const secrets = deps.caches.secrets.store;
  if (!desired.tls.isEnabled) {
    const wanted = buildSecret(identity, clientSecretName(identity), clientFiles(identity, false));
    if (writer !== undefined) await keep(secrets, RESOURCES.secrets, wanted, writer);
    return { state: undefined, blocked: [] };
  }
  const given = await givenAuthority(deps, objects, memory, times);
  const wanted = wantedLeaves(objects, observed, actions);
  const live = secretsOf(deps, objects, wanted);
  const basis = basisOf(objects, live, wanted, given);
  const known = memory.certificates;
  if (known?.basis === basis && known.plan.actions.length === 0 && times.wallMs < known.plan.nextMs)
    return outcome(known.plan, objects);

  const policy = { ...DEFAULT_CERTIFICATE_POLICY, leafValidMs: desired.tls.leafValidMs };
  const contents = new Map([...live].map(([name, secret]) => [name, contentOf(secret)]));
  let plan = decide(deps, objects, contents, wanted, given, policy, times);
  for (let round = 0; writer !== undefined && plan.actions.length > 0 && round < ROUNDS; round++) {
    for (const action of plan.actions) {
      if (action.kind === "write-ca" && !live.has(action.name) && (await isHidden(deps, objects, action.name, writer)))
        return outcome(plan, objects);
      const made = await deps.certificates.makeSecret(action, { nowMs: times.wallMs, policy });
      await writeSecret(objects, made, live.get(action.name), writer);
      contents.set(made.name, made);
      deps.logger.log("info", "certificate written", {
        cluster: objects.key,
        secret: made.name,
        reason: action.reason,
      });
    }
    plan = decide(deps, objects, contents, wanted, given, policy, times);
  }
  if (writer !== undefined) await keepClientFiles(objects, live, contents, writer);
  memory.certificates = { basis, plan };
  return outcome(plan, objects);
}

type Given = CertificateInput["given"];

function decide(
  { certificates }: Deps,
  { identity, object }: ClusterObjects,
  contents: ReadonlyMap<string, SecretContent>,
  wanted: readonly WantedLeaf[],
  given: Given,
  policy: CertificatePolicy,
  { wallMs }: Times,
): CertificatePlan {
  const caName = caSecretName(identity);
  const annotations = object.metadata?.annotations ?? {};
  return certificates.plan({
    nowMs: wallMs,
    ...{ caName, wanted, policy, given },
    ca: contents.get(caName),
    leaves: new Map([...contents].filter(([name]) => name !== caName)),
    rotateCa: annotations["rheakv.io/rotate-ca"],
    rotateCertificates: annotations["rheakv.io/rotate-certificates"],
  });
}

function secretsOf({ caches }: Deps, { identity }: ClusterObjects, wanted: readonly WantedLeaf[]): Map<string, Secret> {
  const names = [caSecretName(identity), ...wanted.map(({ name }) => name)];
  return new Map(
    names.flatMap((name) => {
      const secret = caches.secrets.store.get(`${identity.namespace}/${name}`);
      return secret === undefined || isOfAnother(secret, identity.uid) ? [] : [[name, secret] as const];
    }),
  );
}

function contentOf(secret: Pick<Secret, "data" | "metadata">): SecretContent {
  const data = Object.entries(secret.data ?? {}).map(
    ([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")] as const,
  );
  return { data: Object.fromEntries(data), annotations: secret.metadata?.annotations ?? {} };
}

async function writeSecret(
  { identity }: ClusterObjects,
  { name, data, annotations }: SecretWrite,
  live: Secret | undefined,
  writer: Writer,
): Promise<void> {
  const isClient = name === clientSecretName(identity);
  const all = isClient ? { ...data, ...clientFiles(identity, true) } : data;
  const secret = buildSecret(identity, name, all, { annotations });
  const resourceVersion = live?.metadata?.resourceVersion;
  // The authority decides about everybody's trust: it is never written over what was not seen.
  const isAuthority = name === caSecretName(identity) && resourceVersion !== undefined;
  await writer.apply(
    RESOURCES.secrets,
    isAuthority ? { ...secret, metadata: { ...secret.metadata, resourceVersion } } : secret,
  );
}

/** The addresses beside the certificate may have to change while the certificate stays. */
async function keepClientFiles(
  { identity }: ClusterObjects,
  live: ReadonlyMap<string, Secret>,
  contents: ReadonlyMap<string, SecretContent>,
  writer: Writer,
): Promise<void> {
  const name = clientSecretName(identity);
  const secret = live.get(name);
  const content = contents.get(name);
  if (secret === undefined || content === undefined) return; // just made, or not to be made
  const { "ca.crt": ca = "", "tls.crt": cert = "", "tls.key": key = "" } = content.data;
  const data = { "ca.crt": ca, "tls.crt": cert, "tls.key": key, ...clientFiles(identity, true) };
  const annotations = Object.entries(content.annotations).filter(([each]) => each.startsWith("rheakv.io/"));
  const wanted = buildSecret(identity, name, data, { annotations: Object.fromEntries(annotations) });
  await keep(new Map([[`${identity.namespace}/${name}`, secret]]), RESOURCES.secrets, wanted, writer);
}

/** An authority that lost its labels is not in the cache: making another one for it would be a costly mistake. */
async function isHidden({ kube }: Deps, { identity }: ClusterObjects, name: string, writer: Writer): Promise<boolean> {
  const live = await kube.find(RESOURCES.secrets, { namespace: identity.namespace, name });
  if (live === undefined || isOfAnother(live, identity.uid)) return false;
  const { labels } = buildSecret(identity, name, {}).metadata ?? {};
  await writer.patch(RESOURCES.secrets, live, { metadata: { labels } });
  return true;
}

async function givenAuthority(
  { kube }: Deps,
  { identity, desired }: ClusterObjects,
  memory: ClusterMemory,
  { nowMs }: Times,
): Promise<Given> {
  const name = desired.tls.issuerSecret;
  if (name === undefined) return undefined;
  const known = memory.givenCa;
  if (known?.name === name && nowMs - known.atMs < GIVEN_EVERY_MS) return known;
  try {
    const secret = await kube.find(RESOURCES.secrets, { namespace: identity.namespace, name });
    memory.givenCa = { name, content: secret === undefined ? undefined : contentOf(secret), atMs: nowMs };
    return memory.givenCa;
  } catch (error) {
    if (known?.name === name) return known; // it was good a moment ago
    throw RheaError.from(error);
  }
}

function basisOf(
  { object, desired, identity }: ClusterObjects,
  live: ReadonlyMap<string, Secret>,
  wanted: readonly WantedLeaf[],
  given: Given,
): string {
  const versions = [...live].map(([name, { metadata }]) => `${name}@${metadata?.resourceVersion ?? ""}`);
  const { annotations = {} } = object.metadata ?? {};
  const asked = [annotations["rheakv.io/rotate-ca"], annotations["rheakv.io/rotate-certificates"]];
  return JSON.stringify([versions, wanted, given?.content, asked, desired.tls, identity.uid]);
}

function outcome({ ca, leaves, phase, blocked }: CertificatePlan, { identity }: ClusterObjects): CertificatesOutcome {
  const ends = leaves.map(({ notAfterMs }) => notAfterMs);
  const rotation =
    phase === "distributing"
      ? "a new CA is being made known to all processes and clients before it signs"
      : phase === "replacing"
        ? "certificates are of the new CA; the old one stays trusted for a while"
        : undefined;
  return {
    state: { caExpiresMs: ca?.notAfterMs, nextExpiryMs: ends.length === 0 ? undefined : Math.min(...ends), rotation },
    blocked: blocked === undefined ? [] : [{ object: caSecretName(identity), reason: blocked }],
  };
}
