/** A lane: the namespace of one story, with the calls that specs make in it. It is set up before the first test and removed after the last. */
import { randomBytes } from "node:crypto";
import * as api from "./api.js";
import { mustRun, runProgram, type Ended, type RunOptions } from "./command.js";
import { dump } from "./dump.js";
import { image } from "./images.js";
import { isKind, pathOf, type Kind, type KubeObject, type Manifest, type Pod } from "./kinds.js";
import { restoreNodes } from "./nodes.js";
import { installOperator } from "./operator.js";
import { RheaClusterHandle } from "./rhea-cluster.js";
import { until } from "./wait.js";

const SETUP_MS = 240_000;
const REMOVAL_MS = 90_000;
/** By this the runner finds namespaces that an earlier run kept. */
const STORY = { "rheakv.io/e2e": "story" };
/** What Kubernetes' restricted profile asks of a container. */
const RESTRICTED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ["ALL"] },
  seccompProfile: { type: "RuntimeDefault" },
};

/** Options of {@link useLane}. */
export interface LaneOptions {
  /** Whether the story needs the operator; default false. */
  readonly operator?: boolean;
  /** Labels of the namespace. By default it enforces the restricted pod security profile. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Options of {@link Lane.startPod}. */
export interface PodOptions {
  readonly image?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Secrets to mount: name of the Secret to path. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Directories that are to be writable. */
  readonly writable?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly nodeName?: string;
  readonly gracePeriodSeconds?: number;
}

/** The namespace of one story. */
export class Lane {
  readonly #clusters = new Map<string, RheaClusterHandle>();
  #namespace = "";

