/** Volumes: claims are bound when their first pod is scheduled; local ones stay on that node for ever, floating ones follow their pod. */
import { RESOURCES, type ObjectKey, type PersistentVolumeClaim } from "../../../kube/index.js";
import type { ApiServer } from "../api-server/api-server.js";
import type { VirtualTime } from "../world/virtual-time.js";
import type { VolumeContent } from "./process.js";

const MANAGER = "volume-controller";
/** A floating volume is torn from a node that is lost this long. */
const FORCE_DETACH_MS = 360_000;

/** Storage class whose volumes are disks of one node. */
export const LOCAL_CLASS = "local";
/** Storage class whose volumes can be attached to any node. It is the default one. */
export const FLOATING_CLASS = "standard";

interface Attachment {
  readonly node: string;
  readonly uid: string;
}

/** The volumes of the world. */
export class Volumes {
  readonly #server: ApiServer;
  readonly #time: VirtualTime;
  /** By name of the volume. */
  readonly #contents = new Map<string, VolumeContent>();
  readonly #attachments = new Map<string, Attachment>();
  readonly #lostForMs: (node: string) => number;

  /** @param lostForMs for how long a node has not been reachable; 0 if it is */
  constructor(server: ApiServer, time: VirtualTime, lostForMs: (node: string) => number) {
    this.#server = server;
    this.#time = time;
    this.#lostForMs = lostForMs;
    for (const name of [FLOATING_CLASS, LOCAL_CLASS]) {
      const annotations = { "storageclass.kubernetes.io/is-default-class": String(name === FLOATING_CLASS) };
      server.create(
        RESOURCES.storageClasses,
        {
          metadata: { name, annotations },
          provisioner: `simulated/${name}`,
          volumeBindingMode: "WaitForFirstConsumer",
          reclaimPolicy: "Delete",
          allowVolumeExpansion: name === FLOATING_CLASS,
        },
        { manager: "user" },
      );
    }
    server.onChange(({ plural, type, object }) => {
      if (plural === "persistentvolumeclaims" && type === "DELETED") this.#reclaim(object);
      if (plural === "persistentvolumeclaims" && type === "MODIFIED") this.#grow(object);
    });
  }

  /** The node that a claim ties its pod to; undefined if it may go anywhere. */
  nodeOf(claim: PersistentVolumeClaim): string | undefined {
    const name = claim.spec?.volumeName;
    const volume = name === undefined ? undefined : this.#server.find(RESOURCES.persistentVolumes, { name });
    const terms = volume?.spec?.nodeAffinity?.required?.nodeSelectorTerms ?? [];
    return terms[0]?.matchExpressions?.[0]?.values?.[0];
  }

  /** Whether the claim's volume has been taken away. */
  isLost(claim: PersistentVolumeClaim): boolean {
    const name = claim.spec?.volumeName;
    return name !== undefined && this.#server.find(RESOURCES.persistentVolumes, { name }) === undefined;
  }

