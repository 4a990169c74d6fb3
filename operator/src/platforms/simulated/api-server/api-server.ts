/**
 * The API server: objects with versions, owners of fields, status subresources, deletion with preconditions, finalizers and grace. It answers at once and
 * in order; delays and faults are the business of each client (`simulated-client.ts`), what acts on objects that of `nodes/`.
 */
import type { KubeObject, ObjectKey, Resource } from "../../../kube/index.js";
import { refusalOfChange, withDefaults } from "./defaults.js";
import {
  addOwned,
  applyFields,
  changedFields,
  fieldsOf,
  giveUpChanged,
  nothingOwned,
  type OwnedFields,
} from "./field-ownership.js";
import { copy, freeze, isSame, mergePatch, type Fields, type StoredObject } from "./json.js";
import {
  asFields,
  cloneOwned,
  graceOf,
  identityOf,
  managerKey,
  notFound,
  ownable,
  partOf,
  pathOf,
  refusal,
  replaceChildren,
  requireUid,
  requireVersion,
  stringAt,
  WITH_STATUS,
  type AnyResource,
  type DeleteOptions,
  type WriteOptions,
} from "./requests.js";
import type { Selector } from "./selectors.js";

/** A change of an object, as watches tell it. */
export interface HistoryEntry {
  readonly version: number;
  readonly plural: string;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: StoredObject;
  readonly previous: StoredObject | undefined;
  /** Who wrote: a field manager. */
  readonly manager: string;
}

/** Kinds whose `metadata.generation` counts changes of the spec. */
const WITH_GENERATION = new Set(["rheaclusters", "rheastores", "poddisruptionbudgets", "networkpolicies"]);
/** Changes that a watch can still begin at, for each kind. */
const HISTORY_LIMIT = 5_000;

interface Entry {
  object: StoredObject;
  /** By manager, operation and subresource. */
  readonly managers: Map<string, OwnedFields>;
}

/** See the file's header. Every method throws the error that the real client would throw. */
export class ApiServer {
  /** Version of the newest change. */
  version = 1;
  readonly #timestamp: () => string;
  readonly #objects = new Map<string, Map<string, Entry>>();
  readonly #history = new Map<string, HistoryEntry[]>();
  readonly #oldest = new Map<string, number>();
  readonly #listeners = new Set<(entry: HistoryEntry) => void>();
  #uids = 0;

  constructor(timestamp: () => string) {
    this.#timestamp = timestamp;
  }

  /** Hears every change, at once. */
  onChange(listener: (entry: HistoryEntry) => void): void {
    this.#listeners.add(listener);
  }

  /** Stops {@link onChange}. */
  offChange(listener: (entry: HistoryEntry) => void): void {
    this.#listeners.delete(listener);
  }