  /** The namespace's name. Known once the tests run. */
  get namespace(): string {
    if (this.#namespace === "") throw new Error("the lane has no namespace yet: use it inside tests and hooks");
    return this.#namespace;
  }

  /** Makes the namespace. Called by {@link useLane}. */
  async open(name: string, options: LaneOptions): Promise<void> {
    this.#namespace = name;
    const labels = { ...STORY, ...(options.labels ?? { "pod-security.kubernetes.io/enforce": "restricted" }) };
    await api.createObject("Namespace", "", { metadata: { name, labels } });
    if (options.operator === true) await installOperator();
  }

  /** Ends what runs for the lane and removes the namespace, unless it failed and is to be kept. Called by {@link useLane}. */
  async close({ hasFailed }: { readonly hasFailed: boolean }): Promise<void> {
    for (const cluster of this.#clusters.values()) await cluster.close();
    await restoreNodes();
    if (this.#namespace === "" || (hasFailed && process.env["RHEA_KUBE_KEEP"] !== undefined)) return;
    await api.deleteObject("Namespace", "", this.namespace);
    const isGone = async () => (await api.getObject("Namespace", "", this.namespace)) === undefined;
    await until(`namespace ${this.namespace} is gone`, isGone, REMOVAL_MS, {
      describe: async () => JSON.stringify((await api.getObject("Namespace", "", this.namespace)) ?? {}, null, 1),
    });
  }

  /** A RheaCluster of this namespace, whether it exists already or not. */
  rheaCluster(name: string): RheaClusterHandle {
    const known = this.#clusters.get(name);
    if (known !== undefined) return known;
    const made = new RheaClusterHandle(this, name);
    this.#clusters.set(name, made);
    return made;
  }

  /** Reads an object; undefined where there is none. Kinds without namespace too. */
  get<T extends KubeObject>(kind: Kind, name: string): Promise<T | undefined> {
    return api.getObject<T>(kind, this.namespace, name);
  }

  /** Lists objects. `labels`: a label selector such as `rheakv.io/cluster=demo`. */
  list<T extends KubeObject>(kind: Kind, labels = ""): Promise<T[]> {
    return api.listObjects<T>(kind, this.namespace, labels);
  }

  /** Applies an object server-side; it needs `apiVersion` and `kind`. */
  async apply<T extends KubeObject>(object: Manifest, options?: api.ApplyOptions): Promise<T> {
    if (!isKind(object.kind)) throw new Error(`kind ${object.kind ?? "(absent)"}: add it to harness/kinds.ts`);
    return api.applyObject<T>(object.kind, this.namespace, object, options);
  }

  /** Changes fields by a JSON merge patch. */
  patch<T extends KubeObject>(kind: Kind, name: string, patch: unknown, subresource?: string): Promise<T> {
    return api.patchObject<T>(kind, this.namespace, name, patch, subresource);
  }

  /** Deletes an object; fine where there is none. With `waitMs` it resolves when it, by its uid, is gone. */
  async remove(
    kind: Kind,
    name: string,
    { gracePeriodSeconds, waitMs }: { readonly gracePeriodSeconds?: number; readonly waitMs?: number } = {},
  ): Promise<void> {
    const before = await this.get(kind, name);
    await api.deleteObject(kind, this.namespace, name, gracePeriodSeconds);
    if (before === undefined || waitMs === undefined) return;
    const isGone = async () => (await this.get(kind, name))?.metadata.uid !== before.metadata.uid;
    await until(`${kind} ${name} is gone`, isGone, waitMs);
  }

  /** Runs kubectl in this namespace; its standard output. Throws CommandError. */
  kubectl(args: readonly string[], options?: RunOptions): Promise<string> {
    return mustRun("kubectl", ["--namespace", this.namespace, ...args], options);
  }

  /** Runs a program in a running pod: no shell, the image has none. */
  exec(pod: string, command: readonly string[], options?: RunOptions): Promise<Ended> {
    return runProgram("kubectl", ["--namespace", this.namespace, "exec", pod, "--", ...command], options);
  }

  /** What a pod has said. */
  logs(
    pod: string,
    { previous = false, tail }: { readonly previous?: boolean; readonly tail?: number } = {},
  ): Promise<string> {
    const query = `previous=${String(previous)}${tail === undefined ? "" : `&tailLines=${tail}`}`;
    return api.getRaw(`${pathOf("Pod", this.namespace, pod)}/log?${query}`);
  }

  /** Starts a pod of the image under test, at the restricted profile, which is not restarted. */
  async startPod(name: string, command: readonly string[], options: PodOptions = {}): Promise<void> {
    const secrets = Object.entries(options.secrets ?? {});
    const writable = options.writable ?? [];
    await this.apply({
      ...{ apiVersion: "v1", kind: "Pod", metadata: { name, labels: options.labels ?? {} } },
      spec: {
        restartPolicy: "Never",
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: options.gracePeriodSeconds ?? 30,
        ...(options.nodeName === undefined ? {} : { nodeName: options.nodeName }),
        securityContext: { fsGroup: 65532 },
        volumes: [
          ...secrets.map(([secretName]) => ({ name: secretName, secret: { secretName } })),
          ...writable.map((_, index) => ({ name: `writable-${index}`, emptyDir: {} })),
        ],
        containers: [
          {
            name: "main",
            image: options.image ?? image(),
            imagePullPolicy: "IfNotPresent",
            command,
            env: Object.entries(options.env ?? {}).map(([key, value]) => ({ name: key, value })),
            securityContext: RESTRICTED,
            volumeMounts: [
              ...secrets.map(([secretName, mountPath]) => ({ name: secretName, mountPath, readOnly: true })),
              ...writable.map((mountPath, index) => ({ name: `writable-${index}`, mountPath })),
            ],
          },
        ],
      },
    });
  }

  /** Runs a program in a pod of its own to its end; `out` has both its outputs. The pod is removed. */
  async run(
    name: string,
    command: readonly string[],
    { timeoutMs = 60_000, ...options }: PodOptions & { readonly timeoutMs?: number } = {},
  ): Promise<{ readonly code: number; readonly out: string }> {
    await this.startPod(name, command, options);
    try {
      const code = await this.exitCode(name, timeoutMs);
      return { code, out: await this.logs(name) };
    } finally {
      await this.remove("Pod", name, { gracePeriodSeconds: 0 });
    }
  }

  /** Resolves when a pod's container runs. */
  async runs(pod: string, timeoutMs = 30_000): Promise<Pod> {
    const running = async () => {
      const found = await this.get<Pod>("Pod", pod);
      return found?.status?.containerStatuses?.[0]?.state?.running === undefined ? undefined : found;
    };
    return until(`pod ${pod} runs`, running, timeoutMs, { describe: () => this.describe(pod) });
  }

  /** Resolves with the exit code of a pod's container once it has ended. */
  async exitCode(pod: string, timeoutMs = 60_000): Promise<number> {
    const ended = async () =>
      (await this.get<Pod>("Pod", pod))?.status?.containerStatuses?.[0]?.state?.terminated ?? undefined;
    return (await until(`pod ${pod} has ended`, ended, timeoutMs, { describe: () => this.describe(pod) })).exitCode;
  }

  /** Resolves when a pod has said something that matches. */
  async says(pod: string, pattern: RegExp, timeoutMs = 30_000): Promise<RegExpExecArray> {
    const found = async () => pattern.exec(await this.logs(pod)) ?? undefined;
    return until(`pod ${pod} says ${String(pattern)}`, found, timeoutMs, { describe: () => this.describe(pod) });
  }

  /** A pod's state, events and last words, for failure texts. */
  async describe(pod: string): Promise<string> {
    const state = await runProgram("kubectl", ["--namespace", this.namespace, "describe", "pod", pod]);
    const said = await this.logs(pod, { tail: 20 }).catch((error: unknown) => String(error));
    return `${state.out.split("\n").slice(-25).join("\n")}\nsaid:\n${said}`;
  }
}

/**
 * Gives a story its lane. Call it first in `describe`: before the first test it makes the namespace, after the last one it undoes all node
 * faults and removes it, and when a test fails it writes down what there is to see.
 */
export function useLane(options: LaneOptions = {}): Lane {
  const lane = new Lane();
  const story = (process.env["RHEA_KUBE_SPEC"] ?? "story").replace(/[^a-z0-9-]+/g, "-");
  let hasFailed = false;
  before(async function () {
    this.timeout(SETUP_MS);
    const name = `e2e-${story.slice(0, 40)}-${randomBytes(2).toString("hex")}`;
    try {
      await lane.open(name, options);
    } catch (error) {
      hasFailed = true;
      await dump(name, story);
      throw error;
    }
  });
  afterEach(async function () {
    this.timeout(REMOVAL_MS);
    if (this.currentTest?.state !== "failed") return;
    hasFailed = true;
    await dump(lane.namespace, `${story} ${this.currentTest.title}`);
  });
  after(async function () {
    this.timeout(REMOVAL_MS * 3);
    await lane.close({ hasFailed });
  });
  return lane;
}
