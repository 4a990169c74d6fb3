const FACTORS: Readonly<Record<string, number>> = {
  "": 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/**
 * Turns a whole Kubernetes quantity such as `10Gi` or `500M` into bytes. The schema has checked its form, so anything else is NaN.
 */
export function quantityBytes(quantity: string): number {
  return /^[1-9][0-9]*(Ki|Mi|Gi|Ti|k|M|G|T)?$/.test(quantity) ? quantityValue(quantity) : Number.NaN;
}

/**
 * Turns a Kubernetes quantity such as `500m`, `1.5` or `2Gi` into its number, in the unit of the thing that it measures. The schema has
 * checked its form, so anything else is NaN.
 */
export function quantityValue(quantity: string | number): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.exec(String(quantity));
  return match === null ? Number.NaN : Number(match[1]) * (FACTORS[match[2] ?? ""] ?? Number.NaN);
}
