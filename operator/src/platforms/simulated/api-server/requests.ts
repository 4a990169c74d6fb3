/** The parts of requests and of objects that the API server goes by: what is asked, what is refused, what can be owned. */
import type { KubeObject, ObjectKey, Resource } from "../../../kube/index.js";
import { errorOfAnswer } from "../../../kube/kube-error.js";
import type { OwnedFields } from "./field-ownership.js";
import { copy, isFields, type Fields, type StoredObject } from "./json.js";

/** How a write is made. */
export interface WriteOptions {
  /** Field manager. */
  readonly manager: string;
  readonly subresource?: "status" | "scale" | undefined;
  readonly dryRun?: boolean | undefined;
  /** Apply only. */
  readonly force?: boolean | undefined;
}

/** How a deletion is made. */
export interface DeleteOptions {
  readonly manager: string;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly gracePeriodSeconds?: number | undefined;
}

/** Any kind. */
export type AnyResource = Pick<Resource<KubeObject>, "group" | "version" | "plural" | "kind" | "namespaced">;

/** Kinds whose status is written apart from the rest. */
export const WITH_STATUS = new Set([
  ...["pods", "nodes", "persistentvolumeclaims", "persistentvolumes", "services", "namespaces"],
  ...["poddisruptionbudgets", "rheaclusters", "rheastores"],
]);
/** Makes the error of a refused request, as the real client makes it of the answer. */
export function refusal(
  what: string,
  code: number,
  reason: string,
  message: string,
  retryAfterSeconds?: number,
): Error {
  const body = JSON.stringify({ kind: "Status", code, reason, message });
  return errorOfAnswer(what, code, body, retryAfterSeconds === undefined ? undefined : String(retryAfterSeconds));
}

/** Names the kind of a resource as its objects do. */
export function identityOf({ group, version, kind }: AnyResource): { apiVersion: string; kind: string } {
  return { apiVersion: group === "" ? version : `${group}/${version}`, kind };
}

/** Writes the place of an object: `namespace/name`. */
export function pathOf({ name, namespace }: ObjectKey): string {
  return namespace === undefined || namespace === "" ? name : `${namespace}/${name}`;
}

/** Reads a value as an object; anything else is an empty one. */
export function asFields(value: unknown): Fields {
  return isFields(value) ? value : {};
}

/** Reads a text field. */
export function stringAt(value: unknown, key: string): string | undefined {
  const found = asFields(value)[key];
  return typeof found === "string" ? found : undefined;
}

/** Makes the error 404. */
export function notFound(what: string, { plural }: AnyResource, { name }: ObjectKey): Error {
  return refusal(what, 404, "NotFound", `${plural} "${name}" not found`);
}

/** Throws the error 409 unless the object has this version; an absent one fits all. */
export function requireVersion(what: string, { metadata }: StoredObject, wanted: string | undefined): void {
  if (wanted === undefined || wanted === "" || wanted === metadata.resourceVersion) return;
  throw refusal(
    what,
    409,
    "Conflict",
    "the object has been modified; please apply your changes to the latest version and try again",
  );
}

/** Throws the error 409 unless the object has this uid; an absent one fits all. */
export function requireUid(what: string, { metadata }: StoredObject, wanted: string | undefined): void {
  if (wanted === undefined || wanted === metadata.uid) return;
  throw refusal(
    what,
    409,
    "Conflict",
    `Precondition failed: UID in precondition: ${wanted}, UID in object meta: ${metadata.uid}`,
  );
}

/** Names an entry of `managedFields`. */
export function managerKey({ manager, subresource }: WriteOptions, operation: "Apply" | "Update"): string {
  return `${manager}/${operation}/${subresource ?? ""}`;
}

/** What of an object a manager can own: not its identity. */
export function ownable(object: Fields): Fields {
  const { apiVersion: _, kind: __, metadata, ...rest } = object;
  const { labels, annotations, finalizers, ownerReferences } = asFields(metadata);
  const meta = copy({ labels, annotations, finalizers, ownerReferences });
  return Object.keys(meta).length === 0 ? rest : { ...rest, metadata: meta };
}

/** The part of a write that counts: of a status write the status alone, of another one all but the status. */
export function partOf({ plural }: AnyResource, fields: Fields, subresource: string | undefined): Fields {
  if (!WITH_STATUS.has(plural)) return fields;
  const { status, ...rest } = fields;
  return subresource === "status" ? { status } : rest;
}

/** Seconds that a pod is given; none where no kubelet would end it. */
export function graceOf(pod: StoredObject, { gracePeriodSeconds }: DeleteOptions): number {
  const { nodeName, terminationGracePeriodSeconds = 30 } = (pod.spec ?? {}) as {
    nodeName?: string;
    terminationGracePeriodSeconds?: number;
  };
  return nodeName === undefined ? 0 : (gracePeriodSeconds ?? terminationGracePeriodSeconds);
}

/** Copies a tree of fields. */
export function cloneOwned(owned: OwnedFields): OwnedFields {
  return { children: new Map([...owned.children].map(([key, child]) => [key, cloneOwned(child)])) };
}

/** Makes one tree of fields equal to another. */
export function replaceChildren(owned: OwnedFields, by: OwnedFields): void {
  owned.children.clear();
  for (const [key, child] of by.children) owned.children.set(key, child);
}
