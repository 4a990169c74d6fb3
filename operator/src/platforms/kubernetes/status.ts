/** The status of a RheaCluster: what the plan says, with the times and places that only the platform knows. */
import type { BlockedStatus, Condition, PdMemberStatus, RheaClusterStatus, RheaStoreStatus } from "../../api/index.js";
import type { Blocked, Observed, Plan, PlannedPdMember, PlannedStore } from "../../plan/index.js";
import { clientSecretName, selectorOf, serviceAddress } from "../../specs/index.js";
import type { CertificatesState } from "./certificates.js";
import type { ClusterObjects } from "./cluster-objects.js";
import { formatTime, type Times } from "./times.js";

/** What a status is made of. */
export interface StatusInput {
  readonly objects: ClusterObjects;
  readonly observed: Observed;
  readonly plan: Plan;
  /** What the plan holds back and what the platform could not do. */
  readonly blocked: readonly Blocked[];
  readonly certificates: CertificatesState | undefined;
  readonly times: Times;
}

/** Builds the status. What did not change since the live one keeps its times, so a settled cluster's status is equal to the live one. */
export function clusterStatus(input: StatusInput): RheaClusterStatus {
  const { objects, plan, blocked, certificates, times } = input;
  const { identity, object } = objects;
  const live = object.status;
  const { conditions, pd, autoscale: autoscaleTold, ...told } = plan.status;
  const store = serviceAddress(identity, "store");
  return {
    ...told,
    clusterId: identity.clusterId,
    selector: Object.entries(selectorOf(identity, "store"))
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    conditions: withTimes(withBlocked(conditions, plan, blocked), live?.conditions ?? [], times),
    pd: { ...pd, list: pd.list.map((member) => pdMember(input, member)) },
    blocked: blockedStatus(blocked, live?.blocked ?? [], times),
    endpoints: { pd: serviceAddress(identity, "pd"), stores: store, clientSecret: clientSecretName(identity) },
    ...(certificates === undefined ? {} : { certificates: certificatesStatus(certificates) }),
    ...autoscaleStatus(plan, autoscaleTold, times),
  };
}

/** Builds the status of a store's record. */
export function storeStatus(store: PlannedStore, observed: Observed): RheaStoreStatus {
  const { name: _name, id, pendingPeers: _pending, drainedRatio: _ratio, version: _version, ...rest } = store;
  const record = observed.stores.find(({ name }) => name === store.name);
  const node = record?.host?.name;
  return {
    ...rest,
    ...(id === undefined ? {} : { storeId: id }),
    ...(node === undefined ? {} : { node }),
    initialised: record?.initialised === true,
  };
}

/** An id in the status is the last proof that a member has served, so it stays while the member is there. */
function pdMember({ observed, objects }: StatusInput, member: PlannedPdMember): PdMemberStatus {
  const { name } = member;
  const id =
    observed.view?.members.find((other) => other.name === name)?.memberId ??
    objects.object.status?.pd?.list?.find((other) => other.name === name)?.id;
  const node = observed.pds.find((other) => other.name === name)?.host?.name;
  return { ...member, ...(id === undefined ? {} : { id }), ...(node === undefined ? {} : { node }) };
}

/** What the platform could not do belongs to the condition Blocked as well. */
function withBlocked(
  conditions: Plan["status"]["conditions"],
  plan: Plan,
  blocked: readonly Blocked[],
): Plan["status"]["conditions"] {
  const added = blocked.filter((entry) => !plan.blocked.includes(entry));
  if (added.length === 0) return conditions;
  const words = added.map(({ object, reason }) => `${object}: ${reason}`);
  return conditions.map((condition) =>
    condition.type !== "Blocked"
      ? condition
      : {
          ...condition,
          status: "True",
          reason: "Held",
          message: [...(condition.message === "" ? [] : [condition.message]), ...words].join("; "),
        },
  );
}

function withTimes(
  conditions: Plan["status"]["conditions"],
  live: readonly Condition[],
  { wallMs }: Times,
): readonly Condition[] {
  return conditions.map((condition) => {
    const before = live.find(({ type }) => type === condition.type);
    const isSame = before?.status === condition.status;
    return { ...condition, lastTransitionTime: isSame ? before.lastTransitionTime : formatTime(wallMs) };
  });
}

function blockedStatus(
  blocked: readonly Blocked[],
  live: readonly BlockedStatus[],
  times: Times,
): readonly BlockedStatus[] {
  return blocked.map(({ object, reason, nextTryMs }) => {
    const before = live.find((entry) => entry.object === object && shape(entry.reason) === shape(reason));
    return {
      object,
      reason,
      since: before?.since ?? formatTime(times.wallMs),
      ...(nextTryMs === undefined ? {} : { nextTryAt: steady(before?.nextTryAt, nextTryMs, times) }),
    };
  });
}

/** Two clocks and whole seconds: a time that moved by a second is the same time. */
function steady(before: string | undefined, monotonicMs: number, times: Times): string {
  const unixMs = times.wallMs + monotonicMs - times.nowMs;
  const isSame = before !== undefined && Math.abs(Date.parse(before) - unixMs) <= 2_000;
  return isSame ? before : formatTime(unixMs);
}

function autoscaleStatus(
  { autoscale }: Plan,
  told: Plan["status"]["autoscale"],
  times: Times,
): Pick<RheaClusterStatus, "autoscale"> {
  if (autoscale === undefined && told === undefined) return {};
  const { lowSinceMs, lastScaleMs } = autoscale ?? {};
  return {
    autoscale: {
      ...told,
      ...(lowSinceMs === undefined ? {} : { lowSince: times.timestamp(lowSinceMs) }),
      ...(lastScaleMs === undefined ? {} : { lastScaleAt: times.timestamp(lastScaleMs) }),
    },
  };
}

function certificatesStatus({
  caExpiresMs,
  nextExpiryMs,
  rotation,
}: CertificatesState): NonNullable<RheaClusterStatus["certificates"]> {
  return {
    ...(caExpiresMs === undefined ? {} : { caExpiresAt: formatTime(caExpiresMs) }),
    ...(nextExpiryMs === undefined ? {} : { nextExpiryAt: formatTime(nextExpiryMs) }),
    ...(rotation === undefined ? {} : { rotation }),
  };
}

function shape(text: string): string {
  return text.replace(/\d+(\.\d+)?/g, "0");
}
