/** Certificates of a cluster as Secrets: what the planner of ../../certificates decides, kept in the API server. */

/** Makes keys and certificates; slow and random, so it comes from outside. */
export interface CertificateMaker {
  readonly kind: "certificates";
}

/** What the status tells of certificates. Times are Unix milliseconds. */
export interface CertificatesState {
  readonly caExpiresMs: number | undefined;
  readonly nextExpiryMs: number | undefined;
  /** What a change of the CA waits for. */
  readonly rotation: string | undefined;
}
