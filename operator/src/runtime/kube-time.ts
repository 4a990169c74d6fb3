/** Writes a time as Kubernetes' MicroTime: RFC 3339 with six digits of a second. `wallMs`: Unix time in milliseconds. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace("Z", "000Z");
}