  /** Changes of a kind after `version`; undefined if they are no longer kept. */
  changesAfter(resource: AnyResource, version: number): readonly HistoryEntry[] | undefined {
    if (version < (this.#oldest.get(resource.plural) ?? 0)) return undefined;
    return (this.#history.get(resource.plural) ?? []).filter((entry) => entry.version > version);
  }

  /** Forgets the history: watches that begin at an older version are refused with 410. */
  compact(): void {
    for (const [plural, entries] of this.#history) {
      entries.length = 0;
      this.#oldest.set(plural, this.version);
    }
  }

  find<T extends KubeObject>(resource: Resource<T>, key: ObjectKey): T | undefined {
    return this.#objects.get(resource.plural)?.get(pathOf(key))?.object as T | undefined;
  }

  list<T extends KubeObject>(resource: Resource<T>, isWanted: Selector = () => true): T[] {
    const found: T[] = [];
    for (const { object } of this.#objects.get(resource.plural)?.values() ?? []) {
      if (isWanted(object)) found.push(object as unknown as T);
    }
    return found;
  }

  create<T extends KubeObject>(resource: Resource<T>, wanted: T, options: WriteOptions): T {
    const metadata = wanted.metadata ?? {};
    const key = {
      name: metadata.name ?? "",
      ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
    };
    const what = `create ${resource.kind} ${pathOf(key)}`;
    this.#admit(resource, key, what);
    if (this.find(resource, key) !== undefined) {
      throw refusal(what, 409, "AlreadyExists", `${resource.plural} "${key.name}" already exists`);
    }
    const { status: _, ...rest } = copy(wanted) as Fields;
    const fields = WITH_STATUS.has(resource.plural) ? rest : (copy(wanted) as Fields);
    const managers = new Map([[managerKey(options, "Update"), fieldsOf(ownable(fields))]]);
    return this.#insert(resource, key, fields, managers, options) as T;
  }

  apply<T extends KubeObject>(resource: Resource<T>, wanted: T, options: WriteOptions): T {
    const { name = "", namespace, resourceVersion } = wanted.metadata ?? {};
    const key = { name, ...(namespace === undefined ? {} : { namespace }) };
    const what = `apply ${resource.kind} ${pathOf(key)}`;
    const fields = ownable(copy(wanted) as Fields);
    const mine = partOf(resource, fields, options.subresource);
    const entry = this.#objects.get(resource.plural)?.get(pathOf(key));
    if (entry === undefined) {
      if (options.subresource !== undefined) throw notFound(what, resource, key);
      this.#admit(resource, key, what);
      const managers = new Map([[managerKey(options, "Apply"), fieldsOf(mine)]]);
      return this.#insert(
        resource,
        key,
        { ...mine, metadata: { ...asFields(mine["metadata"]), name, namespace } },
        managers,
        options,
      ) as T;
    }
    requireVersion(what, entry.object, resourceVersion);
    requireUid(what, entry.object, wanted.metadata?.uid);
    const own = managerKey(options, "Apply");
    const before = entry.managers.get(own) ?? nothingOwned();
    const others = [...entry.managers].filter(([manager]) => manager !== own).map(([, owned]) => owned);
    const held = others.map(cloneOwned);
    const { value, conflicts } = applyFields(entry.object as unknown as Fields, mine, before, held);
    if (conflicts.length > 0 && options.force !== true) {
      throw refusal(what, 409, "Conflict", `Apply failed with ${conflicts.length} conflicts: ${conflicts.join(", ")}`);
    }
    const saved = this.#save(resource, key, value, options, what);
    if (options.dryRun !== true) {
      others.forEach((owned, index) => replaceChildren(owned, held[index] ?? nothingOwned()));
      entry.managers.set(own, fieldsOf(mine));
    }
    return saved as T;
  }

  /** Merge patch. `metadata.resourceVersion` in the patch is a precondition. */
  patch<T extends KubeObject>(resource: Resource<T>, key: ObjectKey, patch: Fields, options: WriteOptions): T {
    const what = `patch ${resource.kind} ${pathOf(key)}`;
    const old = this.#require(resource, key, what);
    requireVersion(what, old, stringAt(patch["metadata"], "resourceVersion"));
    requireUid(what, old, stringAt(patch["metadata"], "uid"));
    const wanted = partOf(resource, mergePatch(old, patch) as Fields, options.subresource);
    return this.#update(resource, key, { ...(old as unknown as Fields), ...wanted }, options, what) as T;
  }

  replace<T extends KubeObject>(resource: Resource<T>, wanted: T, options: WriteOptions): T {
    const { name = "", namespace, resourceVersion } = wanted.metadata ?? {};
    const key = { name, ...(namespace === undefined ? {} : { namespace }) };
    const what = `replace ${resource.kind} ${pathOf(key)}`;
    const old = this.#require(resource, key, what);
    requireVersion(what, old, resourceVersion);
    requireUid(what, old, wanted.metadata?.uid);
    const fields = copy(wanted) as Fields;
    const kept =
      options.subresource === "status"
        ? { ...(old as unknown as Fields), status: fields["status"] }
        : { ...fields, status: WITH_STATUS.has(resource.plural) ? old.status : fields["status"] };
    return this.#update(resource, key, kept, options, what) as T;
  }

  /** Writes as a controller does that has just read the object: any part of it, no preconditions. Does nothing if it is gone. */
  amend<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    manager: string,
    change: (object: T) => object,
  ): void {
    const old = this.find(resource, key);
    if (old === undefined) return;
    const wanted = mergePatch(old, change(old)) as Fields;
    this.#update(resource, key, wanted, { manager }, `amend ${resource.kind} ${pathOf(key)}`);
  }

  /** Begins to delete, or deletes. Absent is gone. */
  delete(resource: AnyResource, key: ObjectKey, options: DeleteOptions): "deleting" | "gone" {
    const what = `delete ${resource.kind} ${pathOf(key)}`;
    const old = this.#objects.get(resource.plural)?.get(pathOf(key))?.object;
    if (old === undefined) return "gone";
    if (
      (options.uid !== undefined && options.uid !== old.metadata.uid) ||
      (options.resourceVersion !== undefined && options.resourceVersion !== old.metadata.resourceVersion)
    ) {
      throw refusal(
        what,
        409,
        "Conflict",
        `Precondition failed: ${old.metadata.uid} and ${old.metadata.resourceVersion} are what is there`,
      );
    }
    const graceSeconds = resource.plural === "pods" ? graceOf(old, options) : 0;
    const finalizers = old.metadata.finalizers ?? [];
    if (graceSeconds === 0 && finalizers.length === 0 && resource.plural !== "namespaces") {
      this.remove(resource, key, options.manager);
      return "gone";
    }
    const grace = resource.plural === "pods" ? { deletionGracePeriodSeconds: graceSeconds } : {};
    if (old.metadata.deletionTimestamp === undefined || graceSeconds < (old.metadata.deletionGracePeriodSeconds ?? 0)) {
      this.#save(
        resource,
        key,
        {
          ...(old as unknown as Fields),
          metadata: {
            ...old.metadata,
            deletionTimestamp: old.metadata.deletionTimestamp ?? this.#timestamp(),
            ...grace,
          },
        },
        options,
        what,
      );
    }
    return "deleting";
  }

