import assert from "node:assert/strict";
import type { WriteStream } from "node:tty";
import { createScreen } from "./screen.js";

function screenOf(size: { columns: number; rows: number }): {
  written: () => string;
  screen: ReturnType<typeof createScreen>;
} {
  let text = "";
  const output = { isTTY: true, ...size, write: (chunk: string) => (text += chunk) !== "" };
  return { written: () => text, screen: createScreen(output as unknown as WriteStream) };
}

describe("screen", () => {
  it("cuts what is longer than a line of the terminal", () => {
    const { written, screen } = screenOf({ columns: 10, rows: 50 });
    screen.draw(["0123456789", "0123456789a"]);
    assert.match(written(), /0123456789\n012345678…\n/);
  });

  it("shows whole lines on a terminal that does not tell its size", () => {
    const { written, screen } = screenOf({ columns: 0, rows: 0 });
    screen.draw(["demo: Ready", "npx --no rheactl get a"]);
    assert.match(written(), /demo: Ready\nnpx --no rheactl get a\n/);
    assert.ok(screen.columns() > 80);
  });
});
