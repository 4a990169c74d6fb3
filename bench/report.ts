/** The figures as they are printed: name, goal, measured, verdict. */

/** How a figure stands to its goal. */
export type Verdict = "met" | "half" | "missed" | "";

/** One measured figure. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly measured: number;
  /** Absent: no goal, for information. */
  readonly goal?: number;
  /** Whether more or less is better. */
  readonly better: "more" | "less";
}

/** `met`; `half`: at least half met; `missed`. */
export function judge({ measured, goal, better }: Figure): Verdict {
  if (goal === undefined) return "";
  const ratio = better === "more" ? measured / goal : goal / measured;
  return ratio >= 1 ? "met" : ratio >= 0.5 ? "half" : "missed";
}

function number(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 });
}

/** Renders one line. */
export function renderFigure(figure: Figure): string {
  const { name, unit, measured, goal, better } = figure;
  const wanted = goal === undefined ? "" : `goal ${better === "more" ? ">=" : "<="} ${number(goal)} ${unit}`;
  return `${name.padEnd(46)} ${`${number(measured)} ${unit}`.padStart(16)}   ${wanted.padEnd(22)} ${judge(figure)}`.trimEnd();
}