  /** Takes an object away for good. */
  remove(resource: AnyResource, key: ObjectKey, manager: string): void {
    const entry = this.#objects.get(resource.plural)?.get(pathOf(key));
    if (entry === undefined) return;
    this.#objects.get(resource.plural)?.delete(pathOf(key));
    const last = { ...entry.object, metadata: { ...entry.object.metadata, resourceVersion: String(++this.version) } };
    this.#tell(resource, "DELETED", freeze(last), entry.object, manager);
  }

  #admit(resource: AnyResource, key: ObjectKey, what: string): void {
    if (key.namespace === undefined) return;
    const namespace = this.#objects.get("namespaces")?.get(key.namespace)?.object;
    if (namespace === undefined) throw refusal(what, 404, "NotFound", `namespaces "${key.namespace}" not found`);
    if (namespace.metadata.deletionTimestamp !== undefined) {
      const message = `unable to create new content in namespace ${key.namespace} because it is being terminated`;
      throw refusal(what, 403, "Forbidden", message);
    }
  }

  #insert(
    resource: AnyResource,
    key: ObjectKey,
    fields: Fields,
    managers: Map<string, OwnedFields>,
    options: WriteOptions,
  ): StoredObject {
    const number = ++this.#uids;
    const metadata = {
      ...asFields(fields["metadata"]),
      uid: `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`,
      creationTimestamp: this.#timestamp(),
      resourceVersion: String(this.version + 1),
      ...(WITH_GENERATION.has(resource.plural) ? { generation: 1 } : {}),
      ...(resource.plural === "persistentvolumeclaims" ? { finalizers: ["kubernetes.io/pvc-protection"] } : {}),
    };
    const object = freeze(
      copy({ ...withDefaults(resource.kind, { ...identityOf(resource), ...fields }, number), metadata }),
    ) as unknown as StoredObject;
    if (options.dryRun === true) return object;
    this.version++;
    let kind = this.#objects.get(resource.plural);
    if (kind === undefined) this.#objects.set(resource.plural, (kind = new Map<string, Entry>()));
    kind.set(pathOf(key), { object, managers });
    this.#tell(resource, "ADDED", object, undefined, options.manager);
    return object;
  }

  #update(resource: AnyResource, key: ObjectKey, wanted: Fields, options: WriteOptions, what: string): StoredObject {
    const entry = this.#objects.get(resource.plural)?.get(pathOf(key));
    if (entry === undefined) throw notFound(what, resource, key);
    const old = entry.object;
    const saved = this.#save(resource, key, wanted, options, what);
    if (saved === old || options.dryRun === true) return saved;
    for (const owned of entry.managers.values()) giveUpChanged(owned, old, saved);
    const mine = managerKey(options, "Update");
    const owned = entry.managers.get(mine) ?? nothingOwned();
    addOwned(owned, changedFields(ownable(asFields(old)), ownable(asFields(saved))) ?? nothingOwned());
    entry.managers.set(mine, owned);
    return saved;
  }

  #save(
    resource: AnyResource,
    key: ObjectKey,
    wanted: Fields,
    options: { readonly manager: string; readonly dryRun?: boolean | undefined },
    what: string,
  ): StoredObject {
    const entry = this.#objects.get(resource.plural)?.get(pathOf(key));
    if (entry === undefined) throw notFound(what, resource, key);
    const old = entry.object;
    const filled = withDefaults(resource.kind, wanted, 0);
    const { uid, creationTimestamp, generation, name, namespace } = old.metadata;
    const identity = {
      uid,
      creationTimestamp,
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(generation === undefined ? {} : { generation }),
      resourceVersion: old.metadata.resourceVersion,
    };
    const draft = copy({
      ...filled,
      ...identityOf(resource),
      metadata: { ...asFields(filled["metadata"]), ...identity },
    });
    if (isSame(draft, old)) return old;
    const why = refusalOfChange(resource.kind, old, draft);
    if (why !== undefined) throw refusal(what, 422, "Invalid", why);
    const isNewSpec =
      generation !== undefined && !isSame({ ...draft, metadata: 0, status: 0 }, { ...old, metadata: 0, status: 0 });
    const metadata = {
      ...asFields(draft["metadata"]),
      resourceVersion: String(this.version + 1),
      ...(isNewSpec ? { generation: generation + 1 } : {}),
    };
    const object = freeze({ ...draft, metadata }) as unknown as StoredObject;
    if (options.dryRun === true) return object;
    if (
      object.metadata.deletionTimestamp !== undefined &&
      (object.metadata.finalizers ?? []).length === 0 &&
      !["pods", "namespaces"].includes(resource.plural)
    ) {
      this.remove(resource, key, options.manager);
      return object;
    }
    this.version++;
    entry.object = object;
    this.#tell(resource, "MODIFIED", object, old, options.manager);
    return object;
  }

  #require(resource: AnyResource, key: ObjectKey, what: string): StoredObject {
    const entry = this.#objects.get(resource.plural)?.get(pathOf(key));
    if (entry === undefined) throw notFound(what, resource, key);
    return entry.object;
  }

  #tell(
    resource: AnyResource,
    type: HistoryEntry["type"],
    object: StoredObject,
    previous: StoredObject | undefined,
    manager: string,
  ): void {
    const { plural } = resource;
    const entry: HistoryEntry = {
      version: Number(object.metadata.resourceVersion),
      plural,
      type,
      object,
      previous,
      manager,
    };
    let history = this.#history.get(plural);
    if (history === undefined) this.#history.set(plural, (history = []));
    history.push(entry);
    if (history.length > HISTORY_LIMIT) {
      const dropped = history.splice(0, HISTORY_LIMIT / 2);
      this.#oldest.set(plural, dropped.at(-1)?.version ?? 0);
    }
    for (const listener of [...this.#listeners]) listener(entry);
  }
}
