/** What a command of the plug-in works with, and what it takes from outside. */
import type { CliEnvironment } from "../environment.js";
import type { OutputFormat } from "../output.js";
import type { KubeAccess } from "./cluster-objects.js";

/** Which Kubernetes and namespace: what is absent comes from the kubeconfig. */
export interface KubeChoice {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
}

/** `rheactl`'s environment, and Kubernetes. */
export interface PluginEnvironment {
  readonly cli: CliEnvironment;
  /** Reads the kubeconfig. Throws INVALID_CONFIG. */
  openKube(choice: KubeChoice): KubeAccess;
  /** Unix time in ms. */
  readonly wallMs: () => number;
}

/** One run of a command. */
export interface PluginContext {
  readonly kube: KubeAccess;
  readonly cli: CliEnvironment;
  readonly output: OutputFormat;
  /** Time for a call, ms. */
  readonly timeoutMs: number;
  /** Unix time in ms. */
  readonly wallMs: () => number;
}