  /** Makes a volume for a claim whose pod goes to `node`. */
  bind(claim: PersistentVolumeClaim, node: string): void {
    if (claim.spec?.volumeName !== undefined) return;
    const { name = "", namespace = "", uid = "" } = claim.metadata ?? {};
    const volumeName = `pvc-${uid}`;
    const storageClassName = claim.spec?.storageClassName ?? FLOATING_CLASS;
    const capacity = { storage: claim.spec?.resources?.requests?.["storage"] ?? "1Gi" };
    const required = {
      nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [node] }] }],
    };
    this.#server.create(
      RESOURCES.persistentVolumes,
      {
        metadata: { name: volumeName },
        spec: {
          capacity,
          storageClassName,
          persistentVolumeReclaimPolicy: "Delete",
          claimRef: { name, namespace, uid },
          ...(storageClassName === LOCAL_CLASS ? { nodeAffinity: { required } } : {}),
        },
      },
      { manager: MANAGER },
    );
    this.#contents.set(volumeName, {});
    this.#server.amend(RESOURCES.persistentVolumeClaims, { name, namespace }, MANAGER, () => ({
      spec: { volumeName },
      status: { phase: "Bound", capacity },
    }));
  }

  /** Why a claim cannot be mounted; undefined after it was attached to the run's node. */
  refusalOfMount(
    namespace: string,
    claimName: string,
    run: { readonly node: string; readonly uid: string },
    runs: Iterable<{ readonly uid: string; readonly process: unknown }>,
  ): string | undefined {
    const claim = this.#server.find(RESOURCES.persistentVolumeClaims, { namespace, name: claimName });
    if (claim === undefined) return `persistentvolumeclaim "${claimName}" not found`;
    const volume = claim.spec?.volumeName;
    if (volume === undefined) return `persistentvolumeclaim "${claimName}" is not bound`;
    if (this.isLost(claim)) return `MountVolume failed: persistentvolume "${volume}" not found`;
    const attached = this.#attachments.get(volume);
    if (attached !== undefined && attached.node !== run.node) {
      const isUsed = [...runs].some(({ uid }) => uid === attached.uid);
      if (isUsed && this.#lostForMs(attached.node) < FORCE_DETACH_MS) {
        return `Multi-Attach error for volume "${volume}": it is attached to node ${attached.node}`;
      }
    }
    this.#attachments.set(volume, { node: run.node, uid: run.uid });
    return undefined;
  }

  /** Whether a run still has its claim's volume: a volume that was torn away to another node is not its any more. */
  holds(namespace: string, claimName: string, run: { readonly node: string }): boolean {
    const volume = this.#server.find(RESOURCES.persistentVolumeClaims, { namespace, name: claimName })?.spec
      ?.volumeName;
    return volume !== undefined && this.#attachments.get(volume)?.node === run.node;
  }

  contentOf(namespace: string, claimName: string): VolumeContent {
    const volume =
      this.#server.find(RESOURCES.persistentVolumeClaims, { namespace, name: claimName })?.spec?.volumeName ?? "";
    const content = this.#contents.get(volume);
    if (content === undefined) throw new Error(`volume ${volume} of claim ${claimName} has no content`);
    return content;
  }

  /** Name of the process whose data the claim's volume holds; undefined if it holds none, or is lost. */
  identityIn(claim: PersistentVolumeClaim): string | undefined {
    return this.#contents.get(claim.spec?.volumeName ?? "")?.identity?.name;
  }

  /** The disk of a claim is gone for ever. Returns whether it had one. */
  lose({ namespace = "", name }: ObjectKey): boolean {
    const volume = this.#server.find(RESOURCES.persistentVolumeClaims, { namespace, name })?.spec?.volumeName;
    if (volume === undefined || !this.#contents.delete(volume)) return false;
    this.#server.remove(RESOURCES.persistentVolumes, { name: volume }, "user");
    this.#server.amend(RESOURCES.persistentVolumeClaims, { namespace, name }, MANAGER, () => ({
      status: { phase: "Lost" },
    }));
    return true;
  }

  /** The disk behind a claim is no more, though its object stays: its node was removed. */
  destroyContent(claim: PersistentVolumeClaim): void {
    const content = this.#contents.get(claim.spec?.volumeName ?? "");
    if (content !== undefined) delete content.identity;
  }

  /** Claims whose volumes are disks of a node. */
  localVolumesOn(node: string): PersistentVolumeClaim[] {
    return this.#server.list(RESOURCES.persistentVolumeClaims).filter((claim) => this.nodeOf(claim) === node);
  }

  #reclaim(claim: PersistentVolumeClaim): void {
    const name = claim.spec?.volumeName;
    if (name === undefined) return;
    this.#contents.delete(name);
    this.#attachments.delete(name);
    this.#server.remove(RESOURCES.persistentVolumes, { name }, MANAGER);
  }

  #grow({ metadata, spec, status }: PersistentVolumeClaim): void {
    const wanted = spec?.resources?.requests?.["storage"];
    if (status?.phase !== "Bound" || wanted === undefined || status.capacity?.["storage"] === wanted) return;
    const key = { name: metadata?.name ?? "", namespace: metadata?.namespace ?? "" };
    this.#time.plan(2_000, () => {
      this.#server.amend(RESOURCES.persistentVolumeClaims, key, MANAGER, () => ({
        status: { capacity: { storage: wanted } },
      }));
    });
  }
}
