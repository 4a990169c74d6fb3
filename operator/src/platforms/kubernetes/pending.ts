/** Why a pod has not begun to run, in words that end in what to do. */
import type { PersistentVolumeClaim, Pod, StorageClass } from "../../kube/index.js";
import type { ProcessState } from "../../plan/index.js";

type Problem = Pick<Extract<ProcessState, { kind: "pending" }>, "cause" | "why">;

const DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class";
const IMAGE_REASONS = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "ErrImageNeverPull",
  "ImageInspectError",
  "RegistryUnavailable",
]);
const CONFIG_REASONS = new Set([
  "CreateContainerConfigError",
  "CreateContainerError",
  "RunContainerError",
  "PreCreateHookError",
  "PostStartHookError",
]);

/** Finds what keeps a pod from running; undefined if nothing is known to. */
export function findProblem(
  pod: Pod,
  claims: readonly PersistentVolumeClaim[],
  classes: readonly StorageClass[],
): Problem | undefined {
  const image = imageProblem(pod);
  if (image !== undefined) return image;
  const scheduled = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status === "False") {
    const volume = claims.map((claim) => volumeProblem(claim, classes)).find((problem) => problem !== undefined);
    if (volume !== undefined) return volume;
    return {
      cause: "unschedulable",
      why: `no node can take it (${sentence(scheduled.message ?? scheduled.reason)}): add a node, free resources, or change resources, nodeSelector or tolerations`,
    };
  }
  const waiting = pod.status?.containerStatuses?.[0]?.state?.waiting;
  if (waiting?.reason !== undefined && CONFIG_REASONS.has(waiting.reason)) {
    return {
      cause: "config",
      why: `its container cannot be made (${waiting.reason}: ${sentence(waiting.message)}): look at kubectl describe pod ${pod.metadata?.name ?? ""}`,
    };
  }
  return waiting === undefined
    ? undefined
    : { cause: "starting", why: `its container is being made (${waiting.reason ?? "waiting"}): wait` };
}

function imageProblem(pod: Pod): Problem | undefined {
  const status = pod.status?.containerStatuses?.[0];
  const waiting = status?.state?.waiting;
  if (waiting?.reason === undefined || !IMAGE_REASONS.has(waiting.reason)) return undefined;
  const image = pod.spec?.containers[0]?.image ?? "";
  // The kubelet's message alternates between the error and the back-off: the words here stay the same.
  return {
    cause: "image",
    why: `the image ${image} cannot be pulled: load it onto the nodes, give imagePullSecrets, or correct spec.image or spec.version`,
  };
}

function volumeProblem(claim: PersistentVolumeClaim, classes: readonly StorageClass[]): Problem | undefined {
  if (claim.status?.phase !== "Pending") return undefined;
  const name = claim.metadata?.name ?? "";
  const className = claim.spec?.storageClassName;
  if (className === undefined && !classes.some(isDefault)) {
    const known = classes.map(({ metadata }) => metadata?.name ?? "").sort();
    const choice = known.length === 0 ? "install one" : `name one of ${known.join(", ")} in storage.className`;
    return {
      cause: "volume",
      why: `the claim ${name} names no StorageClass and the cluster has no default one: mark one as default, or ${choice}`,
    };
  }
  if (className !== undefined && className !== "" && !classes.some(({ metadata }) => metadata?.name === className)) {
    return {
      cause: "volume",
      why: `the claim ${name} asks for StorageClass ${className}, which does not exist: create it`,
    };
  }
  return undefined;
}

function isDefault({ metadata }: StorageClass): boolean {
  return metadata?.annotations?.[DEFAULT_CLASS] === "true";
}

/** One line without its full stop. */
function sentence(text: string | undefined): string {
  return (text ?? "no reason given").split("\n", 1)[0]?.replace(/\.\s*$/, "") ?? "";
}
