/** What the API server fills in when an object is written, and which changes it refuses. The part that a comparison of wanted and live objects meets. */
import { isFields, isSame, type Fields, type StoredObject } from "./json.js";

type Draft = Record<string, unknown>;

/** Fills in what is absent. `number` makes addresses unique. */
export function withDefaults(kind: string, object: Fields, number: number): Fields {
  switch (kind) {
    case "Service":
      return over(object, { spec: serviceSpec(fieldsAt(object, "spec"), number) });
    case "Pod":
      return over(object, {
        spec: podSpec(fieldsAt(object, "spec")),
        status: over({ phase: "Pending" }, object["status"]),
      });
    case "PersistentVolumeClaim":
      return over(object, {
        spec: over({ volumeMode: "Filesystem", storageClassName: "standard" }, object["spec"]),
        status: over({ phase: "Pending" }, object["status"]),
      });
    case "Secret":
      return over({ type: "Opaque" }, object);
    case "PodDisruptionBudget":
      return object;
    case "NetworkPolicy":
      return over(object, { spec: networkPolicySpec(fieldsAt(object, "spec")) });
    case "Namespace":
      return over(object, { status: over({ phase: "Active" }, object["status"]) });
    default:
      return object;
  }
}

function over(base: unknown, top: unknown): Draft {
  return { ...(isFields(base) ? base : {}), ...(isFields(top) ? top : {}) };
}

function fieldsAt(object: Fields, key: string): Fields {
  const value = object[key];
  return isFields(value) ? value : {};
}

function eachOf(spec: Fields, key: string, fill: (item: Fields) => Fields): Draft {
  const list = spec[key];
  return Array.isArray(list) ? { [key]: list.map((item: unknown) => (isFields(item) ? fill(item) : item)) } : {};
}

function serviceSpec(spec: Fields, number: number): Fields {
  const address = `10.96.${number >> 8}.${number & 255}`;
  const clusterIP = typeof spec["clusterIP"] === "string" ? spec["clusterIP"] : address;
  return over(
    {
      type: "ClusterIP",
      sessionAffinity: "None",
      clusterIP,
      clusterIPs: [clusterIP],
      internalTrafficPolicy: "Cluster",
      ipFamilies: ["IPv4"],
      ipFamilyPolicy: "SingleStack",
    },
    over(
      spec,
      eachOf(spec, "ports", (port) => over({ protocol: "TCP", targetPort: port["port"] }, port)),
    ),
  );
}

const PROBE = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 };

function probe(container: Fields, name: string): Draft {
  const given = container[name];
  if (!isFields(given)) return {};
  const filled = over(PROBE, given);
  if (isFields(given["httpGet"])) filled["httpGet"] = over({ scheme: "HTTP", path: "/" }, given["httpGet"]);
  return { [name]: filled };
}

function containerSpec(container: Fields): Fields {
  const image = typeof container["image"] === "string" ? container["image"] : "";
  return {
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: /:[^/]+$/.test(image) && !image.endsWith(":latest") ? "IfNotPresent" : "Always",
    resources: {},
    ...container,
    ...eachOf(container, "ports", (port) => over({ protocol: "TCP" }, port)),
    ...eachOf(container, "env", envVariable),
    ...probe(container, "readinessProbe"),
    ...probe(container, "livenessProbe"),
    ...probe(container, "startupProbe"),
  };
}

function envVariable(variable: Fields): Fields {
  const from = variable["valueFrom"];
  if (!isFields(from) || !isFields(from["fieldRef"])) return variable;
  return { ...variable, valueFrom: { ...from, fieldRef: over({ apiVersion: "v1" }, from["fieldRef"]) } };
}

function volume(spec: Fields): Fields {
  const modes = ["secret", "configMap", "projected", "downwardAPI"].filter((kind) => isFields(spec[kind]));
  return over(spec, Object.fromEntries(modes.map((kind) => [kind, over({ defaultMode: 420 }, spec[kind])])));
}

const NO_EXECUTE = { operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 };

function podSpec(spec: Fields): Fields {
  const given = (Array.isArray(spec["tolerations"]) ? spec["tolerations"] : []) as readonly Fields[];
  const tolerates = (key: string): boolean =>
    given.some((each) => each["key"] === key && (each["effect"] === "NoExecute" || each["effect"] === undefined));
  const keys = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].filter((key) => !tolerates(key));
  return {
    restartPolicy: "Always",
    dnsPolicy: "ClusterFirst",
    schedulerName: "default-scheduler",
    securityContext: {},
    terminationGracePeriodSeconds: 30,
    serviceAccountName: "default",
    serviceAccount: spec["serviceAccountName"] ?? "default",
    enableServiceLinks: true,
    preemptionPolicy: "PreemptLowerPriority",
    priority: 0,
    ...spec,
    tolerations: [...given, ...keys.map((key) => ({ key, ...NO_EXECUTE }))],
    ...eachOf(spec, "containers", containerSpec),
    ...eachOf(spec, "initContainers", containerSpec),
    ...eachOf(spec, "volumes", volume),
  };
}

function networkPolicySpec(spec: Fields): Fields {
  const ports = (rule: Fields): Fields =>
    over(
      rule,
      eachOf(rule, "ports", (port) => over({ protocol: "TCP" }, port)),
    );
  return over(over({ policyTypes: ["Ingress"] }, spec), {
    ...eachOf(spec, "ingress", ports),
    ...eachOf(spec, "egress", ports),
  });
}

/** Why a change of a stored object is refused; undefined if it is not. */
export function refusalOfChange(kind: string, old: StoredObject, now: Fields): string | undefined {
  const [before, after] = [old.spec ?? {}, fieldsAt(now, "spec")];
  switch (kind) {
    case "Pod":
      return isSame(withoutMutable(before), withoutMutable(after))
        ? undefined
        : `Pod "${old.metadata.name}" is invalid: spec: Forbidden: pod updates may not change fields other than image`;
    case "PersistentVolumeClaim": {
      const rest = (spec: Fields): Fields => ({ ...spec, resources: undefined, volumeName: undefined });
      if (!isSame(rest(before), rest(after))) {
        return `PersistentVolumeClaim "${old.metadata.name}" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests`;
      }
      return undefined;
    }
    case "Service":
      return isSame(before["clusterIP"], after["clusterIP"])
        ? undefined
        : `Service "${old.metadata.name}" is invalid: spec.clusterIP: Invalid value: field is immutable`;
    case "Secret":
      return isSame((old as unknown as Fields)["type"], now["type"])
        ? undefined
        : `Secret "${old.metadata.name}" is invalid: type: Invalid value: field is immutable`;
    default:
      return undefined;
  }
}

/** A pod's spec without what may change: images, and what the scheduler writes. */
function withoutMutable(spec: Fields): Fields {
  return { ...spec, nodeName: undefined, ...eachOf(spec, "containers", (each) => ({ ...each, image: undefined })) };
}
