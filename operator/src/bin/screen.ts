import type { WriteStream } from "node:tty";

const SHOWN_EVENTS = 6;
const FALLBACK_COLUMNS = 120;
const FALLBACK_ROWS = 50;

/** Where a running cluster shows itself. */
export interface Screen {
  /** Whether lines are redrawn in place: a terminal. */
  readonly isLive: boolean;
  /** Characters that fit in a line now. */
  columns(): number;
  /** Tells of something that happened, with the time. */
  event(line: string): void;
  /** Shows lines instead of those drawn before. */
  draw(lines: readonly string[]): void;
  /** Prints lines once. */
  print(lines: readonly string[]): void;
  /** Leaves what is drawn and goes on below it. */
  close(): void;
}

/** Makes the screen: on a terminal a picture with the latest events below it, elsewhere one plain line per event. */
export function createScreen(output: WriteStream): Screen {
  const isLive = output.isTTY;
  // A terminal that does not tell its size says 0.
  const columnsNow = () => output.columns || FALLBACK_COLUMNS;
  const rowsNow = () => output.rows || FALLBACK_ROWS;
  const events: string[] = [];
  let picture: readonly string[] = [];
  let drawnRows = 0;
  let isClosed = false;

  const redraw = () => {
    if (isClosed || picture.length === 0) return;
    const [columns, rows] = [columnsNow(), rowsNow()];
    const lines = [...picture, "", ...events].flatMap((line) => line.split("\n")).slice(0, rows - 1);
    const up = drawnRows > 0 ? `\x1b[${drawnRows}F` : "";
    output.write(`${up}\x1b[0J${lines.map((line) => fit(line, columns)).join("\n")}\n`);
    drawnRows = lines.length;
  };
  return {
    isLive,
    columns: () => (isLive ? columnsNow() : Infinity),
    event(line) {
      const stamped = `${new Date().toTimeString().slice(0, 8)} ${line}`;
      events.push(stamped);
      if (events.length > SHOWN_EVENTS) events.shift();
      if (!isLive || picture.length === 0) output.write(`${stamped}\n`);
      else redraw();
    },
    draw(lines) {
      picture = lines;
      if (isLive) redraw();
    },
    print: (lines) => void output.write(`${lines.join("\n")}\n`),
    close() {
      isClosed = true;
    },
  };
}

/** Cuts a line that would wrap: the picture is redrawn by counting its rows. */
function fit(line: string, columns: number): string {
  return line.length <= columns ? line : `${line.slice(0, columns - 1)}…`;
}
